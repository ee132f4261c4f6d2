//! The executor API of Mesos v1 (package `mesos.v1.executor`): an executor and its agent.
//!
//! Our own executors send and receive these messages in batches over one upgraded connection:
//! `POST` [`STREAM_PATH`] with `Upgrade: muster-executor/1`, then RecordIO of [`Call`] up and of
//! [`Event`] down. The first record up is SUBSCRIBE.

use prost::{Enumeration, Message};

use crate::{
    AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, TaskId, TaskInfo,
    TaskStatus,
};

/// The path on the agent where our executors open their stream.
pub const STREAM_PATH: &str = "/muster/v1/executor";
/// The protocol named in the `Upgrade` header of that request.
pub const STREAM_UPGRADE: &str = "muster-executor/1";

/// What an executor tells or asks its agent.
#[derive(Clone, PartialEq, Message)]
pub struct Call {
    /// Which executor.
    #[prost(message, optional, tag = "1")]
    pub executor_id: Option<ExecutorId>,
    /// Of which framework.
    #[prost(message, optional, tag = "2")]
    pub framework_id: Option<FrameworkId>,
    /// Which of the bodies is meant.
    #[prost(enumeration = "CallType", optional, tag = "3")]
    pub r#type: Option<i32>,
    /// Body of SUBSCRIBE.
    #[prost(message, optional, tag = "4")]
    pub subscribe: Option<Subscribe>,
    /// Body of UPDATE.
    #[prost(message, optional, tag = "5")]
    pub update: Option<Update>,
    /// Body of MESSAGE.
    #[prost(message, optional, tag = "6")]
    pub message: Option<CallMessage>,
}

/// The calls of the executor API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum CallType {
    /// Not set.
    Unknown = 0,
    /// Begin to receive events.
    Subscribe = 1,
    /// What became of a task.
    Update = 2,
    /// Bytes for the framework.
    Message = 3,
    /// The executor lives.
    Heartbeat = 4,
}

/// Body of SUBSCRIBE: what the agent may not know after its restart.
#[derive(Clone, PartialEq, Message)]
pub struct Subscribe {
    /// Tasks with updates that the agent has not acknowledged.
    #[prost(message, repeated, tag = "1")]
    pub unacknowledged_tasks: Vec<TaskInfo>,
    /// Updates that the agent has not acknowledged, in order.
    #[prost(message, repeated, tag = "2")]
    pub unacknowledged_updates: Vec<Update>,
}

/// Body of UPDATE.
#[derive(Clone, PartialEq, Message)]
pub struct Update {
    /// The status; its uuid is set, its source is the executor.
    #[prost(message, optional, tag = "1")]
    pub status: Option<TaskStatus>,
}

/// Body of a MESSAGE call.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CallMessage {
    /// The bytes.
    #[prost(bytes = "vec", required, tag = "2")]
    pub data: Vec<u8>,
}

/// What an agent tells an executor.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Which of the bodies is meant.
    #[prost(enumeration = "EventType", optional, tag = "1")]
    pub r#type: Option<i32>,
    /// Body of SUBSCRIBED.
    #[prost(message, optional, tag = "2")]
    pub subscribed: Option<Subscribed>,
    /// Body of ACKNOWLEDGED.
    #[prost(message, optional, tag = "3")]
    pub acknowledged: Option<Acknowledged>,
    /// Body of LAUNCH.
    #[prost(message, optional, tag = "4")]
    pub launch: Option<Launch>,
    /// Body of KILL.
    #[prost(message, optional, tag = "5")]
    pub kill: Option<Kill>,
    /// Body of MESSAGE.
    #[prost(message, optional, tag = "6")]
    pub message: Option<EventMessage>,
    /// Body of ERROR.
    #[prost(message, optional, tag = "7")]
    pub error: Option<Error>,
}

/// The events of the executor API that Muster speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum EventType {
    /// Not set.
    Unknown = 0,
    /// The subscription is accepted; always the first.
    Subscribed = 1,
    /// Start a task.
    Launch = 2,
    /// End a task.
    Kill = 3,
    /// The agent has custody of an update.
    Acknowledged = 4,
    /// Bytes from the framework.
    Message = 5,
    /// The subscription is over.
    Error = 6,
    /// End all tasks, then exit.
    Shutdown = 7,
    /// The agent lives.
    Heartbeat = 9,
}

/// Body of SUBSCRIBED.
#[derive(Clone, PartialEq, Message)]
pub struct Subscribed {
    /// The executor as its framework described it.
    #[prost(message, optional, tag = "1")]
    pub executor_info: Option<ExecutorInfo>,
    /// Its framework.
    #[prost(message, optional, tag = "2")]
    pub framework_info: Option<FrameworkInfo>,
    /// Its agent.
    #[prost(message, optional, tag = "3")]
    pub agent_info: Option<AgentInfo>,
}

/// Body of LAUNCH.
#[derive(Clone, PartialEq, Message)]
pub struct Launch {
    /// The task.
    #[prost(message, optional, tag = "1")]
    pub task: Option<TaskInfo>,
}

/// Body of KILL.
#[derive(Clone, PartialEq, Message)]
pub struct Kill {
    /// The task.
    #[prost(message, optional, tag = "1")]
    pub task_id: Option<TaskId>,
    /// How; goes before the task's own policy.
    #[prost(message, optional, tag = "2")]
    pub kill_policy: Option<KillPolicy>,
}

/// Body of ACKNOWLEDGED.
#[derive(Clone, PartialEq, Message)]
pub struct Acknowledged {
    /// The task.
    #[prost(message, optional, tag = "1")]
    pub task_id: Option<TaskId>,
    /// The uuid of the update.
    #[prost(bytes = "vec", required, tag = "2")]
    pub uuid: Vec<u8>,
}

/// Body of a MESSAGE event.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EventMessage {
    /// The bytes.
    #[prost(bytes = "vec", required, tag = "1")]
    pub data: Vec<u8>,
}

/// Body of ERROR.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Error {
    /// What is wrong.
    #[prost(string, required, tag = "1")]
    pub message: String,
}
