//! Each planned instant has one outcome.
//!
//! As the Jepsen test of Chronos did: from the schedules that were in force, and when, it follows
//! which instants were planned; the runs and ranges on the disk are matched to them, one to one.
//! Nothing of the engine's calendar is used for it: the worlds have schedules whose instants are
//! `anchor + n * period`.

use std::collections::BTreeMap;

use muster_api::{
    AppName, JobUid, Timestamp,
    step::{Records, Write},
    views::Cause,
};
use muster_engine::records::{
    self, AppRecord, CursorRecord, FireRangeRecord, JobRecord, RunRecord,
};

use super::{Verdict, broken, plan::Plan};

const NAME: &str = "each_planned_instant_has_one_outcome";

/// What was planned, and what became of it, as far as commits have told.
#[derive(Debug, Default)]
pub(crate) struct Fires {
    jobs: BTreeMap<JobUid, Job>,
    apps: BTreeMap<AppName, Timestamp>,
}

#[derive(Debug, Default)]
struct Job {
    record: Option<JobRecord>,
    /// Every instant up to this one is said to be settled.
    settled: Option<Timestamp>,
    /// The schedule that is in force, and from when on.
    open: Option<(Plan, Timestamp)>,
    /// Schedules that were in force before: each from when on, and until when.
    closed: Vec<(Plan, Timestamp, Timestamp)>,
    /// Outcomes by their keys: the first and the last instant of each.
    outcomes: BTreeMap<Vec<u8>, (Timestamp, Timestamp)>,
}

impl Fires {
    /// Sees a write of a commit, before it is done.
    pub(crate) fn see(&mut self, store: &Records, write: &Write) -> Verdict {
        let key = String::from_utf8_lossy(write.key()).into_owned();
        match write {
            Write::Put { value, .. } if key.starts_with(records::APPS) => {
                if let Ok(app) = records::decode::<AppRecord>(value) {
                    self.see_app(&app);
                }
            }
            Write::Put { value, .. } if key.starts_with(records::JOBS) => {
                if let Ok(job) = records::decode::<JobRecord>(value) {
                    self.see_job(job);
                }
            }
            Write::Delete { key: gone } if key.starts_with(records::JOBS) => {
                let gone =
                    store.get(gone).and_then(|value| records::decode::<JobRecord>(value).ok());
                if let Some(job) = gone.and_then(|job| self.jobs.get_mut(&job.uid)) {
                    // What was due and not settled before has gone with it.
                    job.close(None);
                    job.record = None;
                }
            }
            Write::Put { value, .. } if key.starts_with(records::CURSORS) => {
                let uid = key.strip_prefix(records::CURSORS).and_then(|uid| uid.parse().ok());
                let cursor = records::decode::<CursorRecord>(value).ok();
                if let Some((uid, cursor)) = uid.zip(cursor) {
                    let job = self.jobs.entry(uid).or_default();
                    if job.settled.is_some_and(|before| before > cursor.settled) {
                        return broken(NAME, format!("the cursor of {uid} goes back"));
                    }
                    job.settled = Some(cursor.settled);
                }
            }
            Write::Put { value, .. } => self.see_outcome(&key, write.key(), value),
            Write::Delete { .. } => {}
        }
        Ok(())
    }

    fn see_app(&mut self, app: &AppRecord) {
        let name = app.spec.name.clone();
        if app.disabled {
            self.apps.entry(name.clone()).or_insert(app.updated_at);
        } else {
            self.apps.remove(&name);
        }
        let disabled = self.apps.contains_key(&name);
        let of_app = |job: &&mut Job| job.record.as_ref().is_some_and(|r| r.spec.app == name);
        for job in self.jobs.values_mut().filter(of_app) {
            job.plan(disabled, app.updated_at);
        }
    }

    fn see_job(&mut self, record: JobRecord) {
        let disabled = self.apps.contains_key(&record.spec.app);
        let job = self.jobs.entry(record.uid).or_default();
        let at = record.updated_at;
        job.record = Some(record);
        job.plan(disabled, at);
    }

