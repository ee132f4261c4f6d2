//! The oracle: what the ledger must say of every planned instant, and of nothing else.

use std::collections::BTreeMap;

use muster_api::{
    JobUid, Timestamp, limits,
    views::{Cause, FireOutcome},
};
use muster_engine::records::{self, CursorRecord, FireRangeRecord, JobRecord, RunRecord};

use super::{jobs::Job, scheduler::Scheduler};

/// What the ledger of a life holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Planned instants.
    pub planned: u64,
    /// Those that have a run of their own.
    pub runs: u64,
    /// Those that were merged into another's run.
    pub coalesced: u64,
    /// Those that were too old to be made good.
    pub skipped: u64,
}

/// What stands in the ledger for some instants.
struct Row {
    first: Timestamp,
    last: Timestamp,
    decided_at: Timestamp,
    outcome: Option<FireOutcome>,
    fires: Option<u64>,
    until: Timestamp,
}

/// Compares what is stored with the plans of all jobs; says what differs first.
pub(super) fn check(scheduler: &Scheduler, jobs: &[Job], end: Timestamp) -> Result<Tally, String> {
    let mut rows: BTreeMap<JobUid, Vec<Row>> = BTreeMap::new();
    for prefix in [records::RUNS, records::PAST_RUNS] {
        for run in scheduler.rows::<RunRecord>(prefix).into_values() {
            if run.cause == Cause::Schedule {
                rows.entry(run.job_uid).or_default().push(Row::of_run(&run));
            }
        }
    }
    for (key, range) in scheduler.rows::<FireRangeRecord>(records::FIRES) {
        let uid = key[records::FIRES.len()..].split('/').next().and_then(|uid| uid.parse().ok());
        let uid = uid.ok_or_else(|| format!("{key} is of no job"))?;
        rows.entry(uid).or_default().push(Row::of_range(&range));
    }
    let records: BTreeMap<_, JobRecord> = scheduler.rows(records::JOBS);
    let uids: BTreeMap<String, JobUid> =
        records.values().map(|job| (job.spec.name.to_string(), job.uid)).collect();
    let mut tally = Tally::default();
    for job in jobs {
        let uid = uids.get(&job.name).ok_or_else(|| format!("{} is gone", job.name))?;
        let rows = rows.remove(uid).unwrap_or_default();
        let key = String::from_utf8_lossy(&records::cursor_key(uid)).into_owned();
        let cursor = scheduler.rows::<CursorRecord>(&key).into_values().next();
        let cursor = cursor.ok_or_else(|| format!("{} has no cursor", job.name))?;
        check_job(job, rows, cursor, end, &mut tally)
            .map_err(|what| format!("{}: {what}", job.name))?;
    }
    match rows.keys().next() {
        None => Ok(tally),
        Some(uid) => Err(format!("the ledger has rows of {uid}, which is no job")),
    }
}

fn check_job(
    job: &Job,
    rows: Vec<Row>,
    cursor: CursorRecord,
    end: Timestamp,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut planned: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for stint in &job.stints {
        let offset = job.offset(stint.schedule);
        let due_by_end = end.before(offset);
        let until = stint.until.unwrap_or(due_by_end);
        let instants = job.schedules[stint.schedule].plan.instants(stint.after, until);
        if stint.until.is_none() && instants.last().is_some_and(|last| *last > cursor.settled) {
            return Err(format!("settled up to {} only, by {end}", cursor.settled));
        }
        planned.extend(instants.into_iter().map(|at| (at, 0)));
    }
    for row in rows {
        for at in [row.first, row.last, row.until] {
            if !planned.contains_key(&at) {
                return Err(format!("{at} is in the ledger and was never planned"));
            }
        }
        if row.decided_at < row.last {
            return Err(format!("{} was decided at {}, before its time", row.last, row.decided_at));
        }
        let stands_for = planned.range(row.first..=row.until).count() as u64;
        if row.fires.is_some_and(|fires| fires != stands_for) {
            return Err(format!("{} stands for {stands_for}, not {:?}", row.first, row.fires));
        }
        for (at, outcomes) in planned.range_mut(row.first..=row.last) {
            *outcomes += 1;
            match row.outcome {
                None => tally.runs += 1,
                Some(FireOutcome::Coalesced) => tally.coalesced += 1,
                Some(FireOutcome::Skipped) => {
                    let grace = limits::MISFIRE_GRACE_DEFAULT.duration();
                    if row.decided_at.since(*at) < grace {
                        return Err(format!("{at} was skipped at {}", row.decided_at));
                    }
                    tally.skipped += 1;
                }
                Some(other) => return Err(format!("{at} became {other:?}")),
            }
        }
    }
    tally.planned += planned.len() as u64;
    match planned.into_iter().find(|(_, outcomes)| *outcomes != 1) {
        None => Ok(()),
        Some((at, outcomes)) => Err(format!("{at} has {outcomes} outcomes")),
    }
}

impl Row {
    /// The row of a run is its first instant; the others that it stands for are ranges.
    fn of_run(run: &RunRecord) -> Self {
        Self {
            first: run.planned_at,
            last: run.planned_at,
            decided_at: run.created_at,
            outcome: None,
            fires: run.fires,
            until: run.planned_until,
        }
    }

    fn of_range(range: &FireRangeRecord) -> Self {
        Self {
            first: range.first,
            last: range.last,
            decided_at: range.at,
            outcome: Some(range.outcome),
            fires: None,
            until: range.last,
        }
    }
}
