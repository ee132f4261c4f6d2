//! The targets by name.

use std::str::FromStr;

use crate::{agent_protocol, json, protobuf, recordio, supervisor_socket};

/// Something that reads bytes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The framing of streams.
    Recordio,
    /// Mesos messages in JSON.
    Json,
    /// Mesos messages in protobuf.
    Protobuf,
    /// What agents say to the master, and the master to agents.
    AgentProtocol,
    /// What agents write to a supervisor's socket.
    SupervisorSocket,
}

/// No target has this name.
#[derive(Debug)]
pub struct UnknownTarget(String);

impl std::fmt::Display for UnknownTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = Target::ALL.iter().map(|target| target.name()).collect();
        write!(f, "there is no target `{}`; there are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownTarget {}

impl Target {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Recordio, Self::Json, Self::Protobuf, Self::AgentProtocol, Self::SupervisorSocket];

    /// Its name on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recordio => "recordio",
            Self::Json => "json",
            Self::Protobuf => "protobuf",
            Self::AgentProtocol => "agent-protocol",
            Self::SupervisorSocket => "supervisor-socket",
        }
    }

    /// Panics if these bytes break what must hold.
    pub fn check(self, data: &[u8]) {
        match self {
            Self::Recordio => recordio::check(data),
            Self::Json => json::check(data),
            Self::Protobuf => protobuf::check(data),
            Self::AgentProtocol => agent_protocol::check(data),
            Self::SupervisorSocket => supervisor_socket::check(data),
        }
    }

    /// Bytes to start from.
    pub fn seeds(self) -> Vec<Vec<u8>> {
        match self {
            Self::Recordio => recordio::seeds(),
            Self::Json => json::seeds(),
            Self::Protobuf => protobuf::seeds(),
            Self::AgentProtocol => agent_protocol::seeds(),
            Self::SupervisorSocket => supervisor_socket::seeds(),
        }
    }
}

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Self, UnknownTarget> {
        let found = Self::ALL.into_iter().find(|target| target.name() == name);
        found.ok_or_else(|| UnknownTarget(name.to_owned()))
    }
}
