//! The messages that the scheduler API and the executor API of Mesos v1 share.
//!
//! Field numbers, enum values and defaults are facts of the protocol (package `mesos.v1`).

use prost::{Enumeration, Message};

/// Declares identifier messages, all of which hold one string in field 1.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Message)]
        pub struct $name {
            /// The identifier; empty is never valid.
            #[prost(string, required, tag = "1")]
            pub value: String,
        }

        impl $name {
            /// An identifier of this kind from its text.
            pub fn new(value: impl Into<String>) -> Self {
                Self { value: value.into() }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.value)
            }
        }
    )+};
}

ids! {
    /// Names a framework at a master.
    FrameworkId,
    /// Names an offer, for as long as it is outstanding.
    OfferId,
    /// Names an agent; given by the master.
    AgentId,
    /// Names a task of one framework; given by the framework.
    TaskId,
    /// Names an executor of one framework on one agent; given by the framework.
    ExecutorId,
}

/// A span of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct DurationInfo {
    /// Nanoseconds.
    #[prost(int64, required, tag = "1")]
    pub nanoseconds: i64,
}

/// A point in time, nanoseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct TimeInfo {
    /// Nanoseconds.
    #[prost(int64, required, tag = "1")]
    pub nanoseconds: i64,
}

/// A list of labels.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Labels {
    /// The labels, in order.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
}

impl Labels {
    /// Labels from pairs of key and value.
    pub fn of<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let labels = pairs
            .into_iter()
            .map(|(key, value)| Label { key: key.into(), value: Some(value.into()) })
            .collect();
        Self { labels }
    }

    /// The value of the first label named `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let label = self.labels.iter().find(|label| label.key == key)?;
        Some(label.value.as_deref().unwrap_or(""))
    }
}

/// One label: a key and perhaps a value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    /// The key.
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// What kind of value an attribute or resource holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ValueType {
    /// A number with three decimals.
    Scalar = 0,
    /// Ranges of integers.
    Ranges = 1,
    /// A set of strings.
    Set = 2,
    /// A string.
    Text = 3,
}

/// A number; Mesos keeps exactly three decimals of it.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Scalar {
    /// The number.
    #[prost(double, required, tag = "1")]
    pub value: f64,
}

/// An inclusive range of integers.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Range {
    /// First.
    #[prost(uint64, required, tag = "1")]
    pub begin: u64,
    /// Last.
    #[prost(uint64, required, tag = "2")]
    pub end: u64,
}

/// Ranges of integers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Ranges {
    /// The ranges.
    #[prost(message, repeated, tag = "1")]
    pub range: Vec<Range>,
}

/// A set of strings.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Set {
    /// The items.
    #[prost(string, repeated, tag = "1")]
    pub item: Vec<String>,
}

/// A string value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Text {
    /// The string.
    #[prost(string, required, tag = "1")]
    pub value: String,
}

/// A fact about a host, such as its rack.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// The name.
    #[prost(string, required, tag = "1")]
    pub name: String,
    /// Which of the values is set.
    #[prost(enumeration = "ValueType", required, tag = "2")]
    pub r#type: i32,
    /// A number.
    #[prost(message, optional, tag = "3")]
    pub scalar: Option<Scalar>,
    /// Ranges.
    #[prost(message, optional, tag = "4")]
    pub ranges: Option<Ranges>,
    /// A string.
    #[prost(message, optional, tag = "5")]
    pub text: Option<Text>,
    /// A set.
    #[prost(message, optional, tag = "6")]
    pub set: Option<Set>,
}

impl Attribute {
    /// A text attribute.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            r#type: ValueType::Text as i32,
            text: Some(Text { value: value.into() }),
            ..Self::default()
        }
    }
}

/// The role that resources are offered to.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct AllocationInfo {
    /// The role.
    #[prost(string, optional, tag = "1")]
    pub role: Option<String>,
}

/// An amount of one resource.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// `cpus`, `mem` (MiB), `disk` (MiB), `ports`, or a custom name.
    #[prost(string, required, tag = "1")]
    pub name: String,
    /// Which of the values is set.
    #[prost(enumeration = "ValueType", required, tag = "2")]
    pub r#type: i32,
    /// The amount of a scalar resource.
    #[prost(message, optional, tag = "3")]
    pub scalar: Option<Scalar>,
    /// Ranges, such as ports.
    #[prost(message, optional, tag = "4")]
    pub ranges: Option<Ranges>,
    /// A set.
    #[prost(message, optional, tag = "5")]
    pub set: Option<Set>,
    /// The role it is reserved for, in the format without reservation refinement.
    #[prost(string, optional, tag = "6")]
    pub role: Option<String>,
    /// The role it is offered to.
    #[prost(message, optional, tag = "11")]
    pub allocation_info: Option<AllocationInfo>,
}

