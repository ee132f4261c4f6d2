//! The one host: it keeps tasks and statuses through every silence, as an agent does.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{IdStream, Timestamp};
use muster_proto::{
    AgentId, AgentInfo, ExecutorId, ExecutorInfo, FrameworkInfo, Resource, TaskId, TaskInfo,
    TaskState, TaskStatus,
    agent::{
        AgentBody, ExecutorExited, ExecutorHere, Heartbeat, Hello, MasterBody, Status, TaskHere,
        VERSION,
    },
};

/// What the host has.
const RESOURCES: [(&str, f64); 2] = [("cpus", 64.0), ("mem", 65_536.0)];

/// The host, with the agent on it.
#[derive(Debug, Default)]
pub(super) struct Host {
    id: Option<AgentId>,
    framework: FrameworkInfo,
    executors: BTreeMap<ExecutorId, ExecutorInfo>,
    tasks: BTreeMap<TaskId, Task>,
    ends: BTreeSet<(Timestamp, TaskId)>,
    heartbeats: u64,
    /// What it has to say, once it is connected.
    outbox: Vec<AgentBody>,
    /// How many tasks it ran.
    pub(super) ran: u64,
}

#[derive(Debug)]
struct Task {
    info: TaskInfo,
    ends_at: Timestamp,
    /// The newest status, until it is acknowledged.
    status: Option<TaskStatus>,
    state: TaskState,
}

impl Host {
    /// When the next task ends.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// What it says when it has reached its master: all that lives on it.
    pub(super) fn hello(&mut self) -> Hello {
        self.heartbeats = 0;
        self.outbox.clear();
        let executors = self.executors.values().map(|info| ExecutorHere {
            framework: Some(self.framework.clone()),
            executor: Some(info.clone()),
            ..ExecutorHere::default()
        });
        let tasks = self.tasks.values().map(|task| TaskHere {
            framework_id: self.framework.id.clone(),
            task: Some(task.info.clone()),
            state: task.state as i32,
        });
        let resources = RESOURCES.map(|(name, amount)| Resource::scalar(name, amount)).to_vec();
        Hello {
            version: VERSION,
            info: Some(AgentInfo {
                id: self.id.clone(),
                hostname: "host".into(),
                resources,
                ..AgentInfo::default()
            }),
            boot_id: "the only one".into(),
            executors: executors.collect(),
            tasks: tasks.collect(),
            ..Hello::default()
        }
    }

    /// What it says now and then: that it lives, and every status that is not acknowledged.
    pub(super) fn speak(&mut self) -> Vec<AgentBody> {
        self.heartbeats += 1;
        let mut said = vec![AgentBody::Heartbeat(Heartbeat { number: self.heartbeats })];
        said.append(&mut self.outbox);
        let framework_id = self.framework.id.clone();
        said.extend(self.tasks.values().filter_map(|task| {
            Some(AgentBody::Status(Status {
                framework_id: framework_id.clone(),
                status: Some(task.status.clone()?),
                latest_state: task.state as i32,
            }))
        }));
        said
    }

    /// Whether it has something new to say.
    pub(super) fn wants_to_speak(&self) -> bool {
        !self.outbox.is_empty() || self.tasks.values().any(|task| task.status.is_some())
    }

    /// Lets tasks end that are through by now.
    pub(super) fn run(&mut self, now: Timestamp, ids: &mut IdStream) {
        while let Some((at, id)) = self.ends.first().cloned().filter(|(at, _)| *at <= now) {
            self.ends.pop_first();
            if let Some(task) = self.tasks.get_mut(&id) {
                task.now_is(TaskState::Finished, at, self.id.as_ref(), ids);
                self.ran += 1;
            }
        }
    }

    /// A message of the master; `length` says how long a task is to take, in milliseconds.
    pub(super) fn hear(
        &mut self,
        now: Timestamp,
        body: MasterBody,
        ids: &mut IdStream,
        length: impl FnOnce(&mut IdStream) -> u64,
    ) {
        match body {
            MasterBody::Welcome(welcome) => self.id = welcome.agent_id,
            MasterBody::Launch(launch) => {
                let (Some(framework), Some(info)) = (launch.framework, launch.task) else { return };
                self.framework = framework;
                let executor = info.executor.clone().unwrap_or_default();
                self.executors.insert(executor.executor_id.clone().unwrap_or_default(), executor);
                let id = info.task_id.clone().unwrap_or_default();
                let ends_at = now + std::time::Duration::from_millis(length(ids));
                let state = TaskState::Staging;
                let mut task = Task { info, ends_at, status: None, state };
                task.now_is(TaskState::Running, now, self.id.as_ref(), ids);
                self.ends.insert((task.ends_at, id.clone()));
                self.tasks.insert(id, task);
            }
            MasterBody::Kill(kill) => {
                let id = kill.task_id.unwrap_or_default();
                if let Some(task) = self.tasks.get_mut(&id).filter(|t| !t.state.is_terminal()) {
                    self.ends.remove(&(task.ends_at, id));
                    task.now_is(TaskState::Killed, now, self.id.as_ref(), ids);
                }
            }
            MasterBody::ShutdownExecutor(shutdown) => {
                let id = shutdown.executor_id.unwrap_or_default();
                if self.executors.remove(&id).is_some() {
                    self.outbox.push(AgentBody::ExecutorExited(ExecutorExited {
                        framework_id: self.framework.id.clone(),
                        executor_id: Some(id),
                        status: 0,
                    }));
                }
            }
            MasterBody::Acknowledge(acknowledge) => self.acknowledged(&acknowledge),
            _ => {}
        }
    }

    fn acknowledged(&mut self, acknowledge: &muster_proto::agent::Acknowledge) {
        let Some(id) = acknowledge.task_id.clone() else { return };
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let newest = task.status.as_ref().and_then(|status| status.uuid.as_ref());
        if newest == Some(&acknowledge.uuid) {
            task.status = None;
            if task.state.is_terminal() {
                self.tasks.remove(&id);
            }
        }
    }
}

impl Task {
    fn now_is(
        &mut self,
        state: TaskState,
        at: Timestamp,
        agent: Option<&AgentId>,
        ids: &mut IdStream,
    ) {
        self.state = state;
        let executor = self.info.executor.as_ref().and_then(|e| e.executor_id.clone());
        self.status = Some(TaskStatus {
            task_id: self.info.task_id.clone(),
            state: state as i32,
            agent_id: agent.cloned(),
            executor_id: executor,
            timestamp: Some(at.as_millis() as f64 / 1_000.0),
            uuid: Some(ids.uuid(at).as_bytes().to_vec()),
            ..TaskStatus::default()
        });
    }
}
