//! Agents as users see them.

use muster_api::{
    AgentId, Now, Resources, Span,
    views::{AgentState, AgentView},
};

use super::{agent::Agent, drain::Drain, gone::Gone, master::Master};

impl Master {
    /// The agents that are known, and then those that were declared gone, each by id.
    pub fn agents(&self, now: Now) -> Vec<AgentView> {
        let known = self.agents.iter().map(|(id, agent)| agent.view(id, now));
        let gone = self.gone.iter().map(|(id, gone)| gone.view(id));
        known.chain(gone).collect()
    }

    /// One of them.
    pub fn agent(&self, id: &AgentId, now: Now) -> Option<AgentView> {
        let known = self.agents.get(id).map(|agent| agent.view(id, now));
        known.or_else(|| self.gone.get(id).map(|gone| gone.view(id)))
    }
}

impl Master {
    /// The name of an agent's host, as the agent last gave it.
    pub fn hostname(&self, id: &AgentId) -> Option<&str> {
        let known = self.agents.get(id).map(|agent| &agent.facts);
        let facts = known.or_else(|| self.gone.get(id).map(|gone| &gone.facts))?;
        Some(&facts.hostname)
    }
}

impl Agent {
    fn view(&self, id: &AgentId, now: Now) -> AgentView {
        let tasks = self.here.values().flat_map(|here| here.tasks.values());
        let live = tasks.filter(|task| !task.state.is_terminal()).count();
        let executors = self.here.values().map(|here| here.executors.len()).sum::<usize>();
        let silence = self.is_silent().then(|| now.mono.since(self.heard));
        AgentView {
            id: id.clone(),
            hostname: self.facts.hostname.clone(),
            state: match (silence, self.drain) {
                (Some(_), _) => AgentState::Unreachable,
                (None, None) => AgentState::Active,
                (None, Some(_)) if live + executors > 0 => AgentState::Draining,
                (None, Some(_)) => AgentState::Drained,
            },
            resources: self.facts.resources.clone(),
            used: self.used.clone(),
            attributes: self.facts.attributes.clone(),
            tasks: u32::try_from(live).unwrap_or(u32::MAX),
            executors: u32::try_from(executors).unwrap_or(u32::MAX),
            silent_since: silence.map(|silence| now.wall.before(silence)),
            silent_for: silence.map(|silence| {
                Span::from_millis(u64::try_from(silence.as_millis()).unwrap_or(u64::MAX))
            }),
            gone_at: None,
            drain: self.drain.as_ref().map(Drain::view),
            left: Vec::new(),
        }
    }
}

impl Gone {
    fn view(&self, id: &AgentId) -> AgentView {
        AgentView {
            id: id.clone(),
            hostname: self.facts.hostname.clone(),
            state: AgentState::Gone,
            resources: self.facts.resources.clone(),
            used: Resources::none(),
            attributes: self.facts.attributes.clone(),
            tasks: 0,
            executors: 0,
            silent_since: None,
            silent_for: None,
            gone_at: Some(self.at),
            drain: None,
            left: Vec::new(),
        }
    }
}
