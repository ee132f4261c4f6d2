//! Identifiers, spans of time, labels and parameters.

use prost::Message;

/// Declares identifier messages, all of which hold one string in field 1.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        messages! {
            $(#[$doc])*
            #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Message)]
            pub struct $name {
                /// The identifier; empty is never valid.
                required string value = 1,
            }
        }

        impl $name {
            /// An identifier of this kind from its text.
            pub fn new(value: impl Into<String>) -> Self {
                Self { value: value.into() }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.value)
            }
        }
    )+};
}

ids! {
    /// Names a framework at a master.
    FrameworkId,
    /// Names an offer, for as long as it is outstanding.
    OfferId,
    /// Names an agent; given by the master.
    AgentId,
    /// Names a task of one framework; given by the framework.
    TaskId,
    /// Names an executor of one framework on one agent; given by the framework.
    ExecutorId,
    /// Names an operation on offered resources; given by the framework that wants to hear of it.
    OperationId,
    /// Names a provider of resources other than the agent itself; given by the master.
    ResourceProviderId,
}

messages! {
    /// Names a container on its agent.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct ContainerId {
        /// The identifier, unique within the parent.
        required string value = 1,
        /// The container that it lies in.
        optional boxed<ContainerId> parent = 2,
    }

    /// The 16 bytes of a UUID (RFC 4122).
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Uuid {
        /// The bytes.
        required bytes value = 1,
    }

    /// A span of time in nanoseconds.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct DurationInfo {
        /// Nanoseconds.
        required int64 nanoseconds = 1,
    }

    /// A point in time, nanoseconds since the Unix epoch.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct TimeInfo {
        /// Nanoseconds.
        required int64 nanoseconds = 1,
    }

    /// When something will not be there, as planned.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct Unavailability {
        /// From when.
        required message<TimeInfo> start = 1,
        /// For how long; absent: for ever.
        optional message<DurationInfo> duration = 2,
    }

    /// A list of labels.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Labels {
        /// The labels, in order.
        repeated message<Label> labels = 1,
    }

    /// One label: a key and perhaps a value.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Label {
        /// The key.
        required string key = 1,
        /// The value.
        optional string value = 2,
    }

    /// A parameter: a key and a value.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Parameter {
        /// The key.
        required string key = 1,
        /// The value.
        required string value = 2,
    }

    /// A list of parameters.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Parameters {
        /// The parameters, in order.
        repeated message<Parameter> parameter = 1,
    }
}

impl DurationInfo {
    /// The span; a negative one is none.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.nanoseconds).unwrap_or(0))
    }
}

impl Labels {
    /// Labels from pairs of key and value.
    pub fn of<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let labels = pairs
            .into_iter()
            .map(|(key, value)| Label { key: key.into(), value: Some(value.into()) })
            .collect();
        Self { labels }
    }

    /// The value of the first label named `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let label = self.labels.iter().find(|label| label.key == key)?;
        Some(label.value.as_deref().unwrap_or(""))
    }
}
