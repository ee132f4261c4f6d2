//! What must hold, whatever happens. Each oracle is one function; it looks at the truth, which no
//! core knows, and at what is on the scheduler's disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use muster_api::{
    Amount, JobName, Resources, RunId, TaskId,
    step::{Records, Write},
    task::ShardContext,
    views::Cause,
};
use muster_engine::records::{self, PastTaskRecord, RunRecord};
use muster_proto::{ExecutorId, ExecutorInfo};

/// An oracle that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub oracle: &'static str,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oracle, self.what)
    }
}

type Verdict = Result<(), Violation>;

/// What is really so.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    hosts: BTreeMap<usize, Resources>,
    jobs: BTreeMap<JobName, Resources>,
    executors: BTreeMap<(usize, ExecutorId), Resources>,
    running: BTreeMap<(RunId, u32), Running>,
    /// The highest epoch that the code of each shard was given.
    epochs: BTreeMap<(RunId, u32), u64>,
    runs_over: BTreeSet<RunId>,
    tasks_over: BTreeSet<TaskId>,
    accepted: BTreeSet<RunId>,
    tasks: u64,
}

/// User code that runs now.
#[derive(Debug)]
struct Running {
    task: TaskId,
    host: usize,
    resources: Resources,
}

impl Truth {
    pub(crate) fn host(&mut self, host: usize, resources: Resources) {
        self.hosts.insert(host, resources);
    }

    pub(crate) fn job(&mut self, name: &JobName, resources: &Resources) {
        self.jobs.insert(name.clone(), resources.clone());
    }

    pub(crate) fn executor_begins(&mut self, host: usize, id: &ExecutorId, info: &ExecutorInfo) {
        let mut resources = Resources::none();
        for resource in &info.resources {
            let value = resource.scalar.map_or(0.0, |scalar| scalar.value);
            resources.set(&resource.name, Amount::from_f64(value).unwrap_or_default());
        }
        self.executors.insert((host, id.clone()), resources);
    }

    pub(crate) fn executor_ends(&mut self, host: usize, id: &ExecutorId) {
        self.executors.remove(&(host, id.clone()));
    }

    pub(crate) fn code_begins(&mut self, host: usize, context: &ShardContext) {
        let resources = self.jobs.get(&context.job).cloned().unwrap_or_else(Resources::none);
        let shard = (context.run, context.shard_item);
        self.running.insert(shard, Running { task: context.task, host, resources });
        self.epochs.insert(shard, context.epoch);
        self.tasks += 1;
    }

    pub(crate) fn code_ends(&mut self, context: &ShardContext) {
        self.running.remove(&(context.run, context.shard_item));
    }

    /// A user was told that a run was accepted.
    pub(crate) fn accepted(&mut self, run: RunId) {
        self.accepted.insert(run);
    }

    /// How many runs are over.
    pub(crate) fn runs(&self) -> u64 {
        self.runs_over.len() as u64
    }

    /// How often user code began to run.
    pub(crate) fn tasks(&self) -> u64 {
        self.tasks
    }
}

fn broken(oracle: &'static str, what: String) -> Verdict {
    Err(Violation { oracle, what })
}

/// The code of a shard that is about to run does not run anywhere already.
pub(crate) fn no_shard_runs_twice(truth: &Truth, context: &ShardContext) -> Verdict {
    match truth.running.get(&(context.run, context.shard_item)) {
        None => Ok(()),
        Some(other) => broken(
            "no_shard_runs_twice",
            format!(
                "shard {} of run {} runs as task {} on host{}, and now as task {}",
                context.shard_item, context.run, other.task, other.host, context.task
            ),
        ),
    }
}

/// Code that is about to run is of a run and a task that are not over.
pub(crate) fn nothing_runs_after_its_end(truth: &Truth, context: &ShardContext) -> Verdict {
    if truth.runs_over.contains(&context.run) || truth.tasks_over.contains(&context.task) {
        let ShardContext { run, task, shard_item, .. } = context;
        let what = format!("task {task} of shard {shard_item} of run {run} is over, and runs");
        return broken("nothing_runs_after_its_end", what);
    }
    Ok(())
}

/// Of the tasks of one shard a later one has a higher epoch.
pub(crate) fn epochs_grow(truth: &Truth, context: &ShardContext) -> Verdict {
    match truth.epochs.get(&(context.run, context.shard_item)) {
        Some(before) if *before >= context.epoch => broken(
            "epochs_grow",
            format!("task {} has epoch {} after {before}", context.task, context.epoch),
        ),
        Some(_) | None => Ok(()),
    }
}

