//! The whole installation.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A restored store that waits for `muster resume`: nothing fires, is launched or is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldView {
    /// When it was restored.
    pub since: Timestamp,
}

/// Body of `POST /v1/resume`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Whether what was due meanwhile is made good by the misfire rule.
    #[serde(default)]
    pub replay: bool,
}

/// That the master is asked for the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcilingView {
    /// About how many tasks.
    pub tasks: u64,
}
