//! What an agent says to its master.

use prost::{Message, Oneof};

use super::Unsupported;
use crate::{
    AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, TaskInfo, TaskStatus, Url,
};

/// A message from an agent to its master.
#[derive(Clone, PartialEq, Message)]
pub struct FromAgent {
    /// The term of the master that this is meant for; 0 in a hello to an unknown master.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// What it says; absent when the kind is not known here.
    #[prost(oneof = "AgentBody", tags = "2, 3, 4, 5, 6, 7, 8")]
    pub body: Option<AgentBody>,
}

/// What an agent can say.
#[derive(Clone, PartialEq, Oneof)]
pub enum AgentBody {
    /// Registration.
    #[prost(message, tag = "2")]
    Hello(Hello),
    /// The agent lives.
    #[prost(message, tag = "3")]
    Heartbeat(Heartbeat),
    /// What became of a task.
    #[prost(message, tag = "4")]
    Status(Status),
    /// An executor has ended, with all its descendants.
    #[prost(message, tag = "5")]
    ExecutorExited(ExecutorExited),
    /// The answer to a [`ReadLog`](super::ReadLog).
    #[prost(message, tag = "6")]
    LogData(LogData),
    /// A message was of a kind that this agent does not know.
    #[prost(message, tag = "7")]
    Unsupported(Unsupported),
    /// An executor has something for its framework.
    #[prost(message, tag = "8")]
    ExecutorMessage(ExecutorMessage),
}

/// Registration: who the agent is, and what lives on it.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    /// The protocol version that the agent will speak.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// 32 random bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub nonce: Vec<u8>,
    /// The agent's proof.
    #[prost(bytes = "vec", tag = "3")]
    pub proof: Vec<u8>,
    /// Host name, resources, attributes, executor port; the id if a master gave one before.
    #[prost(message, optional, tag = "4")]
    pub info: Option<AgentInfo>,
    /// Changes with every boot of the host.
    #[prost(string, tag = "5")]
    pub boot_id: String,
    /// The executors that are not known to be dead.
    #[prost(message, repeated, tag = "6")]
    pub executors: Vec<ExecutorHere>,
    /// The tasks that are not acknowledged to the end.
    #[prost(message, repeated, tag = "7")]
    pub tasks: Vec<TaskHere>,
    /// When this was said, in milliseconds since the host booted: of two hellos of one boot the
    /// later counts, whichever comes first. 0 from agents that do not say it.
    #[prost(uint64, tag = "8")]
    pub said_at: u64,
    /// Where its executor API is, as offers tell it.
    #[prost(message, optional, tag = "9")]
    pub url: Option<Url>,
}

/// An executor that lives on an agent.
///
/// All of a host is told in one message, so only what the master counts is in here, and nothing
/// that a framework can make long.
#[derive(Clone, PartialEq, Message)]
pub struct ExecutorHere {
    /// Whose it is: with its id, and the first time in a hello with what makes it known to a master
    /// that has lost its store.
    #[prost(message, optional, tag = "1")]
    pub framework: Option<FrameworkInfo>,
    /// Its id and its resources. Without a digest, from an older agent, all of it.
    #[prost(message, optional, tag = "2")]
    pub executor: Option<ExecutorInfo>,
    /// The [`executor_digest`](super::executor_digest) of what it was launched as: later tasks must describe it the same.
    #[prost(bytes = "vec", tag = "3")]
    pub digest: Vec<u8>,
}

/// A task that an agent knows.
#[derive(Clone, PartialEq, Message)]
pub struct TaskHere {
    /// Whose it is.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Its id, its resources, and the id of its executor, or that it has a command. No more of it
    /// counts.
    #[prost(message, optional, tag = "2")]
    pub task: Option<TaskInfo>,
    /// The newest state that the agent knows, whether or not it was reported.
    #[prost(enumeration = "crate::TaskState", tag = "3")]
    pub state: i32,
}

/// The agent lives.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Heartbeat {
    /// Counts up from 1 on each connection.
    #[prost(uint64, tag = "1")]
    pub number: u64,
}

/// What became of a task.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// Whose task.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// The status, with uuid, agent, executor, source and timestamp. One is outstanding per task.
    #[prost(message, optional, tag = "2")]
    pub status: Option<TaskStatus>,
    /// The newest state that the agent knows; resources are free once it is terminal.
    #[prost(enumeration = "crate::TaskState", tag = "3")]
    pub latest_state: i32,
}

/// An executor has ended, with all its descendants.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExecutorExited {
    /// Whose it was.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Which.
    #[prost(message, optional, tag = "2")]
    pub executor_id: Option<ExecutorId>,
    /// Its raw wait status; -1 when unknown.
    #[prost(int32, tag = "3")]
    pub status: i32,
}

/// An executor has something for its framework. Nobody keeps it: what is not taken is sent again by
/// the executor.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ExecutorMessage {
    /// Whose executor.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// Which.
    #[prost(message, optional, tag = "2")]
    pub executor_id: Option<ExecutorId>,
    /// What it says.
    #[prost(bytes = "vec", tag = "3")]
    pub data: Vec<u8>,
    /// Set when the executor wants to know that it was taken.
    #[prost(uint64, optional, tag = "4")]
    pub number: Option<u64>,
}

/// A part of a task's output.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LogData {
    /// The request that this answers.
    #[prost(uint64, tag = "1")]
    pub request: u64,
    /// The bytes from the offset asked for.
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
    /// Bytes that the stream has in all.
    #[prost(uint64, tag = "3")]
    pub size: u64,
    /// Nothing will be added: the task is over.
    #[prost(bool, tag = "4")]
    pub complete: bool,
    /// Why nothing could be read; empty when it could.
    #[prost(string, tag = "5")]
    pub error: String,
}
