//! What directories of services may learn of a task. Nothing here acts on it.

use prost::Message;

use super::Labels;

enumerations! {
    /// Who may find a service.
    pub enum Visibility {
        /// Its own framework.
        Framework = 0 "FRAMEWORK",
        /// All in the cluster.
        Cluster = 1 "CLUSTER",
        /// All.
        External = 2 "EXTERNAL",
    }
}

messages! {
    /// How a task or executor is found.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct DiscoveryInfo {
        /// By whom.
        required enum<Visibility> visibility = 1,
        /// Under which name.
        optional string name = 2,
        /// Such as production or test.
        optional string environment = 3,
        /// Such as a region.
        optional string location = 4,
        /// The version of the service.
        optional string version = 5,
        /// On which ports.
        optional message<Ports> ports = 6,
        /// Labels.
        optional message<Labels> labels = 7,
    }

    /// A list of ports.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Ports {
        /// The ports.
        repeated message<Port> ports = 1,
    }

    /// A port that a service listens on.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Port {
        /// Its number.
        required uint32 number = 1,
        /// Its name.
        optional string name = 2,
        /// What is spoken there.
        optional string protocol = 3,
        /// By whom it is found, if not by those who find the service.
        optional enum<Visibility> visibility = 4,
        /// Labels.
        optional message<Labels> labels = 5,
    }
}
