//! Addresses, and the networks of containers.

use prost::Message;

use super::{Labels, Parameter};

enumerations! {
    /// Versions of the Internet protocol.
    pub enum IpProtocol {
        /// Version 4.
        V4 = 1 "IPv4",
        /// Version 6.
        V6 = 2 "IPv6",
    }
}

messages! {
    /// Where a process listens.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Address {
        /// Host name.
        optional string hostname = 1,
        /// Address in words.
        optional string ip = 2,
        /// Port.
        required int32 port = 3,
    }

    /// A URL in parts.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Url {
        /// `http` or `https`.
        required string scheme = 1,
        /// Host and port.
        required message<Address> address = 2,
        /// Path, with its first slash.
        optional string path = 3,
        /// Query.
        repeated message<Parameter> query = 4,
        /// Fragment.
        optional string fragment = 5,
    }

    /// A network that a container is to join, or has joined.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct NetworkInfo {
        /// The addresses that it wants, or has.
        repeated message<IpAddress> ip_addresses = 5,
        /// The name of the network.
        optional string name = 6,
        /// Groups of containers that may reach each other.
        repeated string groups = 3,
        /// Labels.
        optional message<Labels> labels = 4,
        /// Ports of the host that lead into it.
        repeated message<PortMapping> port_mappings = 7,
    }

    /// An address that a container wants, or has.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct IpAddress {
        /// Of which version.
        optional enum<IpProtocol> protocol = 1 [default "IPv4"],
        /// Which.
        optional string ip_address = 2,
    }

    /// A port of the host that leads into a container.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct PortMapping {
        /// The port of the host.
        required uint32 host_port = 1,
        /// The port in the container.
        required uint32 container_port = 2,
        /// `tcp` or `udp`.
        optional string protocol = 3,
    }
}
