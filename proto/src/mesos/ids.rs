//! Identifiers, spans of time and labels.

use prost::Message;

/// Declares identifier messages, all of which hold one string in field 1.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Message)]
        pub struct $name {
            /// The identifier; empty is never valid.
            #[prost(string, required, tag = "1")]
            pub value: String,
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
}

/// A span of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct DurationInfo {
    /// Nanoseconds.
    #[prost(int64, required, tag = "1")]
    pub nanoseconds: i64,
}

/// A point in time, nanoseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct TimeInfo {
    /// Nanoseconds.
    #[prost(int64, required, tag = "1")]
    pub nanoseconds: i64,
}

/// A list of labels.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Labels {
    /// The labels, in order.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
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

/// One label: a key and perhaps a value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    /// The key.
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}
