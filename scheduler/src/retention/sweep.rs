//! One pass over history: finds what is too old or too much.
//!
//! It reads ranges in the order of their keys, which is that of time, and only as far as it finds
//! something to forget; but for one walk over the index of runs by job, whose rows are small, to
//! count them.

use muster_api::{JobUid, Timestamp, limits, views::RunState};
use muster_engine::records::{self, FireRangeRecord, RunRecord};
use serde::de::DeserializeOwned;

use super::HistoryLimits;
use crate::{
    store::{History, Row, StoreError},
    trace,
    walk::{Direction, RunWalk, Walk, first_run_id},
};

/// Keys of the store.
pub(super) type Keys = Vec<Vec<u8>>;

/// What ends a pass early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Interrupted {
    /// The process stops, or the driver does not take any more.
    #[error("told to stop")]
    Stopped,
    /// The store cannot be read.
    #[error("cannot look through the history")]
    Store(#[from] StoreError),
}

/// What a pass found and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Swept {
    /// Runs that are kept.
    pub(super) runs: u64,
    /// Jobs that have such runs.
    pub(super) jobs: u64,
    /// Runs that were forgotten.
    pub(super) forgotten_runs: u64,
    /// Records of any kind that were forgotten.
    pub(super) forgotten_records: u64,
}

/// A pass.
pub(super) struct Sweep<'a> {
    history: &'a dyn History,
    limits: HistoryLimits,
    now: Timestamp,
    /// Takes keys that are to be forgotten, at most [`limits::FORGET_KEYS`], and returns when they
    /// are; or takes none, and lets others have their turn.
    hand_over: &'a mut dyn FnMut(Keys) -> Result<(), Interrupted>,
    batch: Keys,
    /// Rows that were looked at since the last hand-over.
    looked: usize,
    swept: Swept,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(
        history: &'a dyn History,
        limits: HistoryLimits,
        now: Timestamp,
        hand_over: &'a mut dyn FnMut(Keys) -> Result<(), Interrupted>,
    ) -> Self {
        let (batch, looked, swept) = (Keys::new(), 0, Swept::default());
        Self { history, limits, now, hand_over, batch, looked, swept }
    }

    /// Goes through all of history once.
    pub(super) fn run(mut self) -> Result<Swept, Interrupted> {
        self.forget_old_runs()?;
        self.trim_jobs()?;
        self.trim_all()?;
        self.forget_old_ranges()?;
        self.forget_old_events()?;
        self.flush()?;
        Ok(self.swept)
    }

    /// The instant before which what is over is too old.
    fn oldest(&self) -> Timestamp {
        self.now.before(self.limits.age.duration())
    }

    /// Runs that ended too long ago. They are found by when they were created; those that took
    /// long are looked at by each pass until their time has come.
    fn forget_old_runs(&mut self) -> Result<(), Interrupted> {
        let oldest = self.oldest();
        let end = first_run_id(oldest);
        let mut runs = self.past_runs(records::past_runs_in);
        while let Some(((_, id), row)) = runs.take()? {
            if id >= end {
                break;
            }
            self.look()?;
            let Some(run) = decode::<RunRecord>(&row) else { continue };
            if run.ended_at.is_none_or(|ended| ended < oldest) {
                self.forget_run(&run)?;
            }
        }
        self.flush()
    }

    /// Counts the runs of each job, and forgets the oldest of those that have too many.
    fn trim_jobs(&mut self) -> Result<(), Interrupted> {
        let prefix = records::PAST_RUNS_BY_JOB.as_bytes().to_vec();
        let mut index = Walk::new(self.history, prefix, Direction::Up, None);
        let mut current: Option<(JobUid, u64)> = None;
        while let Some((key, _)) = index.take()? {
            self.look()?;
            let Some(job) = job_of(&key, records::PAST_RUNS_BY_JOB) else { continue };
            match &mut current {
                Some((counted, runs)) if *counted == job => *runs += 1,
                _ => {
                    if let Some((job, runs)) = current.replace((job, 1)) {
                        self.trim_job(&job, runs)?;
                    }
                }
            }
        }
        if let Some((job, runs)) = current {
            self.trim_job(&job, runs)?;
        }
        self.flush()
    }

    fn trim_job(&mut self, job: &JobUid, runs: u64) -> Result<(), Interrupted> {
        let excess = runs.saturating_sub(self.limits.runs_per_job);
        self.swept.jobs += 1;
        self.swept.runs += runs - excess;
        let mut index = self.past_runs(|state| records::past_runs_of_in(job, state));
        for _ in 0..excess {
            let Some((past, (key, _))) = index.take()? else { break };
            self.look()?;
            let row_key = records::past_run_key(past);
            let Some(value) = self.history.get(&row_key)? else {
                self.forget(vec![key])?;
                continue;
            };
            if let Some(run) = decode::<RunRecord>(&(row_key, value)) {
                self.forget_run(&run)?;
            }
        }
        Ok(())
    }

    /// Forgets the oldest runs of all, when there are too many.
    fn trim_all(&mut self) -> Result<(), Interrupted> {
        let excess = self.swept.runs.saturating_sub(self.limits.runs);
        let mut runs = self.past_runs(records::past_runs_in);
        for _ in 0..excess {
            let Some((_, row)) = runs.take()? else { break };
            self.look()?;
            if let Some(run) = decode::<RunRecord>(&row) {
                self.forget_run(&run)?;
                self.swept.runs -= 1;
            }
        }
        self.flush()
    }

    /// Forgets ranges of the fire ledger whose last instant is too long ago. They sort by job and
    /// then by time, so it jumps from the first one to be kept to those of the next job.
    fn forget_old_ranges(&mut self) -> Result<(), Interrupted> {
        let oldest = self.oldest();
        let all = records::FIRES.as_bytes();
        let mut after: Option<Vec<u8>> = None;
        while let Some((key, _)) = self.history.scan(all, after.as_deref(), false, 1)?.pop() {
            self.look()?;
            let Some(job) = job_of(&key, records::FIRES) else {
                after = Some(key);
                continue;
            };
            let of_job = records::fires_of(&job);
            let mut ranges = Walk::new(self.history, of_job.clone(), Direction::Up, None);
            while let Some(row) = ranges.take()? {
                self.look()?;
                let is_old = |range: FireRangeRecord| range.last < oldest;
                if !decode(&row).is_some_and(is_old) {
                    break;
                }
                self.forget(vec![row.0])?;
            }
            // Behind all keys that begin so: no key of a ledger has such a byte.
            after = Some([of_job.as_slice(), &[u8::MAX]].concat());
        }
        Ok(())
    }

    /// Forgets the oldest records of the log of events that are too old, or beyond its number. Each
    /// says how many events were logged before it, so nobody counts them. The newest one stays in any
    /// case, for the numbers go on from it.
    fn forget_old_events(&mut self) -> Result<(), Interrupted> {
        let log = trace::EVENTS.as_bytes();
        let newest = self.history.scan(log, None, true, 1)?.pop();
        let Some((newest, count)) =
            newest.and_then(|row| Some((row.0.clone(), events_upto(&row)?)))
        else {
            return Ok(());
        };
        let millis = |at: Timestamp| u64::try_from(at.as_millis()).unwrap_or(0);
        let (oldest, now) = (millis(self.oldest()), millis(self.now));
        let beyond = count.saturating_sub(self.limits.events);
        let mut records = Walk::new(self.history, log.to_vec(), Direction::Up, None);
        while let Some(row) = records.take()?.filter(|row| row.0 != newest) {
            self.look()?;
            let (logged, upto) = (logged_at(&row, now), events_upto(&row));
            let is_old = logged.is_some_and(|logged| logged < oldest);
            if is_old || upto.is_some_and(|upto| upto <= beyond) {
                self.forget(vec![row.0])?;
            } else if upto.is_some() && logged.is_some_and(|logged| logged <= now) {
                break;
            }
            // What cannot be read, or is of a time to come, says nothing of what is behind it.
        }
        Ok(())
    }

    /// Forgets a run: first its tasks, of which there may be many, and at last the run itself with
    /// all that leads to it, in one commit. So a run is found until nothing of it is left.
    fn forget_run(&mut self, run: &RunRecord) -> Result<(), Interrupted> {
        let prefix = records::past_tasks_of(&run.id);
        let mut tasks = Walk::new(self.history, prefix, Direction::Up, None);
        while let Some((key, _)) = tasks.take()? {
            self.forget(vec![key])?;
        }
        self.swept.forgotten_runs += 1;
        self.forget(records::past_run_keys(run))
    }

    /// Adds keys that are to be forgotten in one commit.
    fn forget(&mut self, keys: Keys) -> Result<(), Interrupted> {
        if self.batch.len() + keys.len() > limits::FORGET_KEYS {
            self.flush()?;
        }
        self.swept.forgotten_records += keys.len() as u64;
        self.batch.extend(keys);
        Ok(())
    }

    /// Notes that a row was looked at; others have their turn after some.
    fn look(&mut self) -> Result<(), Interrupted> {
        self.looked += 1;
        if self.looked >= limits::PAGE_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Interrupted> {
        self.looked = 0;
        (self.hand_over)(std::mem::take(&mut self.batch))
    }

    /// Past runs, the oldest first, of one range a state.
    fn past_runs(&self, prefix: impl Fn(RunState) -> Vec<u8>) -> RunWalk<'a> {
        let range = |state| (state, Walk::new(self.history, prefix(state), Direction::Up, None));
        RunWalk::new(records::PAST_STATES.map(range).into(), Direction::Up)
    }
}

