//! Whether a call of an executor is whole, in the words and in the order of a Mesos agent.

use muster_proto::{
    StatusSource, TaskState, TaskStatus,
    executor::{Call, CallType, Subscribe},
};

use crate::core::{ExecutorKey, What};

/// The bytes of a uuid.
const UUID_BYTES: usize = 16;

/// A call that is whole by itself, whatever there is on the agent.
#[derive(Debug, PartialEq)]
pub(super) struct Whole {
    pub(super) by: ExecutorKey,
    pub(super) wants: Wants,
}

/// What it wants.
#[derive(Debug, PartialEq)]
pub(super) enum Wants {
    /// A stream of events, once there is one.
    Subscribe(Subscribe),
    /// Something that the core is asked for.
    Other(What),
    /// Nothing but that it is heard.
    Nothing,
}

/// Takes a call apart, or says what is wrong with it.
pub(super) fn whole(call: Call) -> Result<Whole, String> {
    examined(call).map_err(|problem| format!("Failed to validate Executor::Call: {problem}"))
}

fn examined(call: Call) -> Result<Whole, String> {
    let by = ExecutorKey {
        framework: call.framework_id.unwrap_or_default(),
        executor: call.executor_id.unwrap_or_default(),
    };
    let kind = call.r#type.and_then(|kind| CallType::try_from(kind).ok());
    let wants = match kind.ok_or_else(|| expecting("type"))? {
        CallType::Subscribe => {
            Wants::Subscribe(call.subscribe.ok_or_else(|| expecting("subscribe"))?)
        }
        CallType::Update => {
            let update = call.update.ok_or_else(|| expecting("update"))?;
            let status = update.status.unwrap_or_default();
            examine(&by, &status)?;
            Wants::Other(What::Update(Box::new(status)))
        }
        CallType::Message => {
            let message = call.message.ok_or_else(|| expecting("message"))?;
            Wants::Other(What::Message(message.data))
        }
        CallType::Heartbeat => Wants::Nothing,
        CallType::Unknown => Wants::Other(What::Unknown),
    };
    Ok(Whole { by, wants })
}

fn examine(by: &ExecutorKey, status: &TaskStatus) -> Result<(), String> {
    let uuid = status.uuid.as_ref().ok_or_else(|| expecting("uuid"))?;
    if uuid.len() != UUID_BYTES {
        return Err("Not a valid UUID".to_owned());
    }
    let (executor, framework) = (&by.executor, &by.framework);
    if let Some(other) = status.executor_id.as_ref().filter(|other| *other != executor) {
        return Err(format!(
            "ExecutorID in Call: {executor} does not match ExecutorID in TaskStatus: {other}"
        ));
    }
    let who = format!("executor {executor} of framework {framework}");
    if status.source != Some(StatusSource::Executor as i32) {
        return Err(format!(
            "Received Call from {who} with invalid source, expecting 'SOURCE_EXECUTOR'"
        ));
    }
    if status.state() == TaskState::Staging {
        return Err(format!("Received TASK_STAGING from {who} which is not allowed"));
    }
    Ok(())
}

fn expecting(name: &str) -> String {
    format!("Expecting '{name}' to be present")
}
