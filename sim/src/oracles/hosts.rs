//! What hosts are like, and which of them give up their work: nothing is launched where its job does
//! not want to be, or where an operator wants nothing any more.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, Timestamp,
    spec::Rule,
    step::{Records, Write},
};
use muster_engine::records::{self, TaskRecord};
use serde_json::Value;

use super::{Truth, Verdict, broken, with_prefix};

/// Key prefix of the master's records of agents (`master/src/core/record.rs`).
const AGENTS: &str = "A/";
/// How long after the deadline of a drain the last task may be told to go, of a scheduler that lives.
const PATIENCE: u64 = 60_000;

/// What the master has stored of an agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Host {
    name: String,
    attributes: BTreeMap<String, String>,
    drain: Option<Drain>,
}

#[derive(Debug, Clone, Copy)]
struct Drain {
    deadline: Option<Timestamp>,
    /// Since when, in the time of the world, tasks are seen to stay there beyond it.
    overdue: Option<u64>,
}

impl Truth {
    /// Sees in a commit what a host is like.
    pub(crate) fn see_host(&mut self, write: &Write) {
        let Some((id, document)) = agent_of(write) else { return };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let attributes = document["attributes"].as_object().into_iter().flatten();
        let deadline = document["drain"]["deadline"].as_str();
        let deadline = deadline.and_then(|at| at.parse::<Timestamp>().ok());
        let drain = document["drain"].is_object().then_some(Drain { deadline, overdue: None });
        let host = Host {
            name: text(&document["hostname"]),
            attributes: attributes.map(|(name, value)| (name.clone(), text(value))).collect(),
            drain,
        };
        self.known_hosts.insert(id, host);
    }

    /// The agents that give up their work.
    pub(crate) fn drained(&self) -> Vec<AgentId> {
        let drained = self.known_hosts.iter().filter(|(_, host)| host.drain.is_some());
        drained.map(|(id, _)| id.clone()).collect()
    }
}

/// The agent that a write is of, and what is stored of it.
fn agent_of(write: &Write) -> Option<(AgentId, Value)> {
    let Write::Put { key, value } = write else { return None };
    let id = std::str::from_utf8(key).ok()?.strip_prefix(AGENTS)?.parse().ok()?;
    // A version byte is before the document.
    Some((id, serde_json::from_slice(value.get(1..)?).ok()?))
}

/// What a planted bug does to what is stored: that hosts are drained is lost.
pub(crate) fn forget_drains(store: &mut Records) {
    for (_, value) in store.iter_mut().filter(|(key, _)| key.starts_with(AGENTS.as_bytes())) {
        let document = serde_json::from_slice::<Value>(value.get(1..).unwrap_or_default());
        if let Ok(Value::Object(mut document)) = document
            && document.remove("drain").is_some()
            && let Ok(json) = serde_json::to_vec(&document)
        {
            value.truncate(1);
            value.extend(json);
        }
    }
}

/// The tasks that a commit launches.
pub(super) fn launched<'a>(
    store: &'a Records,
    writes: &'a [Write],
) -> impl Iterator<Item = (&'a Vec<u8>, TaskRecord)> {
    writes.iter().filter_map(move |write| match write {
        Write::Put { key, value }
            if key.starts_with(records::TASKS.as_bytes()) && !store.contains_key(key) =>
        {
            Some((key, records::decode(value).ok()?))
        }
        Write::Put { .. } | Write::Delete { .. } => None,
    })
}

/// A task is launched on a host that is what its job wants, in the version that it was launched with.
/// Asked once it is known what a commit has stored.
pub(crate) fn constraints_hold(truth: &Truth, store: &Records, writes: &[Write]) -> Verdict {
    for (key, task) in launched(store, writes) {
        let (Some(spec), Some(host)) =
            (truth.spec_of_task(&task), truth.known_hosts.get(&task.agent))
        else {
            continue;
        };
        for constraint in &spec.constraints {
            let value = match constraint.attribute.as_str() {
                "hostname" => Some(host.name.as_str()),
                name => host.attributes.get(name).map(String::as_str),
            };
            if !Rule::new(constraint).holds(value) {
                let (key, name) = (String::from_utf8_lossy(key), &host.name);
                let what = format!("{key} is launched on {name}, and {constraint}");
                return broken("constraints_hold", what);
            }
        }
    }
    Ok(())
}

/// Nothing is launched on a host that was told to give up its work. Of the order within a commit
/// nothing is known, so one that is activated with it may be used with it.
pub(crate) fn drained_hosts_get_nothing(
    truth: &Truth,
    store: &Records,
    writes: &[Write],
) -> Verdict {
    let drains = |agent: &AgentId| truth.known_hosts.get(agent).is_some_and(|h| h.drain.is_some());
    if !truth.known_hosts.values().any(|host| host.drain.is_some()) {
        return Ok(());
    }
    let touched =
        |agent: &AgentId| writes.iter().any(|w| agent_of(w).is_some_and(|a| a.0 == *agent));
    for (key, task) in launched(store, writes) {
        if drains(&task.agent) && !touched(&task.agent) {
            let (key, name) = (String::from_utf8_lossy(key), &task.hostname);
            let what = format!("{key} is launched on {name}, which is being drained");
            return broken("drained_hosts_get_nothing", what);
        }
    }
    Ok(())
}

/// Some time after the deadline of a drain nothing is left there that may be moved, or it is told to
/// end. Of wall clocks that are set nothing is said. `now` is when the commit was decided on.
pub(crate) fn drained_hosts_are_left(
    truth: &mut Truth,
    store: &Records,
    now: Timestamp,
) -> Verdict {
    if truth.wall_was_set || !truth.known_hosts.values().any(|host| host.drain.is_some()) {
        return Ok(());
    }
    let time = truth.time;
    let mut left: BTreeMap<AgentId, String> = BTreeMap::new();
    for (key, value) in with_prefix(store, records::TASKS) {
        let Ok(task) = records::decode::<TaskRecord>(value) else { continue };
        let overdue = truth.known_hosts.get(&task.agent).and_then(|host| host.drain);
        let overdue = overdue.and_then(|drain| drain.deadline).is_some_and(|at| at < now);
        let moves = |spec: &muster_api::spec::JobSpec| spec.is_daemon() || spec.failover.enabled;
        if overdue
            && task.ended_for.is_none()
            && truth.spec_of_task(&task).is_some_and(|spec| moves(&spec))
            && !is_stopping(store, &task)
        {
            left.insert(task.agent, String::from_utf8_lossy(key).into_owned());
        }
    }
    for (agent, host) in &mut truth.known_hosts {
        let Some(drain) = &mut host.drain else { continue };
        let Some(task) = left.get(agent) else {
            drain.overdue = None;
            continue;
        };
        let since = *drain.overdue.get_or_insert(time);
        // While the scheduler was away, nobody could do anything.
        if since + PATIENCE < time && truth.scheduler_up_since + PATIENCE < time {
            let what = format!("{} was to be left, and {task} goes on there", host.name);
            return broken("drained_hosts_are_left", what);
        }
    }
    Ok(())
}

/// Whether the run of a task is being ended: then that is what happens to the task.
fn is_stopping(store: &Records, task: &TaskRecord) -> bool {
    let run = store.get(&records::run_key(&task.run));
    let run = run.and_then(|value| records::decode::<records::RunRecord>(value).ok());
    run.is_none_or(|run| run.state == muster_api::views::RunState::Stopping)
}