/// The job that follows `prefix` in a key.
fn job_of(key: &[u8], prefix: &str) -> Option<JobUid> {
    let rest = key.strip_prefix(prefix.as_bytes())?;
    let end = rest.iter().position(|byte| *byte == b'/')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// When a record was written, in Unix milliseconds. One that is ahead of `now`, because the clock was
/// once, is as old as its first event says; the others are not, as a source may tell any time.
fn logged_at((key, value): &Row, now: u64) -> Option<u64> {
    let sequence = trace::sequence_of(key)?;
    if sequence <= now {
        return Some(sequence);
    }
    let mut record = trace::Record::open(sequence, value).ok()?;
    let at = record.next_row().ok()??.at;
    Some(u64::try_from(at.as_millis()).unwrap_or(0).min(sequence))
}

/// How many events were ever logged up to the end of a record.
fn events_upto((key, value): &Row) -> Option<u64> {
    let record = trace::Record::open(trace::sequence_of(key)?, value).ok()?;
    Some(record.before() + record.count())
}

/// The record of a row. One that cannot be read is left where it is, for somebody to look at.
fn decode<T: DeserializeOwned>((key, value): &Row) -> Option<T> {
    let decoded = records::decode(value);
    if let Err(error) = &decoded {
        let key = key.escape_ascii();
        tracing::warn!(%key, error = error as &dyn std::error::Error, "a stored record is damaged");
    }
    decoded.ok()
}

#[cfg(test)]
mod tests;
