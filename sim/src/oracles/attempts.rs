//! What is counted against a shard, and what is not.

use std::{collections::BTreeMap, sync::Arc};

use muster_api::{
    JobName, RunId, TaskId,
    spec::JobSpec,
    step::{Records, Write},
};
use muster_engine::records::{self, JobRecord, PastTaskRecord, RunRecord, TaskRecord, Tries};

use super::{Truth, Verdict, broken, with_prefix};

const NAME: &str = "attempts_are_counted";

/// What a shard went through up to its newest task.
#[derive(Debug, Clone)]
pub(super) struct Newest {
    task: TaskId,
    tries: Tries,
    /// How that task ended, in words.
    ended: Option<String>,
}

/// Which counters move when a task has ended so, in the words of its history.
fn moves(ended: &str) -> Option<(u32, u32)> {
    let own_death = ended.starts_with("it died") && !ended.starts_with("it died by no fault");
    if own_death {
        return Some((1, 0));
    }
    let free = [
        "never started",
        "its lease ended",
        "it counts as dead",
        "it died by no fault",
        "moved off ",
        "its executor could not be had there",
    ];
    if free.iter().any(|words| ended.starts_with(words)) {
        return Some((0, 0));
    }
    let code = ["its code failed", "it took longer than its timeout", "its executor could not be"];
    code.iter().any(|words| ended.starts_with(words)).then_some((0, 1))
}

/// A further try is counted as the end of the former task says: a death by the end of a lease, a
/// neighbour's doing and a launch that never started use nothing up, and nothing goes beyond what the
/// job allows. A shard whose task took its executor along has executors of its own from then on.
pub(crate) fn attempts_are_counted(
    truth: &mut Truth,
    store: &Records,
    writes: &[Write],
) -> Verdict {
    let puts = |prefix: &'static str| {
        writes.iter().filter_map(move |write| match write {
            Write::Put { key, value } => {
                let key = std::str::from_utf8(key).ok()?.strip_prefix(prefix)?;
                Some((key, value))
            }
            Write::Delete { .. } => None,
        })
    };
    // Of the order within a commit nothing is known.
    let mut ends: BTreeMap<(RunId, u32), BTreeMap<TaskId, Option<String>>> = BTreeMap::new();
    for (key, value) in puts(records::PAST_TASKS) {
        let (Some(shard), Ok(past)) = (shard_of(key), records::decode::<PastTaskRecord>(value))
        else {
            return broken(NAME, format!("{key} is no past task"));
        };
        ends.entry(shard).or_default().insert(past.task, past.reason);
    }
    for (key, value) in puts(records::TASKS) {
        let (Ok(task), Ok(record)) = (key.parse(), records::decode::<TaskRecord>(value)) else {
            return broken(NAME, format!("{key} is no task"));
        };
        // A resident task is replaced without end, and nothing is counted against it.
        if record.version.is_some() {
            continue;
        }
        let shard = (record.run, record.item);
        let of_shard = ends.entry(shard).or_default();
        if let Some(newest) = truth.shards.get_mut(&shard)
            && let Some(ended) = of_shard.remove(&newest.task)
        {
            newest.ended = ended;
        }
        if of_shard.keys().any(|other| *other != task) {
            truth.shards.remove(&shard);
        }
        launched(truth, store, task, record)?;
    }
    for (shard, mut left) in ends {
        let Some(newest) = truth.shards.get_mut(&shard) else { continue };
        if let Some(ended) = left.remove(&newest.task) {
            newest.ended = ended;
        }
        // What tasks carried on nobody can tell that began and ended within this commit.
        if !left.is_empty() {
            truth.shards.remove(&shard);
        }
    }
    Ok(())
}

/// The shard in the key of a past task.
fn shard_of(key: &str) -> Option<(RunId, u32)> {
    let mut parts = key.split('/');
    parts.next()?.parse().ok().zip(parts.next()?.parse().ok())
}

fn launched(truth: &mut Truth, store: &Records, task: TaskId, record: TaskRecord) -> Verdict {
    let tries = record.tries;
    if truth.shards.get(&(record.run, record.item)).is_some_and(|newest| newest.task == task) {
        return Ok(());
    }
    let newest = Newest { task, tries: tries.clone(), ended: None };
    let before = truth.shards.insert((record.run, record.item), newest);
    let Some(before) = before else { return Ok(()) };
    let Some(ended) = before.ended else {
        let what = format!("task {task} follows {}, of whose end nothing is stored", before.task);
        return broken(NAME, what);
    };
    let had = before.tries;
    let expected = moves(&ended).map(|(died, failed)| (had.deaths + died, had.failures + failed));
    if expected != Some((tries.deaths, tries.failures)) {
        let what = format!("after `{ended}` task {task} has {tries:?}, and before it was {had:?}");
        return broken(NAME, what);
    }
    if truth.took_along.contains(&before.task) && is_its_own_doing(&ended) && !tries.alone {
        let what = format!("task {task} is not alone, and before it `{ended}` by its own doing");
        return broken(NAME, what);
    }
    let Some(spec) = spec_of(store, record.run) else { return Ok(()) };
    let allowed = (spec.failover.max_attempts, spec.retry.max_attempts);
    if tries.deaths > allowed.0 || tries.failures > allowed.1 {
        return broken(NAME, format!("task {task} has {tries:?}, and allowed are {allowed:?}"));
    }
    Ok(())
}

/// Whether the scheduler was told that nobody else ended the executor.
fn is_its_own_doing(ended: &str) -> bool {
    ended.starts_with("it died") && ended.ends_with("was ended by signal 9")
}

/// The newest document of the job of a run.
pub(super) fn spec_of(store: &Records, run: RunId) -> Option<Arc<JobSpec>> {
    let run: RunRecord = records::decode(store.get(&records::run_key(&run))?).ok()?;
    let name: JobName = run.job;
    let job: JobRecord = records::decode(store.get(&records::job_key(&name))?).ok()?;
    (job.uid == run.job_uid).then_some(job.spec)
}

/// A task whose shard has executors of its own shares its executor with no other task.
pub(crate) fn who_is_alone_is_alone(store: &Records) -> Verdict {
    let tasks = with_prefix(store, records::TASKS);
    let tasks: Vec<TaskRecord> =
        tasks.filter_map(|(_, value)| records::decode(value).ok()).collect();
    for alone in tasks.iter().filter(|task| task.tries.alone) {
        let count = tasks.iter().filter(|task| task.executor == alone.executor).count();
        if count > 1 {
            let (item, run, executor) = (alone.item, alone.run, alone.executor);
            let what = format!("shard {item} of run {run} shares executor {executor} with others");
            return broken("who_is_alone_is_alone", what);
        }
    }
    Ok(())
}