    fn see_outcome(&mut self, text: &str, key: &[u8], value: &[u8]) {
        if text.starts_with(records::FIRES)
            && let Ok(range) = records::decode::<FireRangeRecord>(value)
            && let Some(uid) = text.split('/').nth(2).and_then(|uid| uid.parse().ok())
        {
            let job: &mut Job = self.jobs.entry(uid).or_default();
            job.outcomes.insert(key.to_vec(), (range.first, range.last));
        }
        // A run that begins and ends within one commit is only ever stored as one that is over.
        if (text.starts_with(records::RUNS) || text.starts_with(records::PAST_RUNS))
            && let Ok(run) = records::decode::<RunRecord>(value)
            && run.cause == Cause::Schedule
        {
            let job = self.jobs.entry(run.job_uid).or_default();
            job.outcomes.insert(records::run_key(&run.id), (run.planned_at, run.planned_at));
        }
    }

    /// Matches what became of all instants to those that were planned.
    pub(crate) fn each_planned_instant_has_one_outcome(&self) -> Verdict {
        self.jobs.iter().try_for_each(|(uid, job)| {
            job.matches().or_else(|what| broken(NAME, format!("job {uid}: {what}")))
        })
    }
}

impl Job {
    /// The job is planned as its newest record says.
    fn plan(&mut self, app_disabled: bool, at: Timestamp) {
        let Some(record) = &self.record else { return };
        let enabled = !app_disabled && !record.disabled();
        // What a daemon job's schedule starts is in no ledger.
        let planned = enabled && !record.spec.is_daemon();
        let schedule = record.spec.schedule.as_ref().filter(|_| planned);
        let plan = schedule.and_then(|schedule| Plan::of(schedule, record.created_at));
        if self.open.map(|(plan, _)| plan) == plan {
            return;
        }
        self.close(Some(at));
        let from = self.settled.map_or(at, |settled| settled.max(at));
        self.open = plan.map(|plan| (plan, from));
    }

    /// The schedule is in force no more. Where the clock was set back, it was settled further.
    fn close(&mut self, at: Option<Timestamp>) {
        if let Some((plan, from)) = self.open.take() {
            let until = self.settled.into_iter().chain(at).max().unwrap_or(from);
            self.closed.push((plan, from, until.max(from)));
        }
    }

    fn matches(&self) -> Result<(), String> {
        let settled = self.settled;
        let open = self.open.map(|(plan, from)| (plan, from, settled.unwrap_or(from)));
        let mut outcomes: Vec<_> = self.outcomes.iter().map(|(key, span)| (*span, key)).collect();
        outcomes.sort_unstable();
        let mut outcomes = outcomes.into_iter().peekable();
        // Up to where the newest outcome goes, and the plan that it is of.
        let mut covered: Option<(Timestamp, Plan)> = None;
        let mut former_until = None;
        for (plan, from, until) in self.closed.iter().copied().chain(open) {
            let mut at = from;
            // A range may go on after a time in which the job was disabled, and no instant came.
            if let Some((last, of)) = covered.filter(|(last, _)| *last > from) {
                let between = former_until.and_then(|until| plan.after(until));
                if of != plan || between.is_some_and(|between| between <= from) {
                    return Err(format!(
                        "an outcome goes on to {last}, and from {from} on is {plan:?}"
                    ));
                }
                at = last;
            }
            while let Some(planned) = plan.after(at).filter(|planned| *planned <= until) {
                match outcomes.next() {
                    Some(((first, last), _)) if first == planned => {
                        at = last;
                        covered = Some((last, plan));
                    }
                    Some(((first, _), key)) => {
                        let key = String::from_utf8_lossy(key);
                        return Err(format!(
                            "{planned} is planned, and then comes {key} of {first}"
                        ));
                    }
                    None => return Err(format!("{planned} is planned, and has no outcome")),
                }
            }
            former_until = Some(until);
        }
        if let Some((last, _)) = covered.filter(|(last, _)| Some(*last) > former_until) {
            return Err(format!("the last outcome goes on to {last}, and nothing is planned then"));
        }
        match outcomes.next() {
            None => Ok(()),
            Some(((first, _), key)) => {
                Err(format!("nothing is planned for {} of {first}", String::from_utf8_lossy(key)))
            }
        }
    }
}
