//! Agents that were declared gone.

use muster_api::{
    AgentId,
    step::{Records, Write},
};
use muster_engine::records::{self, ExecutorRecord, TaskRecord};
use muster_proto::{AgentInfo, agent::Hello};

use super::{Truth, Verdict, broken, with_prefix};

/// Key prefix of the master's records of agents (`master/src/core/record.rs`).
const AGENTS: &str = "A/";

impl Truth {
    /// Whether an agent comes as one that was declared gone.
    pub(crate) fn is_gone(&self, info: &AgentInfo) -> bool {
        let id = info.id.as_ref().and_then(|id| id.value.parse::<AgentId>().ok());
        id.is_some_and(|id| self.gone.contains(&id))
    }

    /// Sees in a commit that an agent is declared gone.
    pub(crate) fn see_gone(&mut self, write: &Write) {
        let Write::Put { key, value } = write else { return };
        let id = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(AGENTS));
        let Some(id) = id.and_then(|id| id.parse::<AgentId>().ok()) else { return };
        // A version byte is before the document.
        let document = value.get(1..).unwrap_or_default();
        let document = serde_json::from_slice::<serde_json::Value>(document).unwrap_or_default();
        if document.get("gone_at").is_some_and(|at| !at.is_null()) {
            self.gone.insert(id);
        }
    }
}

/// Nothing that is stored says that anything lives on an agent that was declared gone.
pub(crate) fn nothing_is_left_of_the_gone(truth: &Truth, store: &Records) -> Verdict {
    if truth.gone.is_empty() {
        return Ok(());
    }
    let tasks = with_prefix(store, records::TASKS)
        .filter_map(|(key, value)| Some((key, records::decode::<TaskRecord>(value).ok()?.agent)));
    let executors = with_prefix(store, records::EXECUTORS).filter_map(|(key, value)| {
        Some((key, records::decode::<ExecutorRecord>(value).ok()?.agent))
    });
    let mut all = tasks.chain(executors);
    match all.find(|(_, agent)| truth.gone.contains(agent)) {
        None => Ok(()),
        Some((key, agent)) => {
            let what =
                format!("{} is there, and agent {agent} is gone", String::from_utf8_lossy(key));
            broken("nothing_is_left_of_the_gone", what)
        }
    }
}

/// An agent that was declared gone, and comes back as another one, brings nothing of its old life.
pub(crate) fn nothing_of_the_gone_comes_back(truth: &Truth, host: usize, hello: &Hello) -> Verdict {
    const NAME: &str = "nothing_of_the_gone_comes_back";
    // As what it was it may come: it is turned away.
    if hello.info.as_ref().is_some_and(|info| truth.is_gone(info)) {
        return Ok(());
    }
    let brought = hello.executors.iter().filter_map(|here| here.executor.as_ref());
    let brought = brought.filter_map(|info| info.executor_id.as_ref());
    let mut old = brought.filter(|executor| truth.is_forsaken(host, executor));
    if let Some(executor) = old.next() {
        return broken(NAME, format!("host{host} brings executor {executor} of its old life"));
    }
    let mut code = truth.running.values().filter(|code| code.host == host);
    match code.find(|code| truth.is_forsaken(host, &code.executor)) {
        None => Ok(()),
        Some(code) => broken(NAME, format!("host{host} registers anew, and {} runs", code.task)),
    }
}