/// What lives on a host fits into it.
pub(crate) fn no_host_is_over_promised(truth: &Truth, host: usize) -> Verdict {
    let executors = truth.executors.iter().filter(|((of, _), _)| *of == host).map(|(_, r)| r);
    let tasks = truth.running.values().filter(|code| code.host == host).map(|code| &code.resources);
    let mut used = Resources::none();
    for each in executors.chain(tasks) {
        used = used.checked_add(each).unwrap_or(used);
    }
    let total = truth.hosts.get(&host).cloned().unwrap_or_else(Resources::none);
    if total.covers(&used) {
        return Ok(());
    }
    broken("no_host_is_over_promised", format!("host{host} has {total}, and {used} is in use"))
}

/// What is over does not change any more.
pub(crate) fn terminal_is_final(truth: &Truth, store: &Records, write: &Write) -> Verdict {
    let key = String::from_utf8_lossy(write.key());
    let is_past = key.starts_with(records::PAST_RUNS) || key.starts_with(records::PAST_TASKS);
    if is_past
        && let (Some(before), Write::Put { value, .. }) = (store.get(write.key()), write)
        && before != value
    {
        let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(value));
        return broken("terminal_is_final", format!("{key} was {before} and becomes {after}"));
    }
    let run = key.strip_prefix(records::RUNS).and_then(|id| id.parse().ok());
    if matches!(write, Write::Put { .. }) && run.is_some_and(|run| truth.runs_over.contains(&run)) {
        return broken("terminal_is_final", format!("{key} is over, and lives again"));
    }
    Ok(())
}

/// When it is stored that a run or a task is over, nothing of it runs.
pub(crate) fn what_is_over_does_not_run(truth: &mut Truth, write: &Write) -> Verdict {
    const NAME: &str = "what_is_over_does_not_run";
    let Write::Put { key, value } = write else { return Ok(()) };
    if key.starts_with(records::PAST_RUNS.as_bytes())
        && let Ok(record) = records::decode::<RunRecord>(value)
    {
        truth.runs_over.insert(record.id);
        let mut shards = truth.running.range((record.id, 0)..=(record.id, u32::MAX));
        if let Some(((run, item), code)) = shards.next() {
            let what = format!("run {run} is over, and task {} of shard {item} runs", code.task);
            return broken(NAME, what);
        }
    }
    if key.starts_with(records::PAST_TASKS.as_bytes())
        && let Ok(record) = records::decode::<PastTaskRecord>(value)
    {
        truth.tasks_over.insert(record.task);
        if let Some(code) = truth.running.values().find(|code| code.task == record.task) {
            let what = format!("task {} is over, and runs on host{}", record.task, code.host);
            return broken(NAME, what);
        }
    }
    Ok(())
}

/// Every run that a user was told of is on the disk.
pub(crate) fn nothing_accepted_is_lost(truth: &Truth, store: &Records) -> Verdict {
    let is_there = |run: &&RunId| {
        store.contains_key(&records::run_key(run))
            || store.contains_key(&records::past_run_index_key(run))
    };
    match truth.accepted.iter().find(|run| !is_there(run)) {
        None => Ok(()),
        Some(run) => {
            broken("nothing_accepted_is_lost", format!("run {run} was accepted, and is gone"))
        }
    }
}

/// Each trigger that was accepted became one run, however often it was asked for, and no other
/// run has that cause. Asked when everything has come to rest.
pub(crate) fn each_trigger_is_one_run(store: &Records, accepted: usize) -> Verdict {
    let prefix = records::PAST_RUNS.as_bytes();
    let past = store.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
    let runs = past.filter_map(|(_, value)| records::decode::<RunRecord>(value).ok());
    let triggered = runs.filter(|run| run.cause == Cause::Trigger).count();
    if triggered == accepted {
        return Ok(());
    }
    let what = format!("{accepted} triggers were accepted, and {triggered} runs were triggered");
    broken("each_trigger_is_one_run", what)
}

/// What is still there when everything should have come to rest.
pub(crate) fn everything_converges(store: &Records, restless: &[String]) -> Verdict {
    let live = [records::RUNS, records::TASKS, records::EXECUTORS];
    let keys = live.iter().flat_map(|prefix| with_prefix(store, prefix));
    let left: Vec<_> = keys.chain(restless.iter().cloned()).take(10).collect();
    if left.is_empty() { Ok(()) } else { broken("everything_converges", left.join(", ")) }
}

fn with_prefix<'a>(store: &'a Records, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
    let from = prefix.as_bytes().to_vec();
    let keys = store.range(from..).map(|(key, _)| key);
    let keys = keys.take_while(move |key| key.starts_with(prefix.as_bytes()));
    keys.map(|key| String::from_utf8_lossy(key).into_owned())
}

/// No agent stops for good: nothing here gives it a reason to.
pub(crate) fn nobody_gives_up(hostname: &str, message: &str) -> Verdict {
    broken("nobody_gives_up", format!("the agent on {hostname} stops: {message}"))
}
