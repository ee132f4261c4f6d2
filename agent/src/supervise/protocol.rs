//! What an agent and a supervisor say to each other: JSON, one message to a line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Exit;

/// What a supervisor is to do; the file `spec` in its folder. It holds the executor's token, so
/// that only the agent's user may read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// What to start.
    pub program: Program,
    /// The whole environment of the executor.
    pub env: BTreeMap<String, String>,
    /// The first end of its lease, in milliseconds of `CLOCK_BOOTTIME`; absent: it has none.
    pub deadline_ms: Option<u64>,
}

/// What an executor's process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// A line for `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments, its own name first.
    Exec {
        /// Its path, or its name in `PATH`.
        path: String,
        /// The arguments, the name first.
        arguments: Vec<String>,
    },
}

/// From an agent to a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToSupervisor {
    /// The lease ends at this instant of `CLOCK_BOOTTIME`, unless it already ends later, or had
    /// ended when this was said. An agent that does not say when is taken at its word.
    Deadline {
        at_ms: u64,
        #[serde(default)]
        said_ms: u64,
    },
    /// End the executor: SIGTERM, and SIGKILL after this time.
    End { grace_ms: u64 },
}

/// From a supervisor to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromSupervisor {
    /// Said on each new connection: the executor's process has been started.
    Running { pid: u32 },
    /// The executor and all its descendants are gone. The exit file says the same.
    Exited(Exit),
}

/// A message as a line.
pub(crate) fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("these types always become JSON");
    line.push(b'\n');
    line
}
