//! Whether a task may be launched on what is left of the offers, by the rules of Mesos and with its
//! words. What this cluster does not have is refused, not passed over.

use muster_api::{AgentId, Resources, limits};
use muster_proto::{
    ContainerInfo, ContainerType, DurationInfo, ExecutorId, ExecutorInfo, ExecutorType,
    FrameworkId, TaskId, TaskInfo, ValueType,
    agent::{GROUP_HAS_EXECUTOR, executor_digest},
};
use prost::Message as _;

use super::{
    agent::Agent,
    framework::Framework,
    here::Here,
    lost::Lost,
    role::Role,
    wire::{self, InvalidId, InvalidResource},
    words,
};

/// Why a task cannot be launched.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum InvalidTask {
    #[error("a scalar resource of this operation is not over zero, which refuses all of it")]
    NotPositive,
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error("Task has duplicate ID: {0}")]
    InUse(String),
    #[error(
        "Framework has {} tasks that are not over or whose end it has not acknowledged",
        limits::FRAMEWORK_TASKS
    )]
    TooManyOfFramework,
    #[error(
        "Agent has {} executors, and tasks that are not over or whose end was not acknowledged",
        limits::AGENT_TASKS
    )]
    TooManyOnAgent,
    #[error("Task uses invalid agent {named} while agent {expected} is expected")]
    OtherAgent { named: String, expected: AgentId },
    #[error("Task's 'kill_policy.grace_period' must be non-negative")]
    KillPolicy,
    #[error("Task uses {0}, which this cluster does not have")]
    NotSupported(&'static str),
    #[error("Task uses no resources")]
    NoResources,
    #[error("Task uses more than {} resources", limits::TASK_RESOURCES)]
    ManyResources,
    #[error("Task uses invalid resources: {0}")]
    Resources(InvalidResource),
    #[error("Task should have at least one (but not both) of CommandInfo or ExecutorInfo present")]
    OneOfBoth,
    #[error("Executor has an invalid ID: {0}")]
    ExecutorId(InvalidId),
    #[error("The executor of a task must be of type 'CUSTOM'; 'DEFAULT' is not supported")]
    ExecutorType,
    #[error("'ExecutorInfo.command' must be set for 'CUSTOM' executor")]
    ExecutorCommand,
    #[error("ExecutorInfo has an invalid FrameworkID (Actual: {actual} vs Expected: {expected})")]
    ExecutorFramework { actual: String, expected: String },
    #[error("ExecutorInfo is longer than {} bytes", limits::EXECUTOR_INFO_BYTES)]
    ExecutorSize,
    #[error("Executor uses more than {} resources", limits::TASK_RESOURCES)]
    ExecutorManyResources,
    #[error("Executor uses invalid resources: {0}")]
    ExecutorResources(InvalidResource),
    #[error("ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.")]
    ExecutorDiffers,
    #[error("ExecutorInfo's 'shutdown_grace_period' must be non-negative")]
    ShutdownGrace,
    #[error(
        "Total resources {need} required by task and its executor is more than available {room}"
    )]
    TooLarge { need: String, room: String },
}

/// Where something is to be launched: the framework, the agent, and what is left of its offers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) framework_id: &'a FrameworkId,
    pub(super) framework: &'a Framework,
    /// What counts as lost and may be back.
    pub(super) lost: &'a Lost,
    pub(super) agent_id: &'a AgentId,
    pub(super) agent: &'a Agent,
    pub(super) role: &'a Role,
    pub(super) room: &'a Resources,
}

/// A task that may be launched, by itself.
#[derive(Debug)]
pub(super) struct PlacedTask {
    pub(super) id: TaskId,
    pub(super) resources: Resources,
}

/// A task that may be launched with its executor.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) task: PlacedTask,
    /// Its executor; none for a command.
    pub(super) executor: Option<PlacedExecutor>,
    /// What the task takes, and its executor if it is new.
    pub(super) need: Resources,
}

/// The executor of a task that may be launched.
#[derive(Debug, Clone)]
pub(super) struct PlacedExecutor {
    pub(super) id: ExecutorId,
    /// With its framework filled in.
    pub(super) info: ExecutorInfo,
    /// What it takes; absent when it lives already.
    pub(super) resources: Option<Resources>,
}

/// Whether real masters would refuse a whole operation because of this task.
pub(super) fn spoils_launch(task: &TaskInfo) -> bool {
    let executor = task.executor.iter().flat_map(|executor| &executor.resources);
    task.resources.iter().chain(executor).any(wire::is_not_positive)
}