impl Resource {
    /// A scalar resource.
    pub fn scalar(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            r#type: ValueType::Scalar as i32,
            scalar: Some(Scalar { value }),
            ..Self::default()
        }
    }
}

/// What a framework says of itself.
#[derive(Clone, PartialEq, Message)]
pub struct FrameworkInfo {
    /// The system user for its tasks.
    #[prost(string, required, tag = "1")]
    pub user: String,
    /// A name for people.
    #[prost(string, required, tag = "2")]
    pub name: String,
    /// Its id, when it had one before.
    #[prost(message, optional, tag = "3")]
    pub id: Option<FrameworkId>,
    /// Seconds that a master waits for it to come back before its tasks are ended.
    #[prost(double, optional, tag = "4")]
    pub failover_timeout: Option<f64>,
    /// Whether its executors survive a restart of their agent.
    #[prost(bool, optional, tag = "5")]
    pub checkpoint: Option<bool>,
    /// What it understands.
    #[prost(message, repeated, tag = "10")]
    pub capabilities: Vec<Capability>,
}

/// One thing that a framework understands.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Capability {
    /// Which.
    #[prost(enumeration = "CapabilityType", optional, tag = "1")]
    pub r#type: Option<i32>,
}

/// The capabilities that a framework may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum CapabilityType {
    /// None of the below.
    Unknown = 0,
    /// Understands resources that may be revoked.
    RevocableResources = 1,
    /// Understands `TASK_KILLING`.
    TaskKillingState = 2,
    /// Wants hosts with GPUs.
    GpuResources = 3,
    /// Understands shared resources.
    SharedResources = 4,
    /// Understands that an unreachable task may come back.
    PartitionAware = 5,
    /// Subscribes with several roles.
    MultiRole = 6,
    /// Understands refined reservations.
    ReservationRefinement = 7,
    /// Understands regions.
    RegionAware = 8,
}

/// What a master says of itself.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MasterInfo {
    /// Its id, new at each election.
    #[prost(string, required, tag = "1")]
    pub id: String,
    /// IPv4 address, in network order read as a little-endian integer.
    #[prost(uint32, required, tag = "2")]
    pub ip: u32,
    /// Port.
    #[prost(uint32, required, tag = "3")]
    pub port: u32,
    /// Host name.
    #[prost(string, optional, tag = "5")]
    pub hostname: Option<String>,
    /// Version.
    #[prost(string, optional, tag = "6")]
    pub version: Option<String>,
}

/// What an agent says of itself.
#[derive(Clone, PartialEq, Message)]
pub struct AgentInfo {
    /// Host name.
    #[prost(string, required, tag = "1")]
    pub hostname: String,
    /// What it has.
    #[prost(message, repeated, tag = "3")]
    pub resources: Vec<Resource>,
    /// Facts about it.
    #[prost(message, repeated, tag = "5")]
    pub attributes: Vec<Attribute>,
    /// Its id.
    #[prost(message, optional, tag = "6")]
    pub id: Option<AgentId>,
    /// The port of its executor API.
    #[prost(int32, optional, tag = "8")]
    pub port: Option<i32>,
}

/// Resources of one agent, offered to one framework.
#[derive(Clone, PartialEq, Message)]
pub struct Offer {
    /// Its id.
    #[prost(message, optional, tag = "1")]
    pub id: Option<OfferId>,
    /// To whom.
    #[prost(message, optional, tag = "2")]
    pub framework_id: Option<FrameworkId>,
    /// Of which agent.
    #[prost(message, optional, tag = "3")]
    pub agent_id: Option<AgentId>,
    /// The agent's host name.
    #[prost(string, required, tag = "4")]
    pub hostname: String,
    /// What is free.
    #[prost(message, repeated, tag = "5")]
    pub resources: Vec<Resource>,
    /// The framework's executors that live there.
    #[prost(message, repeated, tag = "6")]
    pub executor_ids: Vec<ExecutorId>,
    /// Facts about the agent.
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<Attribute>,
    /// The role it is offered to.
    #[prost(message, optional, tag = "10")]
    pub allocation_info: Option<AllocationInfo>,
}

/// Something to do with offered resources.
#[derive(Clone, PartialEq, Message)]
pub struct Operation {
    /// What.
    #[prost(enumeration = "OperationType", optional, tag = "1")]
    pub r#type: Option<i32>,
    /// The body of a launch.
    #[prost(message, optional, tag = "2")]
    pub launch: Option<Launch>,
}

/// The operations on offers that Muster knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum OperationType {
    /// Not set, or one of the operations that Muster does not know.
    Unknown = 0,
    /// Launch tasks.
    Launch = 1,
}

/// Tasks to launch on offered resources.
#[derive(Clone, PartialEq, Message)]
pub struct Launch {
    /// The tasks.
    #[prost(message, repeated, tag = "1")]
    pub task_infos: Vec<TaskInfo>,
}

