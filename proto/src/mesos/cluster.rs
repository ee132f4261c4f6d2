//! Frameworks, masters and agents.

use prost::Message;

use super::{Address, AgentId, Attribute, FrameworkId, Labels, OfferFilters, Resource};

messages! {
    /// What a framework says of itself.
    #[derive(Clone, PartialEq, Message)]
    pub struct FrameworkInfo {
        /// The system user for its tasks.
        required string user = 1,
        /// A name for people.
        required string name = 2,
        /// Its id, when it had one before.
        optional message<FrameworkId> id = 3,
        /// Seconds that a master waits for it to come back before its tasks are ended.
        optional double failover_timeout = 4 [default 0.0],
        /// Whether its executors survive a restart of their agent.
        optional bool checkpoint = 5 [default false],
        /// Its role, if it cannot have several; absent: `*`.
        optional string role = 6,
        /// Its roles, if it can have several.
        repeated string roles = 12,
        /// The host of its scheduler.
        optional string hostname = 7,
        /// Who it is to authentication.
        optional string principal = 8,
        /// Where people find it.
        optional string webui_url = 9,
        /// What it understands.
        repeated message<Capability> capabilities = 10,
        /// Labels.
        optional message<Labels> labels = 11,
        /// What the offers for each of its roles must at least hold.
        map message<OfferFilters> offer_filters = 13,
    }

    /// One thing that a framework understands.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct Capability {
        /// Which.
        optional enum<CapabilityType> r#type = 1,
    }

    /// What a master says of itself.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct MasterInfo {
        /// Its id, new at each election.
        required string id = 1,
        /// IPv4 address, in network order read as a little-endian integer.
        required uint32 ip = 2,
        /// Port.
        required uint32 port = 3,
        /// Its name as a process of Mesos: `master@ip:port`.
        optional string pid = 4,
        /// Host name.
        optional string hostname = 5,
        /// Version.
        optional string version = 6,
        /// Where it listens.
        optional message<Address> address = 7,
        /// Where it stands.
        optional message<DomainInfo> domain = 8,
        /// What it understands.
        repeated message<MasterCapability> capabilities = 9,
    }

    /// One thing that a master understands.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct MasterCapability {
        /// Which.
        optional enum<MasterCapabilityType> r#type = 1,
    }

    /// What an agent says of itself.
    #[derive(Clone, PartialEq, Message)]
    pub struct AgentInfo {
        /// Host name.
        required string hostname = 1,
        /// The port of its executor API.
        optional int32 port = 8 [default 5051],
        /// What it has.
        repeated message<Resource> resources = 3,
        /// Facts about it.
        repeated message<Attribute> attributes = 5,
        /// Its id.
        optional message<AgentId> id = 6,
        /// Where it stands.
        optional message<DomainInfo> domain = 10,
    }

    /// Where a host stands.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct DomainInfo {
        /// What fails together.
        optional message<FaultDomain> fault_domain = 1,
    }

    /// What fails together.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct FaultDomain {
        /// Far from each other, such as sites.
        required message<RegionInfo> region = 1,
        /// Near each other, such as racks.
        required message<ZoneInfo> zone = 2,
    }

    /// A region.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct RegionInfo {
        /// Its name.
        required string name = 1,
    }

    /// A zone of a region.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct ZoneInfo {
        /// Its name.
        required string name = 1,
    }
}

enumerations! {
    /// The capabilities that a framework may claim.
    pub enum CapabilityType {
        /// None of the below.
        Unknown = 0 "UNKNOWN",
        /// Understands resources that may be revoked.
        RevocableResources = 1 "REVOCABLE_RESOURCES",
        /// Understands `TASK_KILLING`.
        TaskKillingState = 2 "TASK_KILLING_STATE",
        /// Wants hosts with GPUs.
        GpuResources = 3 "GPU_RESOURCES",
        /// Understands shared resources.
        SharedResources = 4 "SHARED_RESOURCES",
        /// Understands that an unreachable task may come back.
        PartitionAware = 5 "PARTITION_AWARE",
        /// Subscribes with several roles.
        MultiRole = 6 "MULTI_ROLE",
        /// Understands refined reservations.
        ReservationRefinement = 7 "RESERVATION_REFINEMENT",
        /// Understands regions.
        RegionAware = 8 "REGION_AWARE",
    }

    /// The capabilities that a master may claim.
    pub enum MasterCapabilityType {
        /// None of the below.
        Unknown = 0 "UNKNOWN",
        /// Understands that agents come back changed.
        AgentUpdate = 1 "AGENT_UPDATE",
        /// Can drain agents.
        AgentDraining = 2 "AGENT_DRAINING",
        /// Knows limits of quota apart from guarantees.
        QuotaV2 = 3 "QUOTA_V2",
    }
}
