//! The document of an app.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{AppName, Resources, Span};

/// A deployable artefact, its start command, and the resources of one executor process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    /// Unique name.
    pub name: AppName,
    /// Shell command that starts the executor process; absent: the built-in executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Fetched into the sandbox before the command runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Environment of the executor process.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Charged once per executor process; `cpus` and `mem` (MiB) are set.
    pub resources: Resources,
    /// How long executors outlive silence between agent and master.
    #[serde(default)]
    pub lease: Lease,
    /// An executor without a task for so long is stopped.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: Span,
    /// How many of its tasks run at most, of all jobs; zero is no bound. It acts at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_tasks: u32,
    /// Of the executions of its daemon jobs that succeed, every so-manieth is recorded; 0 and 1: all.
    /// Those that fail are recorded always.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub event_sampling: u32,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Free text.
    #[serde(default)]
    pub description: String,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Five minutes.
fn default_idle_timeout() -> Span {
    Span::from_secs(300)
}

/// Something that the agent fetches before it starts an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it is: `http` or `file`.
    pub uri: String,
    /// SHA-256 in hex, checked when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether an archive is extracted.
    #[serde(default = "yes")]
    pub extract: bool,
    /// Whether the file is made executable.
    #[serde(default)]
    pub executable: bool,
    /// Whether the agent keeps it between executor starts.
    #[serde(default = "yes")]
    pub cache: bool,
}

fn yes() -> bool {
    true
}

/// How long executors outlive silence between their agent and the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// So long; then they are ended, and their tasks may start elsewhere.
    For(Span),
    /// For ever: silence never kills and never replaces.
    Off,
}

impl Default for Lease {
    fn default() -> Self {
        Self::For(Span::from_secs(120))
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(span) => span.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

impl FromStr for Lease {
    type Err = crate::InvalidSpan;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::For) }
    }
}

impl Serialize for Lease {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lease {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
