//! What operators order of hosts. The master knows them, and carries it out.

use muster_api::{
    AgentId, Now,
    events::{EventKind, EventSource, TraceEvent},
    views::AgentState,
};
use muster_engine::event::{Accepted, Command, Rejected, RequestId};
use muster_master::core::{NotDrained, NotGone, Note, Step};

use crate::{
    event::{Effect, Turn},
    turn::Core,
};

impl Core {
    /// Carries out an order about a host; nothing if the command is none, or the hosts are those of
    /// another master. The answer leaves last,
    /// with all that follows from it in the same commit.
    pub(crate) fn order(
        &mut self,
        now: Now,
        request: RequestId,
        command: &Command,
    ) -> Option<Turn> {
        let master = self.upstream.master()?;
        let (agent, done) = match command {
            Command::MarkAgentGone { agent } => {
                (agent, master.mark_gone(now, agent).map_err(not_gone))
            }
            Command::DrainAgent { agent, deadline } => {
                (agent, master.drain(now, agent, *deadline).map_err(not_drained))
            }
            Command::ActivateAgent { agent } => {
                (agent, master.activate(now, agent).map_err(not_drained))
            }
            _ => return None,
        };
        let mut turn = Turn::default();
        let reply = done.map(|step| self.ordered(now, agent, step, &mut turn));
        turn.effects.push(Effect::Reply { request, reply });
        Some(turn)
    }

    fn ordered(&mut self, now: Now, agent: &AgentId, step: Step, turn: &mut Turn) -> Accepted {
        let states: Vec<_> = step.notes.iter().filter_map(state_of).collect();
        self.master_did(step, turn);
        self.run(now, turn);
        let view = self.upstream.master().and_then(|master| master.agent(agent, now));
        let mut view = view.expect("its master changed it just now");
        let drained = view.state == AgentState::Drained && states.contains(&"draining");
        // Where the engine had something of the host, it has told of its end already.
        let is_told = |state: &str| {
            let same =
                |told: &TraceEvent| told.state == state && told.agent.as_ref() == Some(agent);
            turn.trace.iter().any(same)
        };
        let states: Vec<_> = states.into_iter().filter(|state| !is_told(state)).collect();
        for state in states.into_iter().chain(drained.then_some("drained")) {
            turn.trace.push(TraceEvent {
                agent: Some(agent.clone()),
                hostname: Some(view.hostname.clone()),
                ..TraceEvent::new(now.wall, EventKind::Host, state, EventSource::Scheduler)
            });
        }
        if view.drain.is_some() {
            view.left = self.engine.left_on(now, agent);
        }
        Accepted::Agent(Box::new(view))
    }
}

impl Core {
    /// Names the hosts of which the engine knows nothing but that they are silent: after a restart
    /// those that have not come, where no task of ours is.
    pub(crate) fn with_hostnames(&self, mut trace: Vec<TraceEvent>) -> Vec<TraceEvent> {
        for event in &mut trace {
            if event.kind == EventKind::Host && event.hostname.is_none() {
                let agent = event.agent.as_ref();
                let name = agent.and_then(|agent| self.upstream.own_master()?.hostname(agent));
                event.hostname = name.map(str::to_owned);
            }
        }
        trace
    }
}

/// What an order of an operator made of a host, as the events of hosts name it.
fn state_of(note: &Note) -> Option<&'static str> {
    match note {
        Note::AgentDraining { .. } => Some("draining"),
        Note::AgentActivated { .. } => Some("activated"),
        Note::AgentGone { .. } => Some("gone"),
        _ => None,
    }
}

fn not_gone(error: NotGone) -> Rejected {
    match error {
        NotGone::Unknown { agent } => Rejected::NotFound { kind: "agent", name: agent.to_string() },
        NotGone::Heard { .. } | NotGone::NotYetMissed { .. } => {
            Rejected::Conflict { detail: error.to_string() }
        }
    }
}

fn not_drained(error: NotDrained) -> Rejected {
    match error {
        NotDrained::Unknown { agent } => {
            Rejected::NotFound { kind: "agent", name: agent.to_string() }
        }
        NotDrained::Gone { .. } => Rejected::Conflict { detail: error.to_string() },
    }
}
