//! Hosts of which an operator says that they will never come back.
//!
//! Nothing of them counts as alive from then on, whatever their leases say. That is the operator's
//! word, and nobody can check it. So an agent that comes back all the same is refused with that
//! word, and ends what it still runs before it registers as another one.

use std::collections::BTreeMap;

use muster_api::{AgentId, Now, Resources, Timestamp, limits};
use muster_proto::{
    CapabilityType, FrameworkId, Reason, TaskState,
    agent::{MasterBody, Refused},
};

use super::{
    agent::Facts,
    event::{AgentNews, Connection, Effect, Step},
    framework::{Door, Framework},
    here::Here,
    master::Master,
    note::Note,
    record,
    wire::{self, MasterStatus},
};

/// An agent that was declared gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gone {
    /// What it last said of itself.
    pub(super) facts: Facts,
    /// When it was declared gone.
    pub(super) at: Timestamp,
}

/// Why an agent cannot be declared gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotGone {
    /// Nobody knows it.
    #[error("there is no agent `{agent}`")]
    Unknown {
        /// Its id.
        agent: AgentId,
    },
    /// It is there.
    #[error(
        "agent `{agent}` on `{hostname}` is connected and heard; stop it first if its host is to go"
    )]
    Heard {
        /// Its id.
        agent: AgentId,
        /// Its host name.
        hostname: String,
    },
    /// This master has just started, and the agent may be on its way to it.
    #[error(
        "this scheduler started a moment ago, and agent `{agent}` on `{hostname}` may be about to \
         come back; try again in {} s",
        limits::SILENT_AFTER.as_secs()
    )]
    NotYetMissed {
        /// Its id.
        agent: AgentId,
        /// Its host name.
        hostname: String,
    },
}

impl Master {
    /// Declares an agent gone for good: every task there is over, its executors are no more, and
    /// it can never come back as what it was. To say so again changes nothing.
    pub fn mark_gone(&mut self, now: Now, id: &AgentId) -> Result<Step, NotGone> {
        let mut step = Step::default();
        if self.gone.contains_key(id) {
            return Ok(step);
        }
        let agent = self.agents.get(id).ok_or_else(|| NotGone::Unknown { agent: id.clone() })?;
        if !agent.is_silent() {
            let hostname = agent.facts.hostname.clone();
            return Err(NotGone::Heard { agent: id.clone(), hostname });
        }
        // Of one that has not come yet, silence counts from the start of this master.
        if !agent.came && now.mono.since(agent.heard) < limits::SILENT_AFTER {
            let hostname = agent.facts.hostname.clone();
            return Err(NotGone::NotYetMissed { agent: id.clone(), hostname });
        }
        if let Some(connection) = self.unlink(id, &mut step) {
            step.effects.push(Effect::Close { connection });
        }
        self.clear_filters_on(id);
        let mut agent = self.agents.remove(id).expect("it was found a moment ago");
        match agent.came {
            true => self.books.resize(&agent.facts.resources, &Resources::none()),
            false => self.missing -= 1,
        }
        self.forget_deadline(id, agent.drain);
        self.forget_loss(id, &agent);
        self.lost.take(id);
        let here = agent.clear_here(&mut self.books);
        self.bury(now, id, &here, &mut step);
        // First of all room is made: where the wall clock was set back, this one is the oldest.
        self.forget_gone(&mut step);
        let gone = Gone { facts: agent.facts, at: now.wall };
        step.writes.push(record::put_gone(id, &gone));
        self.gone.insert(id.clone(), gone);
        step.notes.push(Note::AgentGone { agent: id.clone() });
        if self.embedded_is_subscribed() {
            step.news(AgentNews::Gone { agent: id.clone() });
        }
        self.conclude(now, &mut step);
        Ok(step)
    }

    /// Tells frameworks that what they have on an agent is over, and those over HTTP that it is
    /// gone. One that is away hears it when it asks.
    fn bury(
        &mut self,
        now: Now,
        id: &AgentId,
        here: &BTreeMap<FrameworkId, Here>,
        step: &mut Step,
    ) {
        for (framework_id, here) in here {
            let framework = self.frameworks.get_mut(framework_id).expect("it has tasks here");
            for task in here.tasks.keys() {
                framework.tasks.remove(task);
            }
            let framework = &self.frameworks[framework_id];
            let (reason, message) = words(framework);
            let state = framework.told(TaskState::GoneByOperator);
            // The end of a task that was told already stays what it was.
            let told = |reported: Option<TaskState>| reported.is_some_and(TaskState::is_terminal);
            for (task, entry) in here.tasks.iter().filter(|(_, task)| !told(task.reported)) {
                let executor = entry.executor.as_ref();
                let message = message.to_owned();
                let status =
                    MasterStatus { task, agent: Some(id), executor, state, reason, message };
                self.tell(framework_id, wire::update(status.at(now)), step);
            }
        }
        for (framework_id, framework) in &self.frameworks {
            let concerned = match framework.door() {
                Some(Door::Embedded) => here.contains_key(framework_id),
                Some(Door::Stream(_)) => true,
                None => false,
            };
            if concerned {
                self.tell(framework_id, wire::agent_lost(id), step);
            }
        }
    }

    /// Forgets the oldest, so that there is room for one more.
    fn forget_gone(&mut self, step: &mut Step) {
        while self.gone.len() >= limits::AGENTS_GONE {
            let oldest = self.gone.iter().min_by_key(|(id, gone)| (gone.at, *id));
            let Some(id) = oldest.map(|(id, _)| id.clone()) else { return };
            self.gone.remove(&id);
            step.writes.push(record::delete_agent(&id));
        }
    }

    /// Turns an agent away that was declared gone; whether it is one.
    pub(super) fn refuse_gone(
        &self,
        on: Connection,
        id: &AgentId,
        hostname: &str,
        step: &mut Step,
    ) -> bool {
        let Some(gone) = self.gone.get(id) else { return false };
        let reason = format!("an operator declared agent {id} gone at {}", gone.at);
        let refused = Refused { message: reason.clone(), gone: true, ..Refused::default() };
        step.tell_agent(on, MasterBody::Refused(refused));
        step.effects.push(Effect::Close { connection: on });
        step.notes.push(Note::AgentRefused { hostname: hostname.to_owned(), reason });
        true
    }
}

/// Why a task on a host that is gone is over, to its framework.
fn words(framework: &Framework) -> (Reason, &'static str) {
    match framework.door() {
        Some(Door::Embedded) => {
            (Reason::AgentRemovedByOperator, "an operator declared its host gone")
        }
        _ if framework.has(CapabilityType::PartitionAware) => {
            (Reason::AgentRemovedByOperator, "Agent has been marked gone")
        }
        _ => (Reason::AgentRemoved, "Agent has been marked gone"),
    }
}
