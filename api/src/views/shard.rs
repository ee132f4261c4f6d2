//! Shards of runs.

use serde::{Deserialize, Serialize};

use crate::{AgentId, ExecutorId, TaskId, Timestamp};

/// The states of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardState {
    /// It waits for its first or next start.
    Pending,
    /// Its task is on the way to its executor.
    Launching,
    /// Its code runs.
    Running,
    /// Its task is being ended.
    Killing,
    /// It waits out its back-off.
    BackingOff,
    /// Its code ended well.
    Succeeded,
    /// It failed, and is not tried again.
    Failed,
    /// It took too long, and is not tried again.
    TimedOut,
    /// It was told to end.
    Cancelled,
}

impl ShardState {
    /// Every state, in the order of a shard's life.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Launching,
        Self::Running,
        Self::Killing,
        Self::BackingOff,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
    ];

    /// Its word in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Launching => "launching",
            Self::Running => "running",
            Self::Killing => "killing",
            Self::BackingOff => "backing_off",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the shard is over.
    pub fn is_over(self) -> bool {
        match self {
            Self::Pending | Self::Launching | Self::Running | Self::Killing | Self::BackingOff => {
                false
            }
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled => true,
        }
    }
}

/// How many shards of a run are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the states of `ShardState`")]
pub struct ShardCounts {
    pub pending: u32,
    pub launching: u32,
    pub running: u32,
    pub killing: u32,
    pub backing_off: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub timed_out: u32,
    pub cancelled: u32,
}

impl ShardCounts {
    /// The counter of `state`.
    pub fn of(&mut self, state: ShardState) -> &mut u32 {
        match state {
            ShardState::Pending => &mut self.pending,
            ShardState::Launching => &mut self.launching,
            ShardState::Running => &mut self.running,
            ShardState::Killing => &mut self.killing,
            ShardState::BackingOff => &mut self.backing_off,
            ShardState::Succeeded => &mut self.succeeded,
            ShardState::Failed => &mut self.failed,
            ShardState::TimedOut => &mut self.timed_out,
            ShardState::Cancelled => &mut self.cancelled,
        }
    }

    /// All shards.
    pub fn total(&self) -> u32 {
        self.pending + self.launching + self.running + self.killing + self.backing_off + self.over()
    }

    /// The shards that are over.
    pub fn over(&self) -> u32 {
        self.succeeded + self.failed + self.timed_out + self.cancelled
    }
}

/// A shard of a run, with its newest task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardView {
    /// Which.
    pub item: u32,
    /// Its parameter.
    pub parameter: String,
    /// Its state.
    pub state: ShardState,
    /// Its newest task.
    pub task: Option<TaskId>,
    /// The agent of that task.
    pub agent: Option<AgentId>,
    /// The host name of that agent.
    pub hostname: Option<String>,
    /// The executor of that task.
    pub executor: Option<ExecutorId>,
    /// Which attempt it is, from 1; 0 before the first.
    pub attempt: u32,
    /// The epoch of that task.
    pub epoch: Option<u64>,
    /// When its code began to run.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The exit code of its process.
    pub exit_code: Option<i32>,
    /// Why it is in this state, where that needs words.
    pub reason: Option<String>,
    /// What its code returned.
    pub result: Option<String>,
    /// Its last output, when it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}
