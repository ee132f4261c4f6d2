//! The scheduler API of Mesos v1 (package `mesos.v1.scheduler`): a framework and its master.

use prost::{Enumeration, Message};

use crate::{
    AgentId, ExecutorId, Filters, FrameworkId, FrameworkInfo, KillPolicy, MasterInfo, Offer,
    OfferId, Operation, TaskId, TaskStatus,
};

/// What a framework asks of the master.
#[derive(Clone, PartialEq, Message)]
pub struct Call {
    /// Who asks; absent only in a first subscription.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Which of the bodies is meant.
    #[prost(enumeration = "CallType", optional, tag = "2")]
    pub r#type: Option<i32>,
    /// Body of SUBSCRIBE.
    #[prost(message, optional, tag = "3")]
    pub subscribe: Option<Subscribe>,
    /// Body of ACCEPT.
    #[prost(message, optional, tag = "4")]
    pub accept: Option<Accept>,
    /// Body of DECLINE.
    #[prost(message, optional, tag = "5")]
    pub decline: Option<Decline>,
    /// Body of KILL.
    #[prost(message, optional, tag = "6")]
    pub kill: Option<Kill>,
    /// Body of SHUTDOWN.
    #[prost(message, optional, tag = "7")]
    pub shutdown: Option<Shutdown>,
    /// Body of ACKNOWLEDGE.
    #[prost(message, optional, tag = "8")]
    pub acknowledge: Option<Acknowledge>,
    /// Body of RECONCILE.
    #[prost(message, optional, tag = "9")]
    pub reconcile: Option<Reconcile>,
    /// Body of MESSAGE.
    #[prost(message, optional, tag = "10")]
    pub message: Option<MessageBody>,
}

/// The calls of the scheduler API that Muster speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum CallType {
    /// Not set.
    Unknown = 0,
    /// Begin to receive events.
    Subscribe = 1,
    /// End this framework and its tasks.
    Teardown = 2,
    /// Use offers.
    Accept = 3,
    /// Give offers back.
    Decline = 4,
    /// Ask for offers again, without filters.
    Revive = 5,
    /// End a task.
    Kill = 6,
    /// End an executor.
    Shutdown = 7,
    /// Take custody of a status.
    Acknowledge = 8,
    /// Ask for the truth about tasks.
    Reconcile = 9,
    /// Send bytes to an executor.
    Message = 10,
    /// Want no offers for now.
    Suppress = 12,
}

/// Body of SUBSCRIBE.
#[derive(Clone, PartialEq, Message)]
pub struct Subscribe {
    /// Who subscribes.
    #[prost(message, optional, tag = "1")]
    pub framework_info: Option<FrameworkInfo>,
}

/// Body of ACCEPT.
#[derive(Clone, PartialEq, Message)]
pub struct Accept {
    /// The offers used, all of one agent.
    #[prost(message, repeated, tag = "1")]
    pub offer_ids: Vec<OfferId>,
    /// What to do with them, in order.
    #[prost(message, repeated, tag = "2")]
    pub operations: Vec<Operation>,
    /// How long what is left is not to be offered again.
    #[prost(message, optional, tag = "3")]
    pub filters: Option<Filters>,
}

/// Body of DECLINE.
#[derive(Clone, PartialEq, Message)]
pub struct Decline {
    /// The offers given back.
    #[prost(message, repeated, tag = "1")]
    pub offer_ids: Vec<OfferId>,
    /// How long they are not to be offered again.
    #[prost(message, optional, tag = "2")]
    pub filters: Option<Filters>,
}

/// Body of KILL.
#[derive(Clone, PartialEq, Message)]
pub struct Kill {
    /// Which task.
    #[prost(message, optional, tag = "1")]
    pub task_id: Option<TaskId>,
    /// Where it is.
    #[prost(message, optional, tag = "2")]
    pub agent_id: Option<AgentId>,
    /// How; goes before the task's own policy.
    #[prost(message, optional, tag = "3")]
    pub kill_policy: Option<KillPolicy>,
}

/// Body of SHUTDOWN.
#[derive(Clone, PartialEq, Message)]
pub struct Shutdown {
    /// Which executor.
    #[prost(message, optional, tag = "1")]
    pub executor_id: Option<ExecutorId>,
    /// Where it is.
    #[prost(message, optional, tag = "2")]
    pub agent_id: Option<AgentId>,
}

