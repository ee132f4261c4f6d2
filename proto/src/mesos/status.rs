//! What becomes of tasks.

use prost::{Enumeration, Message};

use super::{AgentId, ExecutorId, Labels, TaskId, TimeInfo};

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
