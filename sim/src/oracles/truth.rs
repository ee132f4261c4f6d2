//! What is really so: on hosts, on wires, and in the minds of users.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use muster_api::{
    AgentId, Amount, AppUid, JobName, JobUid, Resources, RunId, TaskId, Timestamp, spec::JobSpec,
    task::ShardContext,
};
use muster_proto::{self as mesos, ExecutorId, ExecutorInfo, agent::Status};

use super::{
    Fires, attempts::Newest, guests::Command, hosts::Host, notices::Notices, residents::Resident,
    upstream::Upstream,
};

/// What is really so.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(super) hosts: BTreeMap<usize, Resources>,
    pub(super) jobs: BTreeMap<JobName, Resources>,
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
    guards: BTreeMap<(usize, ExecutorId), Guard>,
    /// As whom its agent was registered when it made an executor.
    made_by: BTreeMap<(usize, ExecutorId), AgentId>,
    /// Agents that were declared gone.
    pub(super) gone: BTreeSet<AgentId>,
    /// What is known of shards by their newest tasks.
    pub(super) shards: BTreeMap<(RunId, u32), Newest>,
    /// Tasks whose code ended its executor.
    pub(super) took_along: BTreeSet<TaskId>,
    pub(super) run_jobs: BTreeMap<RunId, JobUid>,
    /// When runs launched their first tasks.
    pub(super) started: BTreeMap<RunId, Timestamp>,
    /// Runs that should have been ended, and when that was first seen.
    pub(super) overdue: BTreeMap<RunId, Timestamp>,
    /// When somebody looked for them last.
    pub(super) looked_at: Timestamp,
    /// Somebody has set the scheduler's wall clock.
    pub(crate) wall_was_set: bool,
    /// What the master has stored of agents.
    pub(super) known_hosts: BTreeMap<AgentId, Host>,
    /// The documents of jobs, in all versions.
    pub(super) specs: BTreeMap<(JobUid, u64), Arc<JobSpec>>,
    /// The jobs of runs, and the versions that they took.
    pub(super) run_versions: BTreeMap<RunId, (JobUid, Option<u64>)>,
    /// How many tasks each app may have, by its newest document.
    pub(super) app_limits: BTreeMap<AppUid, u32>,
    /// Shards of runs that are no daemons whose tasks somebody has ended.
    pub(super) killed: BTreeSet<(RunId, u32)>,
    /// The shards of daemon jobs that are down to be replaced for a newer document.
    pub(super) replacing: BTreeSet<(RunId, u32)>,
    /// Tasks that stay, by their shards.
    pub(super) residents: BTreeMap<(RunId, u32), Resident>,
    /// What is known of notices.
    pub(super) notices: Notices,
    /// Commands of other frameworks that run, and all that ever began.
    pub(super) commands: BTreeMap<mesos::TaskId, Command>,
    pub(super) commands_begun: BTreeSet<mesos::TaskId>,
    /// What is known where the hosts are those of another master.
    pub(super) upstream: Upstream,
    /// Since when the scheduler has been up.
    pub(crate) scheduler_up_since: u64,
    tasks: u64,
    /// The time of the world.
    pub(crate) time: u64,
}

/// User code that runs now.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) task: TaskId,
    pub(super) host: usize,
    pub(super) executor: ExecutorId,
    pub(super) resources: Resources,
}

/// A supervisor that cannot act, or could not until this instant.
#[derive(Debug)]
struct Guard {
    /// When it would have killed all that is under it; nothing without lease.
    ends: Option<u64>,
    /// The instant at which it went on.
    goes_on: Option<u64>,
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
        self.guards.remove(&(host, id.clone()));
        self.residents_vanish(host, id);
    }

    /// The supervisor of an executor is frozen or dead. It would have killed all at an instant.
    pub(crate) fn guard_stops(&mut self, host: usize, id: &ExecutorId, ends: Option<u64>) {
        self.guards.insert((host, id.clone()), Guard { ends, goes_on: None });
    }

    /// The supervisor of an executor is not frozen. Within this instant it kills what has to be.
    pub(crate) fn guard_goes_on(&mut self, host: usize, id: &ExecutorId) {
        let time = self.time;
        if let Some(guard) = self.guards.get_mut(&(host, id.clone())) {
            guard.goes_on.get_or_insert(time);
        }
    }

    /// The one hole in the promise of leases: whether an executor should have been killed at the
    /// end of its lease, and who would do that is frozen, or dead.
    fn outlives_its_lease(&self, host: usize, executor: &ExecutorId) -> bool {
        let guard = self.guards.get(&(host, executor.clone()));
        guard.is_some_and(|guard| {
            guard.ends.is_some_and(|at| at <= self.time)
                && guard.goes_on.is_none_or(|at| self.time <= at)
        })
    }

    /// Whether code runs and must not be started elsewhere.
    pub(super) fn is_guarded(&self, code: &Running) -> bool {
        !self.is_forgiven_of(code.host, &code.executor, &code.task)
    }

    /// An agent makes an executor.
    pub(crate) fn executor_is_made(&mut self, host: usize, id: &ExecutorId, agent: AgentId) {
        self.made_by.insert((host, id.clone()), agent);
    }

    /// Whether an operator said that the agent of an executor is gone, which was the operator's risk.
    pub(super) fn is_forsaken(&self, host: usize, executor: &ExecutorId) -> bool {
        let agent = self.made_by.get(&(host, executor.clone()));
        agent.is_some_and(|agent| self.gone.contains(agent))
    }

    /// Whether nothing is promised of what an executor does now.
    pub(crate) fn is_forgiven(&self, host: usize, executor: &ExecutorId) -> bool {
        self.outlives_its_lease(host, executor) || self.is_forsaken(host, executor)
    }

    /// Whether nothing is promised of what a task in an executor does now.
    pub(crate) fn is_forgiven_of(&self, host: usize, executor: &ExecutorId, task: &TaskId) -> bool {
        self.is_given_up(task) || self.is_forgiven(host, executor)
    }

    /// The code of a task ends its executor.
    pub(crate) fn takes_along(&mut self, task: TaskId) {
        self.took_along.insert(task);
    }

    pub(crate) fn code_begins(
        &mut self,
        host: usize,
        executor: &ExecutorId,
        context: &ShardContext,
    ) {
        let resources = self.jobs.get(&context.job).cloned().unwrap_or_else(Resources::none);
        let shard = (context.run, context.shard_item);
        self.running.insert(
            shard,
            Running { task: context.task, host, executor: executor.clone(), resources },
        );
        self.epochs.insert(shard, context.epoch);
        self.tasks += 1;
    }

    pub(crate) fn code_ends(&mut self, context: &ShardContext) {
        let shard = (context.run, context.shard_item);
        if self.running.get(&shard).is_some_and(|code| code.task == context.task) {
            self.running.remove(&shard);
        }
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

    /// The runs that are over.
    pub(crate) fn past_runs(&self) -> impl Iterator<Item = RunId> {
        self.runs_over.keys().copied()
    }

    /// Where a run that is over is stored.
    pub(crate) fn past_run_key(&self, run: &RunId) -> Option<&Vec<u8>> {
        self.runs_over.get(run)
    }

    /// How many tasks and runs have come to their end.
    pub(crate) fn ended(&self) -> u64 {
        (self.tasks_over.len() + self.runs_over.len()) as u64
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
