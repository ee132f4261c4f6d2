//! The executor API of Mesos v1 (package `mesos.v1.executor`): an executor and its agent.
//!
//! Our own executors send and receive these messages in batches over one upgraded connection:
//! `POST` [`STREAM_PATH`] with `Upgrade: muster-executor/1`, then RecordIO of [`Call`] up and of
//! [`Event`] down. The first record up is SUBSCRIBE.
//!
//! One thing is said there that Mesos does not have, with kinds and tags that it will not use: a
//! MESSAGE with a number is answered by [`EventType::MessageTaken`] once its framework has it.
//! Nobody on the way keeps a message, so that an executor that gets no answer sends it again.

use prost::Message;

use crate::{
    AgentInfo, ContainerId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy,
    TaskGroupInfo, TaskId, TaskInfo, TaskStatus,
};

/// The path on the agent where our executors open their stream.
pub const STREAM_PATH: &str = "/muster/v1/executor";
/// The protocol named in the `Upgrade` header of that request.
pub const STREAM_UPGRADE: &str = "muster-executor/1";

messages! {
    /// What an executor tells or asks its agent.
    #[derive(Clone, PartialEq, Message)]
    pub struct Call {
        /// Which executor.
        required message<ExecutorId> executor_id = 1,
        /// Of which framework.
        required message<FrameworkId> framework_id = 2,
        /// Which of the bodies is meant.
        optional enum<CallType> r#type = 3,
        /// Body of SUBSCRIBE.
        optional message<Subscribe> subscribe = 4,
        /// Body of UPDATE.
        optional message<Update> update = 5,
        /// Body of MESSAGE.
        optional message<CallMessage> message = 6,
    }

    /// Body of SUBSCRIBE: what the agent may not know after its restart.
    #[derive(Clone, PartialEq, Message)]
    pub struct Subscribe {
        /// Tasks with updates that the agent has not acknowledged.
        repeated message<TaskInfo> unacknowledged_tasks = 1,
        /// Updates that the agent has not acknowledged, in order.
        repeated message<Update> unacknowledged_updates = 2,
    }

    /// Body of UPDATE.
    #[derive(Clone, PartialEq, Message)]
    pub struct Update {
        /// The status; its uuid is set, its source is the executor.
        required message<TaskStatus> status = 1,
    }

    /// Body of a MESSAGE call.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct CallMessage {
        /// The bytes.
        required bytes data = 2,
        /// Ours: names the message for its sender, who wants to know that it was taken.
        optional uint64 number = 1001,
    }

    /// What an agent tells an executor.
    #[derive(Clone, PartialEq, Message)]
    pub struct Event {
        /// Which of the bodies is meant.
        optional enum<EventType> r#type = 1,
        /// Body of SUBSCRIBED.
        optional message<Subscribed> subscribed = 2,
        /// Body of ACKNOWLEDGED.
        optional message<Acknowledged> acknowledged = 3,
        /// Body of LAUNCH.
        optional message<Launch> launch = 4,
        /// Body of LAUNCH_GROUP.
        optional message<LaunchGroup> launch_group = 8,
        /// Body of KILL.
        optional message<Kill> kill = 5,
        /// Body of MESSAGE.
        optional message<EventMessage> message = 6,
        /// Body of ERROR.
        optional message<Error> error = 7,
        /// Ours: body of MESSAGE_TAKEN.
        optional message<MessageTaken> message_taken = 1001,
    }

    /// Body of SUBSCRIBED.
    #[derive(Clone, PartialEq, Message)]
    pub struct Subscribed {
        /// The executor as its framework described it.
        required message<ExecutorInfo> executor_info = 1,
        /// Its framework.
        required message<FrameworkInfo> framework_info = 2,
        /// Its agent.
        required message<AgentInfo> agent_info = 3,
        /// Its container.
        optional message<ContainerId> container_id = 4,
    }

    /// Body of LAUNCH.
    #[derive(Clone, PartialEq, Message)]
    pub struct Launch {
        /// The task.
        required message<TaskInfo> task = 1,
    }

    /// Body of LAUNCH_GROUP.
    #[derive(Clone, PartialEq, Message)]
    pub struct LaunchGroup {
        /// The tasks.
        required message<TaskGroupInfo> task_group = 1,
    }

    /// Body of KILL.
    #[derive(Clone, PartialEq, Message)]
    pub struct Kill {
        /// The task.
        required message<TaskId> task_id = 1,
        /// How; goes before the task's own policy.
        optional message<KillPolicy> kill_policy = 2,
    }

    /// Body of ACKNOWLEDGED.
    #[derive(Clone, PartialEq, Message)]
    pub struct Acknowledged {
        /// The task.
        required message<TaskId> task_id = 1,
        /// The uuid of the update.
        required bytes uuid = 2,
    }

    /// Body of a MESSAGE event.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct EventMessage {
        /// The bytes.
        required bytes data = 1,
    }

    /// Body of ERROR.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Error {
        /// What is wrong.
        required string message = 1,
    }

    /// Body of MESSAGE_TAKEN.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct MessageTaken {
        /// The number of the message.
        required uint64 number = 1,
    }
}

enumerations! {
    /// The calls of the executor API.
    pub enum CallType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// Begin to receive events.
        Subscribe = 1 "SUBSCRIBE",
        /// What became of a task.
        Update = 2 "UPDATE",
        /// Bytes for the framework.
        Message = 3 "MESSAGE",
        /// The executor lives.
        Heartbeat = 4 "HEARTBEAT",
    }

    /// The events of the executor API.
    pub enum EventType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// The subscription is accepted; always the first.
        Subscribed = 1 "SUBSCRIBED",
        /// Start a task.
        Launch = 2 "LAUNCH",
        /// Start tasks together.
        LaunchGroup = 8 "LAUNCH_GROUP",
        /// End a task.
        Kill = 3 "KILL",
        /// The agent has custody of an update.
        Acknowledged = 4 "ACKNOWLEDGED",
        /// Bytes from the framework.
        Message = 5 "MESSAGE",
        /// The subscription is over.
        Error = 6 "ERROR",
        /// End all tasks, then exit.
        Shutdown = 7 "SHUTDOWN",
        /// The agent lives.
        Heartbeat = 9 "HEARTBEAT",
        /// Ours: the framework has a message.
        MessageTaken = 1001 "MESSAGE_TAKEN",
    }
}
