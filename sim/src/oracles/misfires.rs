//! What became of planned instants is what the misfire policy of their job says.
//!
//! A commit holds what many turns have done, so it is not known what was so at the moment of each
//! decision. What is known is what was so before the commit and what the commit touches: a decision
//! is right if it can have been, with the documents that were in force and the runs that were there.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{
    JobUid, RunId,
    spec::{Misfire, MisfirePolicy},
    step::{Records, Write},
    views::{Cause, FireOutcome, RunState},
};
use muster_engine::records::{self, FireRangeRecord, JobRecord, RunRecord};

use super::{Verdict, broken, with_prefix};

const NAME: &str = "outcomes_follow_the_policy";

/// A commit, and what was stored before it.
struct Commit<'a> {
    store: &'a Records,
    writes: &'a [Write],
}

/// Each range of the ledger, and each new scheduled run, is what the policy of its job allows.
pub(crate) fn outcomes_follow_the_policy(store: &Records, writes: &[Write]) -> Verdict {
    let commit = Commit { store, writes };
    for write in writes {
        let Write::Put { key, value } = write else { continue };
        if key.starts_with(records::FIRES.as_bytes())
            && let Ok(range) = records::decode::<FireRangeRecord>(value)
        {
            commit.judge_range(key, &range)?;
        }
        if key.starts_with(records::RUNS.as_bytes())
            && !store.contains_key(key)
            && let Ok(run) = records::decode::<RunRecord>(value)
            && run.cause == Cause::Schedule
        {
            commit.judge_run(&run)?;
        }
    }
    Ok(())
}

/// No more scheduled runs of a job wait than its policy allows. Documents of these worlds never
/// lower a cap.
pub(crate) fn no_more_wait_than_allowed(store: &Records) -> Verdict {
    let mut waiting: BTreeMap<JobUid, u32> = BTreeMap::new();
    for run in runs_of(store).filter(waits) {
        *waiting.entry(run.job_uid).or_default() += 1;
    }
    for (_, value) in with_prefix(store, records::JOBS) {
        let Ok(job) = records::decode::<JobRecord>(value) else { continue };
        let allowed = allowed(&job.spec.misfire);
        if let Some(wait) = waiting.get(&job.uid).filter(|wait| **wait > allowed) {
            let what = format!("{wait} runs of {} wait, and {allowed} may", job.spec.name);
            return broken("no_more_wait_than_allowed", what);
        }
    }
    Ok(())
}

fn allowed(misfire: &Misfire) -> u32 {
    if misfire.policy == MisfirePolicy::Replay { misfire.cap } else { 1 }
}

fn waits(run: &RunRecord) -> bool {
    run.cause == Cause::Schedule && run.state == RunState::Pending
}

fn runs_of(store: &Records) -> impl Iterator<Item = RunRecord> {
    with_prefix(store, records::RUNS).filter_map(|(_, value)| records::decode(value).ok())
}

