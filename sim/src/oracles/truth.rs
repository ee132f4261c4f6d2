//! What is really so: on hosts, on wires, and in the minds of users.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{Amount, JobName, Resources, RunId, TaskId, task::ShardContext};
use muster_proto::{ExecutorId, ExecutorInfo, agent::Status};

use super::Fires;

/// What is really so.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(super) hosts: BTreeMap<usize, Resources>,
    jobs: BTreeMap<JobName, Resources>,
    pub(super) executors: BTreeMap<(usize, ExecutorId), Resources>,
    pub(super) running: BTreeMap<(RunId, u32), Running>,
    /// The highest epoch that the code of each shard was given.
    pub(super) epochs: BTreeMap<(RunId, u32), u64>,
    /// Runs that are over, with the keys that they were stored under.
    pub(super) runs_over: BTreeMap<RunId, Vec<u8>>,
    pub(super) tasks_over: BTreeSet<TaskId>,
    /// Runs that users were told of.
    pub(super) accepted: BTreeSet<RunId>,
    /// Documents that users were told are stored, with the least version: by their keys.
    pub(super) promised: BTreeMap<Vec<u8>, u64>,
    /// The tasks of terminal statuses that agents have sent, by uuid.
    pub(super) terminals: BTreeMap<Vec<u8>, String>,
    /// What is planned, and what became of it.
    pub(crate) fires: Fires,
    tasks: u64,
}

/// User code that runs now.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) task: TaskId,
    pub(super) host: usize,
    pub(super) resources: Resources,
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
        let shard = (context.run, context.shard_item);
        if self.running.get(&shard).is_some_and(|code| code.task == context.task) {
            self.running.remove(&shard);
        }
    }

    /// Nobody is left who would end this code in time: that it runs on is known and documented.
    pub(crate) fn code_is_unguarded(&mut self, context: &ShardContext) {
        self.code_ends(context);
    }

    /// A user was told that a run was accepted.
    pub(crate) fn accepted(&mut self, run: RunId) {
        self.accepted.insert(run);
    }

    /// A user was told that a document is stored, in this version or a later one.
    pub(crate) fn promised(&mut self, key: Vec<u8>, version: u64) {
        let least = self.promised.entry(key).or_default();
        *least = version.max(*least);
    }

    /// A user wants documents gone whose keys begin so; whether they are is not known yet.
    pub(crate) fn unpromised(&mut self, prefix: &[u8]) {
        self.promised.retain(|key, _| !key.starts_with(prefix));
    }

    /// An agent tells the master of a task.
    pub(crate) fn said(&mut self, said: &Status) {
        let Some(status) = said.status.as_ref().filter(|s| s.state().is_terminal()) else { return };
        let task = status.task_id.clone().unwrap_or_default().value;
        self.terminals.insert(status.uuid.clone().unwrap_or_default(), task);
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
