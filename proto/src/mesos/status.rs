//! What becomes of tasks.

use prost::Message;

use super::{
    AgentId, CheckStatusInfo, ContainerStatus, ExecutorId, Labels, Resource, TaskId, TimeInfo,
};

messages! {
    /// What became of a task.
    #[derive(Clone, PartialEq, Message)]
    pub struct TaskStatus {
        /// Which task.
        required message<TaskId> task_id = 1,
        /// Its state.
        required enum<TaskState> state = 2,
        /// Words for people.
        optional string message = 4,
        /// Who says so.
        optional enum<StatusSource> source = 9,
        /// Why.
        optional enum<Reason> reason = 10,
        /// Bytes from the executor; for our jobs an encoded `muster_api::TaskReport`.
        optional bytes data = 3,
        /// Where.
        optional message<AgentId> agent_id = 5,
        /// In which executor.
        optional message<ExecutorId> executor_id = 7,
        /// When, in seconds since the Unix epoch.
        optional double timestamp = 6,
        /// 16 bytes when it must be acknowledged; absent when it must not.
        optional bytes uuid = 11,
        /// Whether its health check finds it well.
        optional bool healthy = 8,
        /// The result of its check.
        optional boxed<CheckStatusInfo> check_status = 15,
        /// Labels.
        optional message<Labels> labels = 12,
        /// Its container.
        optional boxed<ContainerStatus> container_status = 13,
        /// Since when its agent cannot be reached.
        optional message<TimeInfo> unreachable_time = 14,
        /// What it used too much of.
        optional message<TaskResourceLimitation> limitation = 16,
    }

    /// What a task used too much of.
    #[derive(Clone, PartialEq, Message)]
    pub struct TaskResourceLimitation {
        /// The resources.
        repeated message<Resource> resources = 1,
    }
}

enumerations! {
    /// The states of a task.
    pub enum TaskState {
        /// The executor is preparing it.
        Starting = 0 "TASK_STARTING",
        /// Its code runs.
        Running = 1 "TASK_RUNNING",
        /// Ended well.
        Finished = 2 "TASK_FINISHED",
        /// Ended badly.
        Failed = 3 "TASK_FAILED",
        /// Ended because it was told to.
        Killed = 4 "TASK_KILLED",
        /// Lost, for frameworks that are not partition aware.
        Lost = 5 "TASK_LOST",
        /// The master has it; never sent by an executor.
        Staging = 6 "TASK_STAGING",
        /// Its description is not valid.
        Error = 7 "TASK_ERROR",
        /// It is being killed.
        Killing = 8 "TASK_KILLING",
        /// Never started.
        Dropped = 9 "TASK_DROPPED",
        /// Its agent cannot be reached; it may be alive.
        Unreachable = 10 "TASK_UNREACHABLE",
        /// No longer there.
        Gone = 11 "TASK_GONE",
        /// An operator said that its agent is gone.
        GoneByOperator = 12 "TASK_GONE_BY_OPERATOR",
        /// Nobody knows it.
        Unknown = 13 "TASK_UNKNOWN",
    }

    /// Who made a status.
    pub enum StatusSource {
        /// The master.
        Master = 0 "SOURCE_MASTER",
        /// The agent.
        Agent = 1 "SOURCE_AGENT",
        /// The executor.
        Executor = 2 "SOURCE_EXECUTOR",
    }

    /// Why a status is what it is.
    #[allow(missing_docs, reason = "the names are those of Mesos and explain themselves")]
    pub enum Reason {
        CommandExecutorFailed = 0 "REASON_COMMAND_EXECUTOR_FAILED",
        ExecutorTerminated = 1 "REASON_EXECUTOR_TERMINATED",
        ExecutorUnregistered = 2 "REASON_EXECUTOR_UNREGISTERED",
        FrameworkRemoved = 3 "REASON_FRAMEWORK_REMOVED",
        GcError = 4 "REASON_GC_ERROR",
        InvalidFrameworkid = 5 "REASON_INVALID_FRAMEWORKID",
        InvalidOffers = 6 "REASON_INVALID_OFFERS",
        MasterDisconnected = 7 "REASON_MASTER_DISCONNECTED",
        ContainerLimitationMemory = 8 "REASON_CONTAINER_LIMITATION_MEMORY",
        Reconciliation = 9 "REASON_RECONCILIATION",
        AgentDisconnected = 10 "REASON_AGENT_DISCONNECTED",
        AgentRemoved = 11 "REASON_AGENT_REMOVED",
        AgentRestarted = 12 "REASON_AGENT_RESTARTED",
        AgentUnknown = 13 "REASON_AGENT_UNKNOWN",
        TaskInvalid = 14 "REASON_TASK_INVALID",
        TaskUnauthorized = 15 "REASON_TASK_UNAUTHORIZED",
        TaskUnknown = 16 "REASON_TASK_UNKNOWN",
        ContainerPreempted = 17 "REASON_CONTAINER_PREEMPTED",
        ResourcesUnknown = 18 "REASON_RESOURCES_UNKNOWN",
        ContainerLimitation = 19 "REASON_CONTAINER_LIMITATION",
        ContainerLimitationDisk = 20 "REASON_CONTAINER_LIMITATION_DISK",
        ContainerLaunchFailed = 21 "REASON_CONTAINER_LAUNCH_FAILED",
        ContainerUpdateFailed = 22 "REASON_CONTAINER_UPDATE_FAILED",
        ExecutorRegistrationTimeout = 23 "REASON_EXECUTOR_REGISTRATION_TIMEOUT",
        ExecutorReregistrationTimeout = 24 "REASON_EXECUTOR_REREGISTRATION_TIMEOUT",
        TaskGroupInvalid = 25 "REASON_TASK_GROUP_INVALID",
        TaskGroupUnauthorized = 26 "REASON_TASK_GROUP_UNAUTHORIZED",
        IoSwitchboardExited = 27 "REASON_IO_SWITCHBOARD_EXITED",
        TaskCheckStatusUpdated = 28 "REASON_TASK_CHECK_STATUS_UPDATED",
        TaskHealthCheckStatusUpdated = 29 "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED",
        TaskKilledDuringLaunch = 30 "REASON_TASK_KILLED_DURING_LAUNCH",
        AgentRemovedByOperator = 31 "REASON_AGENT_REMOVED_BY_OPERATOR",
        AgentReregistered = 32 "REASON_AGENT_REREGISTERED",
        MaxCompletionTimeReached = 33 "REASON_MAX_COMPLETION_TIME_REACHED",
        AgentDraining = 34 "REASON_AGENT_DRAINING",
    }
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
