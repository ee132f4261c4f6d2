//! What a framework does with offered resources, and what becomes of it.

use prost::Message;

use super::{
    AgentId, DiskSourceType, ExecutorInfo, OperationId, Resource, ResourceProviderId, Scalar,
    TaskGroupInfo, TaskInfo, Uuid,
};

messages! {
    /// Something to do with offered resources. The part of its type is set.
    #[derive(Clone, PartialEq, Message)]
    pub struct Operation {
        /// What.
        optional enum<OperationType> r#type = 1,
        /// Its id; a framework that gives one hears what became of it.
        optional message<OperationId> id = 12,
        /// Tasks to launch.
        optional message<Launch> launch = 2,
        /// Tasks to launch together.
        optional boxed<LaunchGroup> launch_group = 7,
        /// Resources to reserve.
        optional message<Reserve> reserve = 3,
        /// Reservations to end.
        optional message<Unreserve> unreserve = 4,
        /// Volumes to make.
        optional message<Create> create = 5,
        /// Volumes to end.
        optional message<Destroy> destroy = 6,
        /// A volume to make larger.
        optional boxed<GrowVolume> grow_volume = 13,
        /// A volume to make smaller.
        optional boxed<ShrinkVolume> shrink_volume = 14,
        /// A disk to make.
        optional boxed<CreateDisk> create_disk = 15,
        /// A disk to end.
        optional boxed<DestroyDisk> destroy_disk = 16,
    }

    /// Tasks to launch on offered resources.
    #[derive(Clone, PartialEq, Message)]
    pub struct Launch {
        /// The tasks.
        repeated message<TaskInfo> task_infos = 1,
    }

    /// Tasks to launch together, all or none.
    #[derive(Clone, PartialEq, Message)]
    pub struct LaunchGroup {
        /// The executor that hosts them.
        required message<ExecutorInfo> executor = 1,
        /// The tasks.
        required message<TaskGroupInfo> task_group = 2,
    }

    /// Resources to reserve.
    #[derive(Clone, PartialEq, Message)]
    pub struct Reserve {
        /// What they are before.
        repeated message<Resource> source = 2,
        /// What they are to be.
        repeated message<Resource> resources = 1,
    }

    /// Reservations to end.
    #[derive(Clone, PartialEq, Message)]
    pub struct Unreserve {
        /// The resources reserved.
        repeated message<Resource> resources = 1,
    }

    /// Persistent volumes to make of reserved disk space.
    #[derive(Clone, PartialEq, Message)]
    pub struct Create {
        /// The volumes.
        repeated message<Resource> volumes = 1,
    }

    /// Persistent volumes to end, with all that is in them.
    #[derive(Clone, PartialEq, Message)]
    pub struct Destroy {
        /// The volumes.
        repeated message<Resource> volumes = 1,
    }

    /// A persistent volume to make larger.
    #[derive(Clone, PartialEq, Message)]
    pub struct GrowVolume {
        /// The volume.
        required message<Resource> volume = 1,
        /// The disk space that it gets.
        required message<Resource> addition = 2,
    }

    /// A persistent volume to make smaller.
    #[derive(Clone, PartialEq, Message)]
    pub struct ShrinkVolume {
        /// The volume.
        required message<Resource> volume = 1,
        /// How much of it is given up.
        required message<Scalar> subtract = 2,
    }

    /// A disk to make of raw storage.
    #[derive(Clone, PartialEq, Message)]
    pub struct CreateDisk {
        /// The storage.
        required message<Resource> source = 1,
        /// The kind of disk.
        required enum<DiskSourceType> target_type = 2,
        /// The profile that it gets, if the storage has none.
        optional string target_profile = 3,
    }

    /// A disk to give back to raw storage.
    #[derive(Clone, PartialEq, Message)]
    pub struct DestroyDisk {
        /// The disk.
        required message<Resource> source = 1,
    }

    /// What became of an operation.
    #[derive(Clone, PartialEq, Message)]
    pub struct OperationStatus {
        /// Which operation.
        optional message<OperationId> operation_id = 1,
        /// Its state.
        required enum<OperationState> state = 2,
        /// Words for people.
        optional string message = 3,
        /// What the resources have become.
        repeated message<Resource> converted_resources = 4,
        /// Set when it must be acknowledged.
        optional message<Uuid> uuid = 5,
        /// Where.
        optional message<AgentId> agent_id = 6,
        /// At which provider of resources.
        optional message<ResourceProviderId> resource_provider_id = 7,
    }
}

enumerations! {
    /// The operations on offers. Muster carries out the launch of tasks alone.
    pub enum OperationType {
        /// Not set, or one that is not known.
        Unknown = 0 "UNKNOWN",
        /// Launch tasks.
        Launch = 1 "LAUNCH",
        /// Launch tasks together.
        LaunchGroup = 6 "LAUNCH_GROUP",
        /// Reserve resources.
        Reserve = 2 "RESERVE",
        /// End reservations.
        Unreserve = 3 "UNRESERVE",
        /// Make persistent volumes.
        Create = 4 "CREATE",
        /// End persistent volumes.
        Destroy = 5 "DESTROY",
        /// Make a volume larger.
        GrowVolume = 11 "GROW_VOLUME",
        /// Make a volume smaller.
        ShrinkVolume = 12 "SHRINK_VOLUME",
        /// Make a disk of raw storage.
        CreateDisk = 13 "CREATE_DISK",
        /// Give a disk back to raw storage.
        DestroyDisk = 14 "DESTROY_DISK",
    }

    /// The states of an operation.
    pub enum OperationState {
        /// Nobody here can do it.
        Unsupported = 0 "OPERATION_UNSUPPORTED",
        /// It is being done.
        Pending = 1 "OPERATION_PENDING",
        /// Done.
        Finished = 2 "OPERATION_FINISHED",
        /// It could not be done.
        Failed = 3 "OPERATION_FAILED",
        /// Its description is not valid.
        Error = 4 "OPERATION_ERROR",
        /// It never began.
        Dropped = 5 "OPERATION_DROPPED",
        /// Its agent cannot be reached.
        Unreachable = 6 "OPERATION_UNREACHABLE",
        /// An operator said that its agent is gone.
        GoneByOperator = 7 "OPERATION_GONE_BY_OPERATOR",
        /// Its agent has yet to come back to a new master.
        Recovering = 8 "OPERATION_RECOVERING",
        /// Nobody knows it.
        Unknown = 9 "OPERATION_UNKNOWN",
    }
}
