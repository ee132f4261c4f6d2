//! What a master says to an agent.

use prost::{Message, Oneof};

use super::{Expected, Launcher, Unsupported};
use crate::{
    AgentId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, TaskId, TaskInfo,
};

/// A message from a master to an agent.
#[derive(Clone, PartialEq, Message)]
pub struct FromMaster {
    /// The master's term.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// What it says; absent when the kind is not known here.
    #[prost(oneof = "MasterBody", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14")]
    pub body: Option<MasterBody>,
}

/// What a master can say.
#[derive(Clone, PartialEq, Oneof)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, on its way to the wire")]
pub enum MasterBody {
    /// Prove that you know the token.
    #[prost(message, tag = "2")]
    Challenge(Challenge),
    /// Registered.
    #[prost(message, tag = "3")]
    Welcome(Welcome),
    /// Not registered; the connection ends.
    #[prost(message, tag = "4")]
    Refused(Refused),
    /// The answer to a heartbeat: it extends leases.
    #[prost(message, tag = "5")]
    HeartbeatAnswer(HeartbeatAnswer),
    /// Start a task.
    #[prost(message, tag = "6")]
    Launch(Launch),
    /// End a task.
    #[prost(message, tag = "7")]
    Kill(Kill),
    /// End an executor.
    #[prost(message, tag = "8")]
    ShutdownExecutor(ShutdownExecutor),
    /// The framework has custody of a status.
    #[prost(message, tag = "9")]
    Acknowledge(Acknowledge),
    /// Send a part of a task's output.
    #[prost(message, tag = "10")]
    ReadLog(ReadLog),
    /// A message was of a kind that this master does not know.
    #[prost(message, tag = "11")]
    Unsupported(Unsupported),
    /// The framework has a message of an executor.
    #[prost(message, tag = "12")]
    MessageTaken(MessageTaken),
    /// A framework has something for one of its executors.
    #[prost(message, tag = "13")]
    FrameworkMessage(FrameworkMessage),
    /// Start tasks together, all or none.
    #[prost(message, tag = "14")]
    LaunchGroup(LaunchGroup),
}

/// Prove that you know the token.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Challenge {
    /// 32 random bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub nonce: Vec<u8>,
    /// The oldest version of this protocol that the master speaks.
    #[prost(uint32, tag = "2")]
    pub oldest_version: u32,
    /// The newest.
    #[prost(uint32, tag = "3")]
    pub version: u32,
}

/// Registered.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Welcome {
    /// The agent's id, now and later.
    #[prost(message, optional, tag = "1")]
    pub agent_id: Option<AgentId>,
    /// The master's proof.
    #[prost(bytes = "vec", tag = "2")]
    pub proof: Vec<u8>,
}

/// Not registered.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Refused {
    /// Why, for people.
    #[prost(string, tag = "1")]
    pub message: String,
    /// Whether dialling again can help.
    #[prost(bool, tag = "2")]
    pub retry: bool,
    /// Whether an operator has declared this agent gone: what it runs counts as dead and may run
    /// elsewhere. It ends all of it, forgets its id and registers anew, as another agent.
    #[prost(bool, tag = "3")]
    pub gone: bool,
    /// The master's proof, as in a [`Welcome`], if it is gone: nobody else may say that.
    #[prost(bytes = "vec", tag = "4")]
    pub proof: Vec<u8>,
}

/// The answer to a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct HeartbeatAnswer {
    /// Which heartbeat.
    #[prost(uint64, tag = "1")]
    pub number: u64,
}

/// Start a task, and its executor if it is expected new.
#[derive(Clone, PartialEq, Message)]
pub struct Launch {
    /// Whose task.
    #[prost(message, optional, tag = "1")]
    pub framework: Option<FrameworkInfo>,
    /// The task. Its `executor` is set and filled in, or it has a command, for which the agent has
    /// an executor of its own.
    #[prost(message, optional, tag = "2")]
    pub task: Option<TaskInfo>,
    /// The number of the newest heartbeat that the master had answered when it sent this.
    #[prost(uint64, tag = "3")]
    pub heartbeat: u64,
    /// Who wants it.
    #[prost(enumeration = "Launcher", tag = "4")]
    pub launcher: i32,
    /// Whether its executor lives, for all that the master knows.
    #[prost(enumeration = "Expected", tag = "5")]
    pub expected: i32,
}

/// Start tasks together in one executor, all or none.
#[derive(Clone, PartialEq, Message)]
pub struct LaunchGroup {
    /// Whose tasks.
    #[prost(message, optional, tag = "1")]
    pub framework: Option<FrameworkInfo>,
    /// The tasks. Without an `executor` of the group that of each is set, and all are the same.
    #[prost(message, repeated, tag = "2")]
    pub tasks: Vec<TaskInfo>,
    /// As in [`Launch`].
    #[prost(uint64, tag = "3")]
    pub heartbeat: u64,
    /// The executor of all of them, filled in.
    #[prost(message, optional, tag = "4")]
    pub executor: Option<ExecutorInfo>,
    /// As in [`Launch`].
    #[prost(enumeration = "Launcher", tag = "5")]
    pub launcher: i32,
    /// As in [`Launch`].
    #[prost(enumeration = "Expected", tag = "6")]
    pub expected: i32,
}

/// A framework has something for one of its executors. Nobody keeps it: where the executor is not
/// subscribed it is lost.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FrameworkMessage {
    /// Whose executor.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Which.
    #[prost(message, optional, tag = "2")]
    pub executor_id: Option<ExecutorId>,
    /// The bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub data: Vec<u8>,
}

/// End a task.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Kill {
    /// Whose task.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Which.
    #[prost(message, optional, tag = "2")]
    pub task_id: Option<TaskId>,
    /// How; goes before the task's own policy.
    #[prost(message, optional, tag = "3")]
    pub kill_policy: Option<KillPolicy>,
}

/// End an executor and all under it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ShutdownExecutor {
    /// Whose.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Which.
    #[prost(message, optional, tag = "2")]
    pub executor_id: Option<ExecutorId>,
}

/// The framework has custody of a status.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Acknowledge {
    /// Whose task.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Which.
    #[prost(message, optional, tag = "2")]
    pub task_id: Option<TaskId>,
    /// The uuid of the status.
    #[prost(bytes = "vec", tag = "3")]
    pub uuid: Vec<u8>,
}

/// The framework has a message of an executor.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MessageTaken {
    /// Whose executor.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Which.
    #[prost(message, optional, tag = "2")]
    pub executor_id: Option<ExecutorId>,
    /// The number of its message.
    #[prost(uint64, tag = "3")]
    pub number: u64,
}

/// Send a part of a task's output.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ReadLog {
    /// Comes back with the answer.
    #[prost(uint64, tag = "1")]
    pub request: u64,
    /// The task.
    #[prost(string, tag = "2")]
    pub task_id: String,
    /// The executor that hosted it.
    #[prost(string, tag = "3")]
    pub executor_id: String,
    /// `stdout` or `stderr`.
    #[prost(string, tag = "4")]
    pub stream: String,
    /// The first byte wanted.
    #[prost(uint64, tag = "5")]
    pub offset: u64,
    /// How many bytes at most.
    #[prost(uint32, tag = "6")]
    pub limit: u32,
    /// How long the agent may wait for more when there is nothing, in milliseconds.
    #[prost(uint32, tag = "7")]
    pub wait_ms: u32,
}
