//! What the embedded master knows of agents, as events of the engine.

use std::str::FromStr;

use muster_engine::event::{AgentRegistered, Event};
use muster_master::core::AgentNews;

/// The event that some news are to the engine.
pub(crate) fn event(news: AgentNews) -> Event {
    match news {
        AgentNews::Registered {
            agent,
            hostname,
            attributes,
            resources,
            rebooted,
            tasks,
            executors,
        } => Event::AgentRegistered(AgentRegistered {
            agent,
            hostname,
            attributes,
            resources,
            rebooted,
            tasks: ours(&tasks),
            executors: ours(&executors),
        }),
        AgentNews::Silent { agent, since } => Event::AgentSilent { agent, since },
        AgentNews::Heard { agent } => Event::AgentHeard(agent),
        AgentNews::Gone { agent } => Event::AgentGone(agent),
        AgentNews::Draining { agent, deadline } => Event::AgentDraining { agent, deadline },
        AgentNews::Activated { agent } => Event::AgentActivated(agent),
    }
}

/// The ids that are ours: all that we make can be read.
fn ours<T: FromStr>(ids: &[String]) -> Vec<T> {
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}
