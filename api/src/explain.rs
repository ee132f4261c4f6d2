//! Why a run or a job is as it is: what `GET /v1/.../explain` answers.

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, JobName, RunId, Timestamp,
    views::{FireView, RunState, ShardState, WaitReason},
};

/// Why a run is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunExplanation {
    /// The run.
    pub run: RunId,
    /// Its job.
    pub job: JobName,
    /// Its state.
    pub state: RunState,
    /// Why it is in this state, where that needs words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its planned instant.
    pub planned_at: Timestamp,
    /// By when it must have started or be over, and what happens else, where that is limited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deadlines: Vec<String>,
    /// Its shards that wait, by why they do.
    pub waiting: Vec<WaitingShards>,
    /// Its shards with a task, by where that is and why there.
    pub placed: Vec<PlacedShards>,
    /// Its shards that are over, by how they ended.
    pub over: Vec<OverShards>,
}

/// Shards that wait for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingShards {
    /// How many.
    pub shards: u32,
    /// Which, as in `0-3, 7`.
    pub items: String,
    /// Why.
    pub reason: WaitReason,
    /// The same in words, with numbers.
    pub detail: String,
    /// What would let them start: any one of these.
    pub unblock: Vec<String>,
}

/// Shards of which the tasks are on one host for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedShards {
    /// How many.
    pub shards: u32,
    /// Which, as in `0-3, 7`.
    pub items: String,
    /// What their tasks are doing.
    pub state: ShardState,
    /// The agent.
    pub agent: AgentId,
    /// Its host name.
    pub hostname: String,
    /// Why this host was taken.
    pub because: String,
    /// Why their tasks are being ended, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// What becomes of them where their host is drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained: Option<String>,
    /// Where nothing is heard of the host: since when, and what ends that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<String>,
}

/// Shards that ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverShards {
    /// How many.
    pub shards: u32,
    /// Which, as in `0-3, 7`.
    pub items: String,
    /// How they ended.
    pub state: ShardState,
    /// Why, where that needs words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a job does what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobExplanation {
    /// The job.
    pub job: JobName,
    /// Whether it fires: it and its app are enabled, and nothing is held.
    pub fires: bool,
    /// The same in words.
    pub detail: String,
    /// When it fires next.
    pub next_fire: Option<Timestamp>,
    /// Its runs that are not over, in the order of their turns: the first of them.
    pub runs: Vec<RunExplanation>,
    /// How many of them are not shown.
    pub more_runs: u64,
    /// The newest planned instant that was skipped or dropped, of those that were looked through.
    pub last_missed: Option<FireView>,
}

/// Shards as people write them: `0-3, 7`.
pub fn items_in_words(ranges: &[(u32, u32)]) -> String {
    /// Ranges that are written out.
    const WRITTEN: usize = 20;
    let range = |(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let written: Vec<_> = ranges.iter().take(WRITTEN).map(range).collect();
    let more = if ranges.len() > WRITTEN { ", ..." } else { "" };
    format!("{}{more}", written.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_written_as_ranges_and_not_without_end() {
        assert_eq!(items_in_words(&[(0, 3), (7, 7)]), "0-3, 7");
        assert_eq!(items_in_words(&[]), "");
        let many: Vec<_> = (0..100).map(|n| (2 * n, 2 * n)).collect();
        assert!(items_in_words(&many).ends_with("36, 38, ..."));
    }
}
