//! Tasks that are a command: the agent makes an executor for each, which runs the command and
//! reports what becomes of it.

use muster_api::limits;
use muster_proto::{
    CommandInfo, DurationInfo, Environment, ExecutorId, ExecutorInfo, ExecutorType, TaskId,
    TaskInfo, Variable,
};

use super::TaskKey;

/// What the executor of such a task runs: a mode of our own program.
const PROGRAM: &str = "exec \"$MUSTER_PROGRAM\" command-executor";
/// The variable with the role that the task's resources were offered to.
const ROLE: &str = "MESOS_ALLOCATION_ROLE";
/// Characters of a command that its executor is named after.
const NAME_MAX: usize = 15;

/// The executor of such a task goes by the task's own id.
pub(super) fn executor_id(task: &TaskId) -> ExecutorId {
    ExecutorId::new(&task.value)
}

/// The executor for a task that is a command; `None` where it is none.
///
/// What the command wants in its sandbox and in its environment is there for its executor. It costs
/// nothing beside the task, and has the time that the task's own kill policy gives to end.
pub(super) fn command_executor(key: &TaskKey, task: &TaskInfo) -> Option<ExecutorInfo> {
    let command = task.command.as_ref()?;
    let role =
        task.resources.iter().find_map(|resource| resource.allocation_info.as_ref()?.role.clone());
    let role = role.map(|role| Variable {
        name: ROLE.to_owned(),
        value: Some(role),
        ..Variable::default()
    });
    let wanted = command.environment.iter().flat_map(|environment| environment.variables.clone());
    let policy = task.kill_policy.and_then(|policy| policy.grace_period);
    Some(ExecutorInfo {
        r#type: Some(ExecutorType::Custom as i32),
        executor_id: Some(executor_id(&key.task)),
        framework_id: Some(key.framework.clone()),
        name: Some(name(&key.task, command)),
        source: Some(key.task.value.clone()),
        command: Some(CommandInfo {
            value: Some(PROGRAM.to_owned()),
            uris: command.uris.clone(),
            environment: Some(Environment { variables: role.into_iter().chain(wanted).collect() }),
            user: command.user.clone(),
            ..CommandInfo::default()
        }),
        shutdown_grace_period: policy.map(with_time_to_report),
        ..ExecutorInfo::default()
    })
}

/// A grace of the command leaves its executor none of its own to say how the command ended.
fn with_time_to_report(policy: DurationInfo) -> DurationInfo {
    let more = i64::try_from(limits::EXECUTOR_SHUTDOWN_GRACE.as_nanos()).unwrap_or(i64::MAX);
    DurationInfo { nanoseconds: policy.nanoseconds.max(0).saturating_add(more) }
}

fn name(task: &TaskId, command: &CommandInfo) -> String {
    let value = command.value.as_deref().unwrap_or_default();
    let command = if command.shell.unwrap_or(true) {
        format!("sh -c '{}'", shortened(value))
    } else {
        let words = std::iter::once(value).chain(command.arguments.iter().map(String::as_str));
        format!("[{}]", shortened(&words.collect::<Vec<_>>().join(", ")))
    };
    format!("Command Executor (Task: {task}) (Command: {command})")
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= NAME_MAX {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(NAME_MAX - 3).collect();
    format!("{beginning}...")
}