impl Place<'_> {
    /// Checks a task of a LAUNCH.
    pub(super) fn check(&self, task: &TaskInfo) -> Result<Placed, InvalidTask> {
        self.check_count(1)?;
        let placed = self.check_task(task)?;
        let executor = match (&task.executor, &task.command) {
            (Some(_), Some(_)) | (None, None) => return Err(InvalidTask::OneOfBoth),
            (None, Some(_)) => None,
            (Some(executor), None) => Some(self.check_executor(executor)?),
        };
        let alone = executor.as_ref().and_then(|executor| executor.resources.clone());
        let need = placed.resources.checked_add(&alone.unwrap_or_default());
        match need.filter(|need| self.room.covers(need)) {
            Some(need) => Ok(Placed { task: placed, executor, need }),
            None => {
                let new = executor.is_some_and(|executor| executor.resources.is_some());
                Err(self.too_large(std::slice::from_ref(task), task.executor.as_ref(), new))
            }
        }
    }

    /// Checks that there may be so many tasks more. What the scheduler of this process launches is
    /// bounded there.
    pub(super) fn check_count(&self, more: usize) -> Result<(), InvalidTask> {
        if self.framework.stream().is_none() {
            return Ok(());
        }
        if self.framework.tasks.len() + more > limits::FRAMEWORK_TASKS {
            return Err(InvalidTask::TooManyOfFramework);
        }
        let here: usize = self.agent.here.values().map(Here::count).sum();
        if here + more > limits::AGENT_TASKS { Err(InvalidTask::TooManyOnAgent) } else { Ok(()) }
    }

    /// What is checked of each task, whatever executes it.
    pub(super) fn check_task(&self, task: &TaskInfo) -> Result<PlacedTask, InvalidTask> {
        let id = task.task_id.clone().unwrap_or_default();
        wire::check_id(&id.value)?;
        // One that counts as lost with the connection of its agent may live all the same.
        let is_lost = self.lost.agent_of(self.framework_id, &id).is_some();
        if is_lost || self.framework.tasks.contains_key(&id) {
            return Err(InvalidTask::InUse(id.value));
        }
        let named = task.agent_id.as_ref().map(|id| id.value.as_str()).unwrap_or_default();
        if named != self.agent_id.as_str() {
            let (named, expected) = (named.to_owned(), self.agent_id.clone());
            return Err(InvalidTask::OtherAgent { named, expected });
        }
        if is_negative(task.kill_policy.and_then(|policy| policy.grace_period)) {
            return Err(InvalidTask::KillPolicy);
        }
        not_supported(task)?;
        if task.resources.is_empty() {
            return Err(InvalidTask::NoResources);
        }
        if task.resources.len() > limits::TASK_RESOURCES {
            return Err(InvalidTask::ManyResources);
        }
        if self.is_beyond_scalars(&task.resources) {
            return Err(self.too_large(std::slice::from_ref(task), None, false));
        }
        let resources = wire::resources_in(&task.resources).map_err(InvalidTask::Resources)?;
        Ok(PlacedTask { id, resources })
    }

    /// Checks the executor of a task.
    pub(super) fn check_executor(
        &self,
        executor: &ExecutorInfo,
    ) -> Result<PlacedExecutor, InvalidTask> {
        let id = executor.executor_id.clone().unwrap_or_default();
        wire::check_id(&id.value).map_err(InvalidTask::ExecutorId)?;
        if executor.encoded_len() > limits::EXECUTOR_INFO_BYTES {
            return Err(InvalidTask::ExecutorSize);
        }
        if executor.resources.len() > limits::TASK_RESOURCES {
            return Err(InvalidTask::ExecutorManyResources);
        }
        let custom = [ExecutorType::Unknown as i32, ExecutorType::Custom as i32];
        if executor.r#type.is_some_and(|kind| !custom.contains(&kind)) {
            return Err(InvalidTask::ExecutorType);
        }
        if executor.command.is_none() {
            return Err(InvalidTask::ExecutorCommand);
        }
        if executor.container.as_deref().is_some_and(is_container) {
            return Err(InvalidTask::NotSupported("a container"));
        }
        if is_negative(executor.shutdown_grace_period) {
            return Err(InvalidTask::ShutdownGrace);
        }
        let info = self.complete(executor)?;
        let resources = match self.agent.executor(self.framework_id, &id) {
            Some(alive) if alive.digest != executor_digest(&info) => {
                return Err(InvalidTask::ExecutorDiffers);
            }
            Some(_) => None,
            None => {
                let resources = wire::resources_in(&info.resources);
                Some(resources.map_err(InvalidTask::ExecutorResources)?)
            }
        };
        Ok(PlacedExecutor { id, info, resources })
    }

    /// An executor as its agent gets it: with its framework, and the role of its resources. What
    /// the scheduler of this process says of its executors goes through untouched: it may have to
    /// say the same again after many versions.
    fn complete(&self, executor: &ExecutorInfo) -> Result<ExecutorInfo, InvalidTask> {
        let mut info = executor.clone();
        let framework_id = info.framework_id.get_or_insert_with(|| self.framework_id.clone());
        if framework_id != self.framework_id {
            let (actual, expected) = (&framework_id.value, &self.framework_id.value);
            let (actual, expected) = (actual.clone(), expected.clone());
            return Err(InvalidTask::ExecutorFramework { actual, expected });
        }
        if self.framework.stream().is_some() {
            info.r#type = Some(ExecutorType::Custom as i32);
            wire::allocate(&mut info.resources, self.role);
        }
        Ok(info)
    }

    /// What agents have here are amounts: ports and sets are never among what is offered, and
    /// neither is what was allocated to another role.
    fn is_beyond_scalars(&self, resources: &[muster_proto::Resource]) -> bool {
        let other = |one: &muster_proto::Resource| {
            let role = one.allocation_info.as_ref().and_then(|info| info.role.as_deref());
            role.is_some_and(|role| role != self.role.as_str())
        };
        let scalar = ValueType::Scalar as i32;
        resources.iter().any(|one| one.r#type != scalar || other(one))
    }

    /// How many bytes of what may be sent to the agent at present a launch takes, with what its
    /// framework says of itself and the role of each resource; nothing if it is too much. What the
    /// scheduler of this process launches is bounded there.
    pub(super) fn bytes(&self, tasks: &[TaskInfo], group: Option<&ExecutorInfo>) -> Option<usize> {
        if self.framework.stream().is_none() {
            return Some(0);
        }
        let role = wire::allocation(self.role).encoded_len() + 2;
        let executor = |one: &ExecutorInfo| one.encoded_len() + one.resources.len() * role;
        let task = |task: &TaskInfo| {
            let own = task.executor.as_ref().map_or(0, |own| own.resources.len());
            task.encoded_len() + (task.resources.len() + own) * role
        };
        let copies = if self.agent.speaks < GROUP_HAS_EXECUTOR { tasks.len() } else { 1 };
        let bytes = self.framework.info_bytes
            + tasks.iter().map(task).sum::<usize>()
            + group.map_or(0, executor) * copies;
        (self.agent.launched_bytes() + bytes <= limits::AGENT_LAUNCH_BYTES).then_some(bytes)
    }

    /// That tasks do not fit, with their executor if it is new.
    pub(super) fn too_large(
        &self,
        tasks: &[TaskInfo],
        executor: Option<&ExecutorInfo>,
        new: bool,
    ) -> InvalidTask {
        let of_executor = executor.filter(|_| new).into_iter().flat_map(|one| &one.resources);
        let all = tasks.iter().flat_map(|task| &task.resources).chain(of_executor);
        let role = self.role.as_str();
        InvalidTask::TooLarge {
            need: words::resources(all, role),
            room: words::room(self.room, role),
        }
    }
}

/// What of Mesos this cluster does not have.
fn not_supported(task: &TaskInfo) -> Result<(), InvalidTask> {
    let what = if task.max_completion_time.is_some() {
        "'max_completion_time'"
    } else if task.check.is_some() {
        "a check"
    } else if task.health_check.is_some() {
        "a health check"
    } else if !task.limits.is_empty() {
        "resource limits"
    } else if task.container.as_deref().is_some_and(is_container) {
        "a container"
    } else {
        return Ok(());
    };
    Err(InvalidTask::NotSupported(what))
}

/// Whether this says more than that there is to be one of Mesos' own, as each process has.
fn is_container(container: &ContainerInfo) -> bool {
    let bare = ContainerInfo { r#type: ContainerType::Mesos as i32, ..ContainerInfo::default() };
    *container != bare
}

fn is_negative(time: Option<DurationInfo>) -> bool {
    time.is_some_and(|time| time.nanoseconds < 0)
}
