//! Keys of history: of what is over.
//!
//! A run that is over is one record, and in the same commit entries that lead to it. Its id is a
//! UUID v7, so each of these ranges is in the order in which runs were created, and any of the
//! lists of runs is a merge of at most four ranges that is read from where it begins:
//!
//! | key | value | for |
//! |---|---|---|
//! | `h/r/{state}/{run}` | the run | runs; runs by state; a run by its id: one read a state |
//! | `h/j/{job}/{state}/{run}` | empty | runs by job; runs by job and state |
//! | `h/p/{job}/{planned}` | state and id of the run | the fire ledger: only of scheduled runs |
//! | `h/f/{job}/{first}` | a range of instants | the fire ledger: instants that are no run |
//! | `h/t/{run}/{item}/{attempt}/{epoch}` | the task | the tasks of a run or shard |

use muster_api::{
    JobUid, RunId, Timestamp,
    step::Write,
    views::{Cause, RunState},
};

use super::{RunRecord, encode};

/// Key prefix of runs that are over.
pub const PAST_RUNS: &str = "h/r/";
/// Key prefix of the index of past runs by job and state.
pub const PAST_RUNS_BY_JOB: &str = "h/j/";
/// Key prefix of the index of past scheduled runs by job and planned instant.
pub const PAST_FIRES: &str = "h/p/";
/// Key prefix of tasks that are over.
pub const PAST_TASKS: &str = "h/t/";
/// Key prefix of ranges of the fire ledger.
pub const FIRES: &str = "h/f/";
/// Key prefix of the index of past runs by id in stores of the first layout, where a past run lay
/// under [`former_past_run_key`]. Its values are uids of jobs.
pub const FORMER_PAST_RUNS_INDEX: &str = "h/i/";

/// The states of runs that are over, each with a range of its own.
pub const PAST_STATES: [RunState; 4] =
    [RunState::Succeeded, RunState::Failed, RunState::TimedOut, RunState::Cancelled];

/// What leads to a run that is over: with these its key is known.
pub type PastRun = (RunState, RunId);

/// Key prefix of the past runs that ended in a state; what follows is the run's id.
pub fn past_runs_in(state: RunState) -> Vec<u8> {
    format!("{PAST_RUNS}{}/", state.as_str()).into_bytes()
}

/// Key of a past run.
pub fn past_run_key((state, id): PastRun) -> Vec<u8> {
    format!("{PAST_RUNS}{}/{id}", state.as_str()).into_bytes()
}

/// Key prefix of the past runs of a job that ended in a state; what follows is the run's id.
pub fn past_runs_of_in(uid: &JobUid, state: RunState) -> Vec<u8> {
    format!("{PAST_RUNS_BY_JOB}{uid}/{}/", state.as_str()).into_bytes()
}

/// Key of a past run in the index by job and state.
pub fn past_run_of_key(uid: &JobUid, (state, id): PastRun) -> Vec<u8> {
    format!("{PAST_RUNS_BY_JOB}{uid}/{}/{id}", state.as_str()).into_bytes()
}

/// Key prefix of the past scheduled runs of a job; what follows sorts by planned instant.
pub fn past_fires_of(uid: &JobUid) -> Vec<u8> {
    format!("{PAST_FIRES}{uid}/").into_bytes()
}

/// Key of a past scheduled run in the index by planned instant; its value is a [`PastRun`].
pub fn past_fire_key(uid: &JobUid, planned: Timestamp) -> Vec<u8> {
    format!("{PAST_FIRES}{uid}/{:020}", planned.as_millis()).into_bytes()
}

/// Key of a past run in stores of the first layout.
pub fn former_past_run_key(uid: &JobUid, id: &RunId) -> Vec<u8> {
    format!("{PAST_RUNS}{uid}/{id}").into_bytes()
}

/// What a run that is over is stored as: the record, and the entries that lead to it.
pub fn past_run_writes(run: &RunRecord) -> Vec<Write> {
    let past = (run.state, run.id);
    let values = [encode(run), Vec::new(), encode(&past)];
    let rows = past_run_keys(run).into_iter().zip(values);
    rows.map(|(key, value)| Write::Put { key, value }).collect()
}

/// The keys of all that [`past_run_writes`] makes of a run.
pub fn past_run_keys(run: &RunRecord) -> Vec<Vec<u8>> {
    let past = (run.state, run.id);
    let mut keys = vec![past_run_key(past), past_run_of_key(&run.job_uid, past)];
    if run.cause == Cause::Schedule {
        keys.push(past_fire_key(&run.job_uid, run.planned_at));
    }
    keys
}

/// Key prefix of the past tasks of a run; what follows is item and attempt, so that they sort.
pub fn past_tasks_of(run: &RunId) -> Vec<u8> {
    format!("{PAST_TASKS}{run}/").into_bytes()
}

/// Key prefix of the past tasks of a shard; the last one is its newest.
pub fn past_tasks_of_shard(run: &RunId, item: u32) -> Vec<u8> {
    format!("{PAST_TASKS}{run}/{item:05}/").into_bytes()
}

/// Key of a past task. Tasks that never started share an attempt with the next one, so the task's
/// epoch, which only grows, is part of it.
pub fn past_task_key(run: &RunId, item: u32, attempt: u32, epoch: u64) -> Vec<u8> {
    format!("{PAST_TASKS}{run}/{item:05}/{attempt:010}/{epoch:020}").into_bytes()
}

/// Key prefix of the ledger ranges of a job; what follows sorts by first instant.
pub fn fires_of(uid: &JobUid) -> Vec<u8> {
    format!("{FIRES}{uid}/").into_bytes()
}

/// Key of a ledger range.
pub fn fire_key(uid: &JobUid, first: Timestamp) -> Vec<u8> {
    format!("{FIRES}{uid}/{:020}", first.as_millis()).into_bytes()
}
