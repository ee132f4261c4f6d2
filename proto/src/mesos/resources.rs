//! Resources, and who they are reserved for.

use prost::Message;

use super::{Labels, Ranges, ResourceProviderId, Scalar, Set, ValueType, Volume};

messages! {
    /// The role that resources are offered to.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct AllocationInfo {
        /// The role.
        optional string role = 1,
    }

    /// An amount of one resource.
    #[derive(Clone, PartialEq, Message)]
    pub struct Resource {
        /// Who provides it, if not the agent itself.
        optional message<ResourceProviderId> provider_id = 12,
        /// `cpus`, `mem` (MiB), `disk` (MiB), `ports`, or a custom name.
        required string name = 1,
        /// Which of the values is set.
        required enum<ValueType> r#type = 2,
        /// The amount of a scalar resource.
        optional message<Scalar> scalar = 3,
        /// Ranges, such as ports.
        optional message<Ranges> ranges = 4,
        /// A set.
        optional message<Set> set = 5,
        /// The role it is reserved for, in the format without reservation refinement.
        optional string role = 6,
        /// The role it is offered to.
        optional message<AllocationInfo> allocation_info = 11,
        /// Its dynamic reservation, in the format without reservation refinement.
        optional boxed<ReservationInfo> reservation = 8,
        /// Its reservations, each refining the one before; none: anybody may have it.
        repeated message<ReservationInfo> reservations = 13,
        /// What is special about disk space.
        optional boxed<DiskInfo> disk = 7,
        /// Set if it may be taken back while it is used.
        optional message<RevocableInfo> revocable = 9,
        /// Set if several tasks may use the same at once.
        optional message<SharedInfo> shared = 10,
    }

    /// Says that a resource may be taken back while it is used.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct RevocableInfo {}

    /// Says that several tasks may use the same resource at once.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct SharedInfo {}

    /// Who a resource is kept for.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct ReservationInfo {
        /// Who made it: the configuration of the agent, or a call.
        optional enum<ReservationType> r#type = 4,
        /// The role that may have it.
        optional string role = 3,
        /// Whose call made it.
        optional string principal = 1,
        /// Labels.
        optional message<Labels> labels = 2,
    }

    /// What is special about disk space.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct DiskInfo {
        /// Set if its content outlives tasks.
        optional message<Persistence> persistence = 1,
        /// Where a container sees it.
        optional message<Volume> volume = 2,
        /// Where it comes from, if not from the agent's own disk.
        optional message<DiskSource> source = 3,
    }

    /// Makes disk space outlive tasks.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Persistence {
        /// Its id, unique within role and agent.
        required string id = 1,
        /// Whose call made it.
        optional string principal = 2,
    }

    /// Where disk space comes from.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct DiskSource {
        /// Which kind.
        required enum<DiskSourceType> r#type = 1,
        /// For a folder.
        optional message<DiskRoot> path = 2,
        /// For a file system of its own.
        optional message<DiskRoot> mount = 3,
        /// Who makes the storage behind it.
        optional string vendor = 7,
        /// Its id at that vendor.
        optional string id = 4,
        /// What the vendor says of it.
        optional message<Labels> metadata = 5,
        /// The name of a set of properties that the operator defined.
        optional string profile = 6,
    }

    /// Where a disk is found on its host: the folder of a `PATH`, the mount point of a `MOUNT`.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct DiskRoot {
        /// The path; one that is relative begins in the agent's own folder.
        optional string root = 1,
    }
}

enumerations! {
    /// Who made a reservation.
    pub enum ReservationType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// The configuration of the agent.
        Static = 1 "STATIC",
        /// A call.
        Dynamic = 2 "DYNAMIC",
    }

    /// Kinds of disks.
    pub enum DiskSourceType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// A folder, which can be parted.
        Path = 1 "PATH",
        /// A file system, which cannot.
        Mount = 2 "MOUNT",
        /// A block device.
        Block = 3 "BLOCK",
        /// Storage that is yet to become one of the others.
        Raw = 4 "RAW",
    }
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
