//! The oracle: what the ledger must say of every planned instant, and of nothing else.

use std::collections::BTreeMap;

use muster_api::{
    JobUid, RunId, Timestamp,
    views::{Cause, FireOutcome},
};
use muster_engine::records::{self, CursorRecord, FireRangeRecord, JobRecord, RunRecord};

use super::{jobs::Job, misfires::Judge, scheduler::Scheduler};

/// What the ledger of a life holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Planned instants.
    pub planned: u64,
    /// Those that have a run of their own.
    pub runs: u64,
    /// Those that were merged into another's run.
    pub coalesced: u64,
    /// Those that were passed over: too old, or in the way of another run.
    pub skipped: u64,
    /// Those for which too many waited.
    pub dropped: u64,
}

/// What stands in the ledger for some instants.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// When the last of them was decided.
    pub(super) decided_at: Timestamp,
    pub(super) outcome: Option<FireOutcome>,
    /// The run that stands for them, if another one than their own.
    pub(super) into: Option<RunId>,
}

/// What is stored of a job's instants.
#[derive(Debug, Default)]
struct Stored {
    rows: Vec<Row>,
    runs: BTreeMap<RunId, RunRecord>,
}

/// Compares what is stored with the plans of all jobs; says what differs first.
pub(super) fn check(scheduler: &Scheduler, jobs: &[Job], end: Timestamp) -> Result<Tally, String> {
    let mut stored: BTreeMap<JobUid, Stored> = BTreeMap::new();
    for prefix in [records::RUNS, records::PAST_RUNS] {
        for run in scheduler.rows::<RunRecord>(prefix).into_values() {
            if run.cause == Cause::Schedule {
                let of_job = stored.entry(run.job_uid).or_default();
                of_job.rows.push(Row::of_run(&run));
                of_job.runs.insert(run.id, run);
            }
        }
    }
    for (key, range) in scheduler.rows::<FireRangeRecord>(records::FIRES) {
        let uid = key[records::FIRES.len()..].split('/').next().and_then(|uid| uid.parse().ok());
        let uid = uid.ok_or_else(|| format!("{key} is of no job"))?;
        stored.entry(uid).or_default().rows.push(Row::of_range(&range));
    }
    let records: BTreeMap<_, JobRecord> = scheduler.rows(records::JOBS);
    let uids: BTreeMap<String, JobUid> =
        records.values().map(|job| (job.spec.name.to_string(), job.uid)).collect();
    let mut tally = Tally::default();
    for job in jobs {
        let uid = uids.get(&job.name).ok_or_else(|| format!("{} is gone", job.name))?;
        let stored = stored.remove(uid).unwrap_or_default();
        let key = String::from_utf8_lossy(&records::cursor_key(uid)).into_owned();
        let cursor = scheduler.rows::<CursorRecord>(&key).into_values().next();
        let cursor = cursor.ok_or_else(|| format!("{} has no cursor", job.name))?;
        check_job(job, &stored, cursor, end, &mut tally)
            .map_err(|what| format!("{}: {what}", job.name))?;
    }
    match stored.keys().next() {
        None => Ok(tally),
        Some(uid) => Err(format!("the ledger has rows of {uid}, which is no job")),
    }
}

fn check_job(
    job: &Job,
    stored: &Stored,
    cursor: CursorRecord,
    end: Timestamp,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut planned = planned(job, cursor, end)?;
    check_fires(stored, &planned)?;
    let judge = Judge::new(job, &stored.runs);
    for row in &stored.rows {
        for at in [row.first, row.last] {
            if !planned.contains_key(&at) {
                return Err(format!("{at} is in the ledger and was never planned"));
            }
        }
        if row.decided_at < row.last {
            return Err(format!("{} was decided at {}, before its time", row.last, row.decided_at));
        }
        judge.of_row(row)?;
        for (at, outcomes) in planned.range_mut(row.first..=row.last) {
            *outcomes += 1;
            match row.outcome {
                None => tally.runs += 1,
                Some(FireOutcome::Coalesced) => tally.coalesced += 1,
                Some(FireOutcome::Skipped) => tally.skipped += 1,
                Some(FireOutcome::Dropped) => tally.dropped += 1,
                Some(other) => return Err(format!("{at} became {other:?}")),
            }
            judge.of_instant(row, *at)?;
        }
    }
    tally.planned += planned.len() as u64;
    match planned.into_iter().find(|(_, outcomes)| *outcomes != 1) {
        None => Ok(()),
        Some((at, outcomes)) => Err(format!("{at} has {outcomes} outcomes")),
    }
}

/// Every planned instant of a job, with no outcome yet.
fn planned(
    job: &Job,
    cursor: CursorRecord,
    end: Timestamp,
) -> Result<BTreeMap<Timestamp, u64>, String> {
    let mut planned = BTreeMap::new();
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
    Ok(planned)
}

/// Each run stands for its own instant and for those that were merged into it, up to the last one.
fn check_fires(stored: &Stored, planned: &BTreeMap<Timestamp, u64>) -> Result<(), String> {
    let mut stands_for: BTreeMap<RunId, (u64, Timestamp)> =
        stored.runs.iter().map(|(id, run)| (*id, (1, run.planned_at))).collect();
    for row in stored.rows.iter().filter(|row| row.outcome == Some(FireOutcome::Coalesced)) {
        let run = row.into.and_then(|into| stands_for.get_mut(&into));
        let (count, last) = run.ok_or_else(|| format!("{} is merged into nothing", row.first))?;
        *count += planned.range(row.first..=row.last).count() as u64;
        *last = row.last.max(*last);
    }
    for (id, (count, last)) in stands_for {
        let run = &stored.runs[&id];
        // One that was merged itself had taken in nothing since.
        let said = (run.fires.unwrap_or(count), run.planned_until);
        if said != (count, last) {
            return Err(format!(
                "the run of {} stands for {count} up to {last}, not {said:?}",
                run.planned_at
            ));
        }
    }
    Ok(())
}

impl Row {
    /// The row of a run is its first instant; the others that it stands for are ranges, or the rows
    /// of runs that were merged into it.
    fn of_run(run: &RunRecord) -> Self {
        Self {
            first: run.planned_at,
            last: run.planned_at,
            decided_at: run.merged_into.and(run.ended_at).unwrap_or(run.created_at),
            outcome: run.merged_into.map(|_| FireOutcome::Coalesced),
            into: run.merged_into,
        }
    }

    fn of_range(range: &FireRangeRecord) -> Self {
        Self {
            first: range.first,
            last: range.last,
            decided_at: range.at,
            outcome: Some(range.outcome),
            into: range.run,
        }
    }
}