/// Body of ACKNOWLEDGE.
#[derive(Clone, PartialEq, Message)]
pub struct Acknowledge {
    /// The agent of the task.
    #[prost(message, optional, tag = "1")]
    pub agent_id: Option<AgentId>,
    /// The task.
    #[prost(message, optional, tag = "2")]
    pub task_id: Option<TaskId>,
    /// The uuid of the status, 16 bytes.
    #[prost(bytes = "vec", required, tag = "3")]
    pub uuid: Vec<u8>,
}

/// Body of RECONCILE; no tasks means all.
#[derive(Clone, PartialEq, Message)]
pub struct Reconcile {
    /// The tasks in question.
    #[prost(message, repeated, tag = "1")]
    pub tasks: Vec<ReconcileTask>,
}

/// A task in question.
#[derive(Clone, PartialEq, Message)]
pub struct ReconcileTask {
    /// Its id.
    #[prost(message, optional, tag = "1")]
    pub task_id: Option<TaskId>,
    /// Where it was launched.
    #[prost(message, optional, tag = "2")]
    pub agent_id: Option<AgentId>,
}

/// Bytes between a framework and one of its executors, in both directions.
#[derive(Clone, PartialEq, Message)]
pub struct MessageBody {
    /// The executor's agent.
    #[prost(message, optional, tag = "1")]
    pub agent_id: Option<AgentId>,
    /// The executor.
    #[prost(message, optional, tag = "2")]
    pub executor_id: Option<ExecutorId>,
    /// The bytes.
    #[prost(bytes = "vec", required, tag = "3")]
    pub data: Vec<u8>,
}

/// What the master tells a framework.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Which of the bodies is meant.
    #[prost(enumeration = "EventType", optional, tag = "1")]
    pub r#type: Option<i32>,
    /// Body of SUBSCRIBED.
    #[prost(message, optional, tag = "2")]
    pub subscribed: Option<Subscribed>,
    /// Body of OFFERS.
    #[prost(message, optional, tag = "3")]
    pub offers: Option<Offers>,
    /// Body of RESCIND.
    #[prost(message, optional, tag = "4")]
    pub rescind: Option<Rescind>,
    /// Body of UPDATE.
    #[prost(message, optional, tag = "5")]
    pub update: Option<Update>,
    /// Body of MESSAGE.
    #[prost(message, optional, tag = "6")]
    pub message: Option<MessageBody>,
    /// Body of FAILURE.
    #[prost(message, optional, tag = "7")]
    pub failure: Option<Failure>,
    /// Body of ERROR.
    #[prost(message, optional, tag = "8")]
    pub error: Option<Error>,
}

/// The events of the scheduler API that Muster speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum EventType {
    /// Not set.
    Unknown = 0,
    /// The subscription is accepted; always the first.
    Subscribed = 1,
    /// Resources are offered.
    Offers = 2,
    /// An offer is withdrawn.
    Rescind = 3,
    /// What became of a task.
    Update = 4,
    /// Bytes from an executor.
    Message = 5,
    /// An executor or an agent is gone.
    Failure = 6,
    /// The subscription is over.
    Error = 7,
    /// The master lives.
    Heartbeat = 8,
}

/// Body of SUBSCRIBED.
#[derive(Clone, PartialEq, Message)]
pub struct Subscribed {
    /// The framework's id, now and later.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Seconds between heartbeats.
    #[prost(double, optional, tag = "2")]
    pub heartbeat_interval_seconds: Option<f64>,
    /// The master.
    #[prost(message, optional, tag = "3")]
    pub master_info: Option<MasterInfo>,
}

/// Body of OFFERS.
#[derive(Clone, PartialEq, Message)]
pub struct Offers {
    /// The offers.
    #[prost(message, repeated, tag = "1")]
    pub offers: Vec<Offer>,
}

/// Body of RESCIND.
#[derive(Clone, PartialEq, Message)]
pub struct Rescind {
    /// The offer withdrawn.
    #[prost(message, optional, tag = "1")]
    pub offer_id: Option<OfferId>,
}

/// Body of UPDATE.
#[derive(Clone, PartialEq, Message)]
pub struct Update {
    /// The status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<TaskStatus>,
}

/// Body of FAILURE.
#[derive(Clone, PartialEq, Message)]
pub struct Failure {
    /// The agent.
    #[prost(message, optional, tag = "1")]
    pub agent_id: Option<AgentId>,
    /// The executor; absent when the agent is lost.
    #[prost(message, optional, tag = "2")]
    pub executor_id: Option<ExecutorId>,
    /// Its raw wait status; -1 when unknown.
    #[prost(int32, optional, tag = "3")]
    pub status: Option<i32>,
}

/// Body of ERROR.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Error {
    /// What is wrong.
    #[prost(string, required, tag = "1")]
    pub message: String,
}