/// How long declined resources are not to be offered again.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Filters {
    /// Seconds; absent means 5.
    #[prost(double, optional, tag = "1")]
    pub refuse_seconds: Option<f64>,
}

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

/// What became of a task.
#[derive(Clone, PartialEq, Message)]
pub struct TaskStatus {
    /// Which task.
    #[prost(message, optional, tag = "1")]
    pub task_id: Option<TaskId>,
    /// Its state.
    #[prost(enumeration = "TaskState", required, tag = "2")]
    pub state: i32,
    /// Bytes from the executor; for our jobs an encoded `muster_api::TaskReport`.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub data: Option<Vec<u8>>,
    /// Words for people.
    #[prost(string, optional, tag = "4")]
    pub message: Option<String>,
    /// Where.
    #[prost(message, optional, tag = "5")]
    pub agent_id: Option<AgentId>,
    /// When, in seconds since the Unix epoch.
    #[prost(double, optional, tag = "6")]
    pub timestamp: Option<f64>,
    /// In which executor.
    #[prost(message, optional, tag = "7")]
    pub executor_id: Option<ExecutorId>,
    /// Who says so.
    #[prost(enumeration = "StatusSource", optional, tag = "9")]
    pub source: Option<i32>,
    /// Why.
    #[prost(enumeration = "Reason", optional, tag = "10")]
    pub reason: Option<i32>,
    /// 16 bytes when it must be acknowledged; absent when it must not.
    #[prost(bytes = "vec", optional, tag = "11")]
    pub uuid: Option<Vec<u8>>,
    /// Labels.
    #[prost(message, optional, tag = "12")]
    pub labels: Option<Labels>,
    /// Since when its agent cannot be reached.
    #[prost(message, optional, tag = "14")]
    pub unreachable_time: Option<TimeInfo>,
}

/// The states of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum TaskState {
    /// The executor is preparing it.
    Starting = 0,
    /// Its code runs.
    Running = 1,
    /// Ended well.
    Finished = 2,
    /// Ended badly.
    Failed = 3,
    /// Ended because it was told to.
    Killed = 4,
    /// Lost, for frameworks that are not partition aware.
    Lost = 5,
    /// The master has it; never sent by an executor.
    Staging = 6,
    /// Its description is not valid.
    Error = 7,
    /// It is being killed.
    Killing = 8,
    /// Never started.
    Dropped = 9,
    /// Its agent cannot be reached; it may be alive.
    Unreachable = 10,
    /// No longer there.
    Gone = 11,
    /// An operator said that its agent is gone.
    GoneByOperator = 12,
    /// Nobody knows it.
    Unknown = 13,
}

impl TaskState {
    /// Whether a task in this state runs no more and never will.
    pub fn is_terminal(self) -> bool {
        use TaskState as S;
        match self {
            S::Finished | S::Failed | S::Killed | S::Lost | S::Error | S::Dropped | S::Gone => true,
            S::Starting | S::Running | S::Staging | S::Killing => false,
            S::Unreachable | S::GoneByOperator | S::Unknown => false,
        }
    }
}

/// Who made a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum StatusSource {
    /// The master.
    Master = 0,
    /// The agent.
    Agent = 1,
    /// The executor.
    Executor = 2,
}

/// Why a status is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
#[allow(missing_docs, reason = "the names are those of the Mesos protocol and explain themselves")]
pub enum Reason {
    CommandExecutorFailed = 0,
    ExecutorTerminated = 1,
    ExecutorUnregistered = 2,
    FrameworkRemoved = 3,
    GcError = 4,
    InvalidFrameworkid = 5,
    InvalidOffers = 6,
    MasterDisconnected = 7,
    ContainerLimitationMemory = 8,
    Reconciliation = 9,
    AgentDisconnected = 10,
    AgentRemoved = 11,
    AgentRestarted = 12,
    AgentUnknown = 13,
    TaskInvalid = 14,
    TaskUnauthorized = 15,
    TaskUnknown = 16,
    ContainerPreempted = 17,
    ResourcesUnknown = 18,
    ContainerLimitation = 19,
    ContainerLimitationDisk = 20,
    ContainerLaunchFailed = 21,
    ContainerUpdateFailed = 22,
    ExecutorRegistrationTimeout = 23,
    ExecutorReregistrationTimeout = 24,
    TaskGroupInvalid = 25,
    TaskGroupUnauthorized = 26,
    IoSwitchboardExited = 27,
    TaskCheckStatusUpdated = 28,
    TaskHealthCheckStatusUpdated = 29,
    TaskKilledDuringLaunch = 30,
    AgentRemovedByOperator = 31,
    AgentReregistered = 32,
    MaxCompletionTimeReached = 33,
    AgentDraining = 34,
}
