//! What is stored of tasks and instants that are over: it is only read, by whoever asks.

use muster_api::{
    AgentId, ExecutorId, RunId, TaskId, Timestamp,
    spec::ScheduleSpec,
    views::{FireOutcome, ShardState},
};
use serde::{Deserialize, Serialize};

/// A task that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastTaskRecord {
    /// Its id.
    pub task: TaskId,
    /// Its shard.
    pub item: u32,
    /// The parameter of its shard.
    #[serde(default)]
    pub parameter: String,
    /// Its attempt.
    pub attempt: u32,
    /// Its epoch.
    pub epoch: u64,
    /// Where.
    pub agent: AgentId,
    /// The host name of that agent.
    pub hostname: String,
    /// In which executor.
    pub executor: ExecutorId,
    /// How its shard stands after it.
    pub state: ShardState,
    /// Why, where that needs words.
    pub reason: Option<String>,
    /// When it was launched.
    pub launched_at: Timestamp,
    /// When its code began to run.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Timestamp,
    /// The exit code of its process.
    pub exit_code: Option<i32>,
    /// What its code returned.
    pub result: Option<String>,
    /// Its last output, when it did not succeed.
    pub output: Option<String>,
    /// The task that it replaced.
    pub replaces: Option<TaskId>,
}

/// Planned instants that did not become runs of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FireRangeRecord {
    /// The first of them.
    pub first: Timestamp,
    /// None of them is later.
    pub last: Timestamp,
    /// What became of them.
    pub outcome: FireOutcome,
    /// Why.
    pub reason: String,
    /// The run that stands for them.
    pub run: Option<RunId>,
    /// When that was decided.
    pub at: Timestamp,
    /// The schedule that they are the instants of.
    pub schedule: ScheduleSpec,
    /// What its period is counted from.
    pub anchor: Timestamp,
}
