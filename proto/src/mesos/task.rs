//! Tasks and executors as their frameworks describe them.

use prost::Message;

use super::{
    AgentId, CheckInfo, CommandInfo, ContainerInfo, DiscoveryInfo, DurationInfo, ExecutorId,
    FrameworkId, HealthCheck, Labels, Quantity, Resource, TaskId,
};

messages! {
    /// A task as its framework describes it.
    #[derive(Clone, PartialEq, Message)]
    pub struct TaskInfo {
        /// A name for people.
        required string name = 1,
        /// Its id.
        required message<TaskId> task_id = 2,
        /// The agent that is to run it.
        required message<AgentId> agent_id = 3,
        /// What it uses.
        repeated message<Resource> resources = 4,
        /// The executor that hosts it.
        optional message<ExecutorInfo> executor = 5,
        /// A command, for tasks without executor.
        optional message<CommandInfo> command = 7,
        /// The container that it runs in.
        optional boxed<ContainerInfo> container = 9,
        /// A check whose failure ends it.
        optional boxed<HealthCheck> health_check = 8,
        /// A check whose result is reported.
        optional boxed<CheckInfo> check = 13,
        /// How it is to be killed.
        optional message<KillPolicy> kill_policy = 12,
        /// What its executor is told about it; for our jobs an encoded `muster_api::TaskPayload`.
        optional bytes data = 6,
        /// Labels.
        optional message<Labels> labels = 10,
        /// How it is found by others.
        optional boxed<DiscoveryInfo> discovery = 11,
        /// How long it may run.
        optional message<DurationInfo> max_completion_time = 14,
        /// How far it may go beyond what it uses, by the name of the resource.
        map message<Quantity> limits = 15,
    }

    /// Tasks that are launched together.
    #[derive(Clone, PartialEq, Message)]
    pub struct TaskGroupInfo {
        /// The tasks.
        repeated message<TaskInfo> tasks = 1,
    }

    /// An executor as its framework describes it.
    #[derive(Clone, PartialEq, Message)]
    pub struct ExecutorInfo {
        /// Default or custom.
        optional enum<ExecutorType> r#type = 15,
        /// Its id.
        required message<ExecutorId> executor_id = 1,
        /// Whose it is.
        optional message<FrameworkId> framework_id = 8,
        /// How it is started.
        optional message<CommandInfo> command = 7,
        /// The container that it runs in.
        optional boxed<ContainerInfo> container = 11,
        /// What its process uses, beside its tasks.
        repeated message<Resource> resources = 5,
        /// A name for people.
        optional string name = 9,
        /// What relates it to others; labels do that today.
        optional string source = 10,
        /// What it is told.
        optional bytes data = 4,
        /// How it is found by others.
        optional boxed<DiscoveryInfo> discovery = 12,
        /// From being told to shut down to being killed.
        optional message<DurationInfo> shutdown_grace_period = 13,
        /// Labels.
        optional message<Labels> labels = 14,
    }

    /// How a task is to be killed.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct KillPolicy {
        /// From asking to forcing.
        optional message<DurationInfo> grace_period = 1,
    }
}

enumerations! {
    /// Whether an executor is the one built into Mesos.
    pub enum ExecutorType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// The pod runner of Mesos.
        Default = 1 "DEFAULT",
        /// A program of the framework.
        Custom = 2 "CUSTOM",
    }
}
