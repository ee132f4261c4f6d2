//! Frameworks, masters, agents, and the offers between them.

use prost::{Enumeration, Message};

use super::{
    AgentId, AllocationInfo, Attribute, ExecutorId, FrameworkId, OfferId, Resource, TaskInfo,
};

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
