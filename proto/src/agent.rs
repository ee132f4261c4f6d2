//! The protocol between our agents and our master.
//!
//! The agent dials: `POST` [`STREAM_PATH`] with `Upgrade: muster-agent/1`. After the switch both
//! sides send RecordIO, the agent [`FromAgent`] and the master [`FromMaster`], any number to a
//! write. The order is:
//!
//! 1. master: [`Challenge`] with a nonce;
//! 2. agent: [`Hello`] with its own nonce, its proof, and all that lives on it;
//! 3. master: [`Welcome`] with its proof and the agent's id, or [`Refused`] and the end;
//! 4. agent: a [`Heartbeat`] at once and then every 5 s, and all statuses that wait for their
//!    acknowledgement; master: launches, kills, acknowledgements.
//!
//! Proofs are HMAC-SHA256 with the join token as key: the agent's over
//! `"muster agent 1" ‖ master nonce ‖ agent nonce`, the master's over
//! `"muster master 1" ‖ agent nonce ‖ master nonce`. The token itself is never sent.
//!
//! An agent that an operator has declared gone is refused with that word, and with the master's
//! proof. It ends all its executors, forgets its id, and registers as another agent once nothing of
//! its former life is left.
//!
//! Every message carries the master's term. An agent refuses messages of a term lower than the
//! highest that it has seen. Unknown fields are ignored; a message whose body is of an unknown
//! kind is answered with [`Unsupported`].

use prost::{Message, Oneof};

use crate::{
    AgentId, AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, TaskId,
    TaskInfo, TaskStatus,
};

/// The path on the master where agents open their stream.
pub const STREAM_PATH: &str = "/muster/v1/agent";
/// The protocol named in the `Upgrade` header of that request.
pub const STREAM_UPGRADE: &str = "muster-agent/1";
/// The version of this protocol that is spoken here.
pub const VERSION: u32 = 1;
/// The oldest version that is still understood.
pub const OLDEST_VERSION: u32 = 1;

/// The bytes that an agent's proof is made over.
pub fn agent_proof_input(master_nonce: &[u8], agent_nonce: &[u8]) -> Vec<u8> {
    [b"muster agent 1".as_slice(), master_nonce, agent_nonce].concat()
}

/// The bytes that a master's proof is made over.
pub fn master_proof_input(master_nonce: &[u8], agent_nonce: &[u8]) -> Vec<u8> {
    [b"muster master 1".as_slice(), agent_nonce, master_nonce].concat()
}

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
    /// The answer to a [`ReadLog`].
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
}

/// An executor that lives on an agent.
#[derive(Clone, PartialEq, Message)]
pub struct ExecutorHere {
    /// Whose it is.
    #[prost(message, optional, tag = "1")]
    pub framework: Option<FrameworkInfo>,
    /// What it is.
    #[prost(message, optional, tag = "2")]
    pub executor: Option<ExecutorInfo>,
}

/// A task that an agent knows.
#[derive(Clone, PartialEq, Message)]
pub struct TaskHere {
    /// Whose it is.
    #[prost(message, optional, tag = "1")]
    pub framework_id: Option<FrameworkId>,
    /// What it is. Its `executor` is set.
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

/// A message was of a kind that its receiver does not know.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Unsupported {}

/// A message from a master to an agent.
#[derive(Clone, PartialEq, Message)]
pub struct FromMaster {
    /// The master's term.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// What it says; absent when the kind is not known here.
    #[prost(oneof = "MasterBody", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")]
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
    /// The task; its `executor` is set and filled in.
    #[prost(message, optional, tag = "2")]
    pub task: Option<TaskInfo>,
    /// The number of the newest heartbeat that the master had answered when it sent this.
    #[prost(uint64, tag = "3")]
    pub heartbeat: u64,
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
