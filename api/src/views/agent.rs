//! Executor hosts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::{AgentId, JobName, Resources, RunId, Span, Timestamp};

/// Whether an executor host is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// It sends heartbeats.
    Active,
    /// It is told to give up its work: nothing new starts there.
    Draining,
    /// It was told so, and nothing of it runs there any more. It stays so until it is activated.
    Drained,
    /// It belongs to a master that is not our own: it is known from offers and from what is said of
    /// tasks there, and not how much it has.
    Foreign,
    /// It has not been heard of for a while.
    Unreachable,
    /// An operator said that it will never come back: nothing of it counts as alive.
    Gone,
}

/// An executor host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Its id.
    pub id: AgentId,
    /// Its host name.
    pub hostname: String,
    /// Whether it is there.
    pub state: AgentState,
    /// All that it has.
    pub resources: Resources,
    /// What is in use, executors included; `cpus` and `mem` are named where nothing is in use too.
    #[serde(serialize_with = "with_cpus_and_mem")]
    pub used: Resources,
    /// Facts about it.
    pub attributes: BTreeMap<String, String>,
    /// Tasks on it that are not over.
    pub tasks: u32,
    /// Executors on it that are not gone.
    pub executors: u32,
    /// Since when nothing is heard of it, if it is not heard: its last heartbeat, or the start of
    /// this scheduler if it has not come since. Leases are counted from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// How long that is, by a clock that nobody sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_for: Option<Span>,
    /// When an operator said that it will never come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<Timestamp>,
    /// That it is drained, as an operator wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainView>,
    /// Of one that is drained: what is left there and what becomes of it. Not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftView>,
}

fn with_cpus_and_mem<S: Serializer>(used: &Resources, serializer: S) -> Result<S::Ok, S::Error> {
    let usual = ["cpus", "mem"].map(|name| (name, used.get(name)));
    let all: BTreeMap<_, _> = usual.into_iter().chain(used.iter()).collect();
    all.serialize(serializer)
}

/// That an executor host is to give up its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainView {
    /// When that was asked for.
    pub since: Timestamp,
    /// When the tasks that are left there then are moved; absent: they may end by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// Body of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// How long tasks may go on by themselves before they are moved; zero moves them at once, absent
    /// never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
}

/// Tasks of one run that are left on an executor host which is drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftView {
    /// Their run.
    pub run: RunId,
    /// Its job.
    pub job: JobName,
    /// How many they are.
    pub tasks: u32,
    /// The items of their shards, such as `0..3, 7`.
    pub items: String,
    /// What becomes of them, in words.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_idle_host_uses_is_named() {
        let agent = |used| {
            json!({"id": "a", "hostname": "h", "state": "active", "attributes": {},
                "resources": {"cpus": 4, "mem": 64}, "used": used, "tasks": 0, "executors": 0})
        };
        let view: AgentView = serde_json::from_value(agent(json!({}))).unwrap();
        let idle = agent(json!({"cpus": 0, "mem": 0}));
        assert_eq!(serde_json::to_value(&view).unwrap(), idle);
        assert_eq!(serde_json::from_value::<AgentView>(idle).unwrap(), view);
        let busy = agent(json!({"cpus": 1.5, "gpus": 2, "mem": 8}));
        let view: AgentView = serde_json::from_value(busy.clone()).unwrap();
        assert_eq!(serde_json::to_value(&view).unwrap(), busy);
    }
}
