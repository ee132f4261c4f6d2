//! Tasks and executors as their frameworks describe them.

use prost::{Enumeration, Message};

use super::{AgentId, DurationInfo, ExecutorId, FrameworkId, Labels, Resource, TaskId};

/// A task as its framework describes it.
#[derive(Clone, PartialEq, Message)]
pub struct TaskInfo {
    /// A name for people.
    #[prost(string, required, tag = "1")]
    pub name: String,
    /// Its id.
    #[prost(message, optional, tag = "2")]
    pub task_id: Option<TaskId>,
    /// The agent that is to run it.
    #[prost(message, optional, tag = "3")]
    pub agent_id: Option<AgentId>,
    /// What it uses.
    #[prost(message, repeated, tag = "4")]
    pub resources: Vec<Resource>,
    /// The executor that hosts it.
    #[prost(message, optional, tag = "5")]
    pub executor: Option<ExecutorInfo>,
    /// What its executor is told about it; for our jobs an encoded `muster_api::TaskPayload`.
    #[prost(bytes = "vec", optional, tag = "6")]
    pub data: Option<Vec<u8>>,
    /// A command, for tasks without executor.
    #[prost(message, optional, tag = "7")]
    pub command: Option<CommandInfo>,
    /// Labels.
    #[prost(message, optional, tag = "10")]
    pub labels: Option<Labels>,
    /// How it is to be killed.
    #[prost(message, optional, tag = "12")]
    pub kill_policy: Option<KillPolicy>,
}

/// An executor as its framework describes it.
#[derive(Clone, PartialEq, Message)]
pub struct ExecutorInfo {
    /// Its id.
    #[prost(message, optional, tag = "1")]
    pub executor_id: Option<ExecutorId>,
    /// What it is told.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub data: Option<Vec<u8>>,
    /// What its process uses, beside its tasks.
    #[prost(message, repeated, tag = "5")]
    pub resources: Vec<Resource>,
    /// How it is started.
    #[prost(message, optional, tag = "7")]
    pub command: Option<CommandInfo>,
    /// Whose it is.
    #[prost(message, optional, tag = "8")]
    pub framework_id: Option<FrameworkId>,
    /// A name for people.
    #[prost(string, optional, tag = "9")]
    pub name: Option<String>,
    /// From being told to shut down to being killed.
    #[prost(message, optional, tag = "13")]
    pub shutdown_grace_period: Option<DurationInfo>,
    /// Labels.
    #[prost(message, optional, tag = "14")]
    pub labels: Option<Labels>,
    /// Default or custom.
    #[prost(enumeration = "ExecutorType", optional, tag = "15")]
    pub r#type: Option<i32>,
}

/// Whether an executor is the one built into Mesos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ExecutorType {
    /// Not set.
    Unknown = 0,
    /// The pod runner of Mesos.
    Default = 1,
    /// A program of the framework.
    Custom = 2,
}

/// A command to run.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CommandInfo {
    /// What is fetched into the sandbox first.
    #[prost(message, repeated, tag = "1")]
    pub uris: Vec<Uri>,
    /// Its environment.
    #[prost(message, optional, tag = "2")]
    pub environment: Option<Environment>,
    /// A shell line, or the path of a program.
    #[prost(string, optional, tag = "3")]
    pub value: Option<String>,
    /// The system user that it runs as.
    #[prost(string, optional, tag = "5")]
    pub user: Option<String>,
    /// Whether `value` is a shell line; absent means yes.
    #[prost(bool, optional, tag = "6")]
    pub shell: Option<bool>,
    /// The arguments of a program, its own name first.
    #[prost(string, repeated, tag = "7")]
    pub arguments: Vec<String>,
}

/// Something to fetch into a sandbox.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Uri {
    /// Where it is.
    #[prost(string, required, tag = "1")]
    pub value: String,
    /// Whether it is made executable.
    #[prost(bool, optional, tag = "2")]
    pub executable: Option<bool>,
    /// Whether an archive is extracted; absent means yes.
    #[prost(bool, optional, tag = "3")]
    pub extract: Option<bool>,
    /// Whether the agent may keep it for the next executor.
    #[prost(bool, optional, tag = "4")]
    pub cache: Option<bool>,
    /// Its name in the sandbox; absent: the last part of the path.
    #[prost(string, optional, tag = "5")]
    pub output_file: Option<String>,
}

/// Environment variables.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Environment {
    /// The variables.
    #[prost(message, repeated, tag = "1")]
    pub variables: Vec<Variable>,
}

/// One environment variable.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Variable {
    /// Name.
    #[prost(string, required, tag = "1")]
    pub name: String,
    /// Value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// How a task is to be killed.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct KillPolicy {
    /// From asking to forcing.
    #[prost(message, optional, tag = "1")]
    pub grace_period: Option<DurationInfo>,
}
