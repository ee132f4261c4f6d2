//! A hello, checked: who the agent is and what lives on it.

use std::collections::BTreeMap;

use muster_api::{AgentId, Resources, spec::HOSTNAME};
use muster_proto::{
    ExecutorId, FrameworkId, FrameworkInfo, TaskState, Url,
    agent::{ExecutorHere, Hello, TaskHere, executor_digest},
};

use super::{
    agent::Facts,
    here::{Executor, Here, Task},
    role::Role,
    wire::{self, InvalidResource},
};

/// What a valid hello says.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The id that a master gave it before.
    pub(super) id: Option<AgentId>,
    pub(super) facts: Facts,
    /// Whether it gave an attribute `hostname`, which was left out.
    pub(super) had_hostname: bool,
    pub(super) here: BTreeMap<FrameworkId, Here>,
    /// The frameworks of its executors.
    pub(super) frameworks: BTreeMap<FrameworkId, FrameworkInfo>,
    /// When it was said, on the clock of its host since boot, if it says so.
    pub(super) said_at: Option<u64>,
    /// The version of the agent protocol that it will speak.
    pub(super) speaks: u32,
    /// Where its executor API is, if it says so.
    pub(super) url: Option<Box<Url>>,
}

/// Why an agent cannot register.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum InvalidHello {
    #[error("the hello names no host")]
    NoHost,
    #[error("`{id}` is no agent id")]
    AgentId { id: String },
    #[error("the agent's resources are not valid: {source}")]
    Resources { source: InvalidResource },
    #[error("an executor lacks a valid id, or its framework")]
    Executor,
    #[error("a task lacks a valid id, its framework, or its executor or command")]
    Task,
    #[error("the resources of `{what}` are not valid: {source}")]
    ResourcesOf { what: String, source: InvalidResource },
    #[error("what runs on the agent takes more than its resources, which are {total}")]
    TooSmall { total: Resources },
}

impl InvalidHello {
    /// Whether dialling again can help: what runs ends some time, a malformed hello stays so.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::TooSmall { .. })
    }
}

impl TryFrom<Hello> for Arrival {
    type Error = InvalidHello;
    fn try_from(hello: Hello) -> Result<Self, InvalidHello> {
        let info = hello.info.filter(|info| !info.hostname.is_empty());
        let info = info.ok_or(InvalidHello::NoHost)?;
        let parse_id = |id: muster_proto::AgentId| {
            id.value.parse().map_err(|_| InvalidHello::AgentId { id: id.value })
        };
        let resources = wire::resources_in(&info.resources)
            .map_err(|source| InvalidHello::Resources { source })?;
        let mut attributes = wire::attributes_in(&info.attributes);
        // By this name constraints and spreads ask for the host, so nothing else may be shown by it.
        let had_hostname = attributes.remove(HOSTNAME).is_some();
        let facts =
            Facts { hostname: info.hostname, attributes, resources, boot_id: hello.boot_id };
        let mut arrival = Self {
            id: info.id.map(parse_id).transpose()?,
            facts,
            had_hostname,
            here: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            said_at: Some(hello.said_at).filter(|at| *at > 0),
            speaks: hello.version,
            url: hello.url.map(Box::new),
        };
        for executor in hello.executors {
            arrival.add_executor(executor)?;
        }
        for task in hello.tasks {
            arrival.add_task(task)?;
        }
        if !arrival.fits() {
            return Err(InvalidHello::TooSmall { total: arrival.facts.resources });
        }
        Ok(arrival)
    }
}

impl Arrival {
    fn add_executor(&mut self, executor: ExecutorHere) -> Result<(), InvalidHello> {
        let (framework, mut info) =
            executor.framework.zip(executor.executor).ok_or(InvalidHello::Executor)?;
        let framework_id = valid_framework(framework.id.clone()).ok_or(InvalidHello::Executor)?;
        let id = info.executor_id.clone().filter(|id| wire::is_valid_id(&id.value));
        let id = id.ok_or(InvalidHello::Executor)?;
        let resources = wire::resources_in(&info.resources)
            .map_err(|source| InvalidHello::ResourcesOf { what: id.value.clone(), source })?;
        info.framework_id.get_or_insert_with(|| framework_id.clone());
        let role = wire::allocated(&info.resources).unwrap_or_else(Role::any);
        let digest =
            if executor.digest.is_empty() { executor_digest(&info) } else { executor.digest };
        let executor = Executor { digest, resources, role, proved: true };
        self.here.entry(framework_id.clone()).or_default().executors.insert(id, executor);
        // It is described once; the others have its id.
        self.frameworks.entry(framework_id).or_insert(framework);
        Ok(())
    }

    fn add_task(&mut self, task: TaskHere) -> Result<(), InvalidHello> {
        let framework = valid_framework(task.framework_id).ok_or(InvalidHello::Task)?;
        let state = TaskState::try_from(task.state).map_err(|_| InvalidHello::Task)?;
        let info = task.task.ok_or(InvalidHello::Task)?;
        let id =
            info.task_id.filter(|id| wire::is_valid_id(&id.value)).ok_or(InvalidHello::Task)?;
        let executor = match info.executor {
            Some(executor) => Some(executor_of(executor).ok_or(InvalidHello::Task)?),
            None => info.command.map(|_| None).ok_or(InvalidHello::Task)?,
        };
        let resources = wire::resources_in(&info.resources)
            .map_err(|source| InvalidHello::ResourcesOf { what: id.value.clone(), source })?;
        let role = wire::allocated(&info.resources).unwrap_or_else(Role::any);
        self.here
            .entry(framework)
            .or_default()
            .tasks
            .insert(id, Task::new(executor, resources, role, state));
        Ok(())
    }

    /// Whether what runs is within what the agent has.
    fn fits(&self) -> bool {
        let mut used = Some(Resources::none());
        for here in self.here.values() {
            let executors = here.executors.values().map(|executor| &executor.resources);
            for each in executors.chain(here.tasks.values().filter_map(Task::holds)) {
                used = used.and_then(|used| used.checked_add(each));
            }
        }
        used.is_some_and(|used| self.facts.resources.covers(&used))
    }
}

fn valid_framework(id: Option<FrameworkId>) -> Option<FrameworkId> {
    id.filter(|id| wire::is_valid_id(&id.value))
}

fn executor_of(info: muster_proto::ExecutorInfo) -> Option<ExecutorId> {
    info.executor_id.filter(|id| wire::is_valid_id(&id.value))
}

impl Task {
    /// A task of which its framework has been told nothing.
    pub(super) fn new(
        executor: Option<ExecutorId>,
        resources: Resources,
        role: Role,
        state: TaskState,
    ) -> Self {
        Self {
            executor,
            resources,
            role,
            state,
            reported: None,
            last_uuid: None,
            unacknowledged: None,
            container: None,
            kill: None,
        }
    }

    /// Goes on from what was known of the same task before its agent came back.
    pub(super) fn go_on_from(&mut self, before: Self) {
        self.reported = before.reported;
        self.kill = before.kill;
        self.unacknowledged = before.unacknowledged;
        self.container = before.container;
        if self.state.is_terminal() {
            self.last_uuid = before.last_uuid;
        }
    }
}
