//! Runs.

use serde::{Deserialize, Serialize};

use super::{ShardCounts, ShardView};
use crate::{JobName, RunId, Timestamp};

/// What started a run. Readers must accept causes that they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The job's schedule.
    Schedule,
    /// A user.
    Trigger,
    /// A user, who wants a run that is over once more.
    Rerun,
    /// A daemon job is enabled: this is its one run, until it is disabled.
    Daemon,
}

/// The states of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Nothing of it has started.
    Pending,
    /// It has started.
    Running,
    /// It is being ended.
    Stopping,
    /// Every shard succeeded.
    Succeeded,
    /// A shard failed.
    Failed,
    /// A shard took too long, and none failed.
    TimedOut,
    /// It was told to end, or nothing of it ever started.
    Cancelled,
}

impl RunState {
    /// Whether it is over.
    pub fn is_over(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Stopping => false,
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled => true,
        }
    }

    /// Its word in documents and stored keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// Of which job.
    pub job: JobName,
    /// Of which version of the job; absent until its first task launches.
    pub version: Option<u64>,
    /// What started it.
    pub cause: Cause,
    /// The run that it repeats; absent unless the cause is `rerun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<RunId>,
    /// Its state.
    pub state: RunState,
    /// Why it is in this state, where that needs words.
    pub reason: Option<String>,
    /// The planned instant; of a merged run the first.
    pub planned_at: Timestamp,
    /// The last planned instant of a merged run.
    pub planned_until: Timestamp,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first task was launched.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Its shards by state.
    pub counts: ShardCounts,
    /// Its first shards, up to 1,000; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Vec<ShardView>>,
}

/// Body of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// Takes the place of the job's parameter for this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The shards to run; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<u32>>,
}

/// Body of a rerun.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerunRequest {
    /// The shards to run; absent: all those of the run that is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<u32>>,
    /// Only the shards of that run that did not succeed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}
