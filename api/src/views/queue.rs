//! What waits, and why.

use serde::{Deserialize, Serialize};

use crate::{AppName, JobName, RunId, Timestamp};

/// A run that waits, in the order in which runs are served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueView {
    /// The run.
    pub run: RunId,
    /// Its job.
    pub job: JobName,
    /// The app of that job.
    pub app: AppName,
    /// Its priority.
    pub priority: u8,
    /// Its planned instant.
    pub planned_at: Timestamp,
    /// Shards that wait for room.
    pub pending: u32,
    /// Why they wait.
    pub reason: WaitReason,
    /// The same in words.
    pub detail: String,
}

/// Why a shard waits. Readers must accept reasons that they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// It will be looked at next.
    NotTried,
    /// No host is there.
    NoAgents,
    /// No host has room.
    NoRoom,
    /// No host is what the constraints of its job ask for.
    Constrained,
    /// As many tasks run as may, of its app or in all.
    Limit,
    /// Hosts are held for a run that was overtaken for too long.
    Blocked,
    /// Its back-off is not over.
    BackingOff,
    /// A former run of the job goes on.
    FormerRun,
    /// Nothing starts after a restore until `muster resume`.
    Held,
}