impl Commit<'_> {
    /// The rules of a job that were in force about now. Under `replay` what cannot start in time any
    /// more is as good as older than the grace.
    fn rules(&self, uid: JobUid) -> Vec<Misfire> {
        let stored = with_prefix(self.store, records::JOBS).map(|(_, value)| value);
        let written = self.writes.iter().filter_map(|write| match write {
            Write::Put { key, value } => key.starts_with(records::JOBS.as_bytes()).then_some(value),
            Write::Delete { .. } => None,
        });
        let jobs = stored.chain(written).filter_map(|value| records::decode(value).ok());
        let jobs = jobs.filter(|job: &JobRecord| job.uid == uid);
        let rule = |job: JobRecord| match (job.spec.misfire, job.spec.start_within) {
            (rule, within) if rule.policy == MisfirePolicy::Replay && !within.is_zero() => {
                Misfire { grace: rule.grace.min(within), ..rule }
            }
            (rule, _) => rule,
        };
        jobs.map(rule).collect()
    }

    /// The runs that the commit writes, as it leaves them; gone ones are there as what is past.
    fn written(&self) -> impl Iterator<Item = RunRecord> {
        self.writes.iter().filter_map(|write| match write {
            Write::Put { key, value }
                if key.starts_with(records::RUNS.as_bytes())
                    || key.starts_with(records::PAST_RUNS.as_bytes()) =>
            {
                records::decode::<RunRecord>(value).ok()
            }
            Write::Put { .. } | Write::Delete { .. } => None,
        })
    }

    /// Runs of a job that were there before the commit and are as they were after it.
    fn untouched(&self, uid: JobUid) -> impl Iterator<Item = RunRecord> {
        let touched: BTreeSet<RunId> = self.written().map(|run| run.id).collect();
        runs_of(self.store).filter(move |run| run.job_uid == uid && !touched.contains(&run.id))
    }

    fn judge_run(&self, run: &RunRecord) -> Verdict {
        let rules = self.rules(run.job_uid);
        let others: Vec<_> = self.untouched(run.job_uid).collect();
        let waiting = others.iter().filter(|other| waits(other)).count();
        let may_be = |rule: &Misfire| match rule.policy {
            MisfirePolicy::Skip => others.is_empty(),
            MisfirePolicy::Coalesce | MisfirePolicy::Replay => {
                u32::try_from(waiting).is_ok_and(|waiting| waiting < allowed(rule))
            }
        };
        if rules.is_empty() || rules.iter().any(may_be) {
            return Ok(());
        }
        let (id, count) = (run.id, others.len());
        broken(
            NAME,
            format!("run {id} is made under {rules:?} beside {count} runs, {waiting} wait"),
        )
    }

    fn judge_range(&self, key: &[u8], range: &FireRangeRecord) -> Verdict {
        let text = String::from_utf8_lossy(key);
        let Some(uid) = text.split('/').nth(2).and_then(|uid| uid.parse::<JobUid>().ok()) else {
            return broken(NAME, format!("{text} is no key of a range"));
        };
        let rules = self.rules(uid);
        let right = match range.outcome {
            FireOutcome::Dropped => rules.iter().any(|rule| self.may_drop(uid, rule)),
            FireOutcome::Skipped => rules.iter().any(|rule| {
                let grace = i64::try_from(rule.grace.as_millis()).unwrap_or(i64::MAX);
                let is_old = range.at.as_millis().saturating_sub(range.last.as_millis()) >= grace;
                is_old || rule.policy == MisfirePolicy::Skip
            }),
            FireOutcome::Coalesced => {
                rules.iter().any(|rule| rule.policy == MisfirePolicy::Coalesce)
                    && self.stands_for(uid, range)
            }
            FireOutcome::Waiting | FireOutcome::Ran => false,
        };
        // A job that is being deleted leaves nothing to judge by.
        if right || rules.is_empty() {
            return Ok(());
        }
        let FireRangeRecord { first, last, outcome, reason, .. } = range;
        broken(NAME, format!("{first} to {last} are {outcome:?}, `{reason}`, under {rules:?}"))
    }

    /// Whether as many runs can have waited as the cap allows.
    fn may_drop(&self, uid: JobUid, rule: &Misfire) -> bool {
        let before = runs_of(self.store).filter(waits);
        let written = self.written().filter(|run| run.cause == Cause::Schedule);
        let all = before.chain(written).filter(|run| run.job_uid == uid);
        let all: BTreeSet<RunId> = all.map(|run| run.id).collect();
        rule.policy == MisfirePolicy::Replay
            && u32::try_from(all.len()).is_ok_and(|count| count >= rule.cap)
    }

    /// Whether the run that instants are said to be merged into stands for them.
    fn stands_for(&self, uid: JobUid, range: &FireRangeRecord) -> bool {
        let written: Vec<_> = self.written().filter(|run| Some(run.id) == range.run).collect();
        let stored = range.run.and_then(|run| self.store.get(&records::run_key(&run)));
        let stored = stored.and_then(|value| records::decode::<RunRecord>(value).ok());
        let run = written.into_iter().last().or(stored);
        run.is_some_and(|run| {
            run.job_uid == uid
                && run.planned_at < range.first
                && run.planned_until >= range.last
                && run.cause == Cause::Schedule
        })
    }
}
