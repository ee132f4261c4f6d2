//! Whether a task may be launched on what is left of the offers, by the rules of Mesos.

use muster_api::{AgentId, Resources};
use muster_proto::{
    DurationInfo, ExecutorId, ExecutorInfo, ExecutorType, FrameworkId, TaskId, TaskInfo,
};

use super::{
    agent::Agent,
    framework::Framework,
    wire::{self, InvalidResource},
};

/// Why a task cannot be launched.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum InvalidTask {
    #[error("a resource of this launch is not over zero, which refuses the whole launch")]
    NotPositive,
    #[error("the task has no valid id")]
    Id,
    #[error("the task id is in use")]
    InUse,
    #[error("the task names another agent than its offers")]
    OtherAgent,
    #[error("the task uses no resources")]
    NoResources,
    #[error("the task's resources are not valid: {source}")]
    Resources { source: InvalidResource },
    #[error("the task has both an executor and a command")]
    Both,
    #[error("the task has neither an executor nor a command")]
    Neither,
    #[error("tasks with a command and no executor are not supported; name an executor")]
    CommandTask,
    #[error("the executor has no valid id")]
    ExecutorId,
    #[error("the executor is of another type than CUSTOM, which is not supported")]
    ExecutorType,
    #[error("the executor has no command")]
    ExecutorCommand,
    #[error("the executor names another framework")]
    ExecutorFramework,
    #[error("the executor's resources are not valid: {source}")]
    ExecutorResources { source: InvalidResource },
    #[error("an executor with this id lives on the agent, and its description is another one")]
    ExecutorDiffers,
    #[error("the kill policy or the shutdown grace period is negative")]
    NegativeTime,
    #[error("the task takes {need} with its executor, and {room} is left of the offers")]
    TooLarge { need: Resources, room: Resources },
}

/// A task that may be launched.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) id: TaskId,
    pub(super) resources: Resources,
    pub(super) executor_id: ExecutorId,
    /// With its framework filled in.
    pub(super) executor: ExecutorInfo,
    /// What the executor takes; absent when it lives already.
    pub(super) executor_resources: Option<Resources>,
    /// Both together.
    pub(super) need: Resources,
}

/// Whether real masters would refuse a whole launch because of this task.
pub(super) fn spoils_launch(task: &TaskInfo) -> bool {
    let executor = task.executor.iter().flat_map(|executor| &executor.resources);
    task.resources.iter().chain(executor).any(wire::is_not_positive)
}

/// Checks a task against its framework, its agent, and what is left of the offers.
pub(super) fn place(
    task: &TaskInfo,
    framework_id: &FrameworkId,
    framework: &Framework,
    agent_id: &AgentId,
    agent: &Agent,
    room: &Resources,
) -> Result<Placed, InvalidTask> {
    let id = task.task_id.clone().filter(|id| wire::is_valid_id(&id.value));
    let id = id.ok_or(InvalidTask::Id)?;
    if framework.tasks.contains_key(&id) {
        return Err(InvalidTask::InUse);
    }
    if wire::agent_id_in(task.agent_id.as_ref()).as_ref() != Some(agent_id) {
        return Err(InvalidTask::OtherAgent);
    }
    if task.resources.is_empty() {
        return Err(InvalidTask::NoResources);
    }
    let resources =
        wire::resources_in(&task.resources).map_err(|source| InvalidTask::Resources { source })?;
    let executor = executor_of(task, framework_id)?;
    let executor_id = executor.executor_id.clone().unwrap_or_default();
    let executor_resources = match agent.executor(framework_id, &executor_id) {
        Some(alive) if alive.info != executor => return Err(InvalidTask::ExecutorDiffers),
        Some(_) => None,
        None => Some(
            wire::resources_in(&executor.resources)
                .map_err(|source| InvalidTask::ExecutorResources { source })?,
        ),
    };
    let grace = task.kill_policy.and_then(|policy| policy.grace_period);
    if is_negative(grace) || is_negative(executor.shutdown_grace_period) {
        return Err(InvalidTask::NegativeTime);
    }
    let alone = executor_resources.clone().unwrap_or_default();
    let need = match resources.checked_add(&alone) {
        Some(need) if room.covers(&need) => need,
        sum => {
            let need = sum.unwrap_or(resources);
            return Err(InvalidTask::TooLarge { need, room: room.clone() });
        }
    };
    Ok(Placed { id, resources, executor_id, executor, executor_resources, need })
}

/// The executor of a task, with its framework filled in.
fn executor_of(task: &TaskInfo, framework: &FrameworkId) -> Result<ExecutorInfo, InvalidTask> {
    let executor = match (&task.executor, &task.command) {
        (Some(_), Some(_)) => return Err(InvalidTask::Both),
        (None, None) => return Err(InvalidTask::Neither),
        (None, Some(_)) => return Err(InvalidTask::CommandTask),
        (Some(executor), None) => executor,
    };
    if !executor.executor_id.as_ref().is_some_and(|id| wire::is_valid_id(&id.value)) {
        return Err(InvalidTask::ExecutorId);
    }
    let custom = [ExecutorType::Unknown as i32, ExecutorType::Custom as i32];
    if executor.r#type.is_some_and(|kind| !custom.contains(&kind)) {
        return Err(InvalidTask::ExecutorType);
    }
    if executor.command.is_none() {
        return Err(InvalidTask::ExecutorCommand);
    }
    match &executor.framework_id {
        Some(named) if named != framework => Err(InvalidTask::ExecutorFramework),
        Some(_) => Ok(executor.clone()),
        None => Ok(ExecutorInfo { framework_id: Some(framework.clone()), ..executor.clone() }),
    }
}

fn is_negative(time: Option<DurationInfo>) -> bool {
    time.is_some_and(|time| time.nanoseconds < 0)
}
