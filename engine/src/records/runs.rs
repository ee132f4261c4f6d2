//! What is stored of a run and its shards.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, AppName, JobName, JobUid, RunId, TaskId, Timestamp,
    views::{Cause, RunState, ShardState},
};
use serde::{Deserialize, Serialize};

use crate::items::Items;

/// A stored run, while it goes on and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// The name of its job.
    pub job: JobName,
    /// The job itself.
    pub job_uid: JobUid,
    /// The app of the job.
    pub app: AppName,
    /// The version of the job that it took when its first task was launched.
    pub version: Option<u64>,
    /// The revision of the app that it took then.
    pub revision: Option<u64>,
    /// What started it.
    pub cause: Cause,
    /// The run that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<RunId>,
    /// Its state.
    pub state: RunState,
    /// Why, where that needs words.
    pub reason: Option<String>,
    /// The rule by which the engine stops it, unless somebody asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_for: Option<StoppedFor>,
    /// The run that stands for its instants in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<RunId>,
    /// The first planned instant that it stands for.
    pub planned_at: Timestamp,
    /// The last one.
    pub planned_until: Timestamp,
    /// How many it stands for; absent when nobody counted them.
    pub fires: Option<u64>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first task was launched.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Takes the place of the job's parameter.
    pub parameter: Option<String>,
    /// The items that were asked for; absent: all of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Items>,
    /// Its shards by state. Those in none of them have a task.
    pub shards: ShardsRecord,
}

/// The rules by which the engine stops a run that nobody asked it to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedFor {
    /// It took longer than its `run_timeout`.
    Timeout,
}

impl RunRecord {
    /// What becomes of its shards that are not over, if it is being stopped.
    pub fn stopped_as(&self) -> Option<ShardState> {
        match (self.state, self.stopped_for) {
            (RunState::Stopping, Some(StoppedFor::Timeout)) => Some(ShardState::TimedOut),
            (RunState::Stopping, None) => Some(ShardState::Cancelled),
            _ => None,
        }
    }
}

/// The shards of a run by state; those that are launching, running or being killed are known by
/// their task records.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShardsRecord {
    /// Never launched, waiting.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub fresh: Items,
    /// Succeeded.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub succeeded: Items,
    /// Failed.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub failed: Items,
    /// Took too long.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub timed_out: Items,
    /// Told to end, or never started.
    #[serde(skip_serializing_if = "Items::is_empty")]
    pub cancelled: Items,
    /// Waiting for another start.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub again: BTreeMap<u32, AgainRecord>,
}

/// A shard that waits for another start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgainRecord {
    /// What it went through so far.
    pub tries: Tries,
    /// What is left of its back-off, when this was written.
    pub wait_ms: u64,
    /// When this was written.
    pub written_at: Timestamp,
}

/// What a shard went through in its run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tries {
    /// The number of its newest task that started, from 1.
    pub attempt: u32,
    /// Deaths that used up a failover attempt. Of resident tasks: those in a row that ended before
    /// they had run for [`muster_api::limits::DAEMON_STEADY`], whatever ended them.
    pub deaths: u32,
    /// Failures that used up a retry.
    pub failures: u32,
    /// Tasks in a row that never started.
    pub never_started: u32,
    /// The task that the next one replaces.
    pub replaces: Option<TaskId>,
    /// The agent on which it died, to be avoided.
    pub avoid: Option<AgentId>,
    /// Whether its tasks have executors of their own: one died with its executor, which it may have
    /// killed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// Why it waits, or is ended to start anew.
    pub reason: Option<String>,
    /// Whether its newest task takes the place of one that was ended for that, and has not been seen
    /// to run: no other shard of its daemon job is replaced before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// The resident tasks that history keeps, oldest first: attempt and epoch of the last
    /// [`muster_api::limits::PAST_RESIDENTS`], for a daemon job may replace them for years.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<(u32, u64)>,
}
