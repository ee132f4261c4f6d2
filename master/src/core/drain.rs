//! Hosts that an operator wants empty: nothing more is launched there, and what runs there ends by
//! itself or is moved when its time is over.
//!
//! The embedded scheduler moves its own tasks, for it knows which of them may start again; those of
//! other frameworks are killed at the deadline, as Mesos does. A drain lasts until an operator ends
//! it: over restarts of everybody, and whatever the host has when it comes back.

use muster_api::{AgentId, Mono, Now, Span, Timestamp, views::DrainView};
use muster_proto::{FrameworkId, TaskId};

use super::{
    agent::Agent,
    event::{AgentNews, Step},
    here::Kill,
    master::Master,
    note::Note,
    record, wire,
};

/// That an agent is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drain {
    pub(super) since: Timestamp,
    pub(super) deadline: Option<Deadline>,
}

/// When what is left on an agent is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    /// As it is stored and shown.
    pub(super) wall: Timestamp,
    /// As it is waited for.
    pub(super) mono: Mono,
}

/// Why an agent cannot be drained or activated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDrained {
    /// Nobody knows it.
    #[error("there is no agent `{agent}`")]
    Unknown {
        /// Its id.
        agent: AgentId,
    },
    /// It was declared gone.
    #[error("agent `{agent}` on `{hostname}` was declared gone at {at}; nothing runs there")]
    Gone {
        /// Its id.
        agent: AgentId,
        /// Its host name.
        hostname: String,
        /// When.
        at: Timestamp,
    },
}

impl Drain {
    /// A drain as it was stored. The time that went by until now is taken off what was left of it,
    /// by the wall clock; where that was set back, nobody waits for longer than was asked.
    pub(super) fn restored(since: Timestamp, deadline: Option<Timestamp>, now: Now) -> Self {
        let deadline = deadline.map(|wall| {
            let left = wall.since(now.wall).min(wall.since(since));
            Deadline { wall, mono: now.mono + left }
        });
        Self { since, deadline }
    }

    fn is_over(&self, now: Now) -> bool {
        self.deadline.is_some_and(|deadline| deadline.mono <= now.mono)
    }

    pub(super) fn view(&self) -> DrainView {
        DrainView { since: self.since, deadline: self.deadline.map(|deadline| deadline.wall) }
    }
}

impl Master {
    /// Has an agent give up its work: its offers are withdrawn and none are made. What runs there
    /// may go on for `deadline`, or without one for as long as it takes. To say so again sets
    /// another deadline, counted from now.
    pub fn drain(
        &mut self,
        now: Now,
        id: &AgentId,
        deadline: Option<Span>,
    ) -> Result<Step, NotDrained> {
        self.can_be_drained(id)?;
        let mut step = Step::default();
        let deadline = deadline.map(|span| Deadline {
            wall: now.wall + span.duration(),
            mono: now.mono + span.duration(),
        });
        self.rescind_on(id, &mut step);
        let before = self.set_drain(id, Some(deadline), now, &mut step);
        if before.is_none() {
            step.notes.push(Note::AgentDraining { agent: id.clone() });
        }
        self.tell_drain(id, &mut step);
        self.evict_when_over(now, id, &mut step);
        self.conclude(now, &mut step);
        Ok(step)
    }

    /// Lets an agent be used again; one that is not drained stays as it is.
    pub fn activate(&mut self, now: Now, id: &AgentId) -> Result<Step, NotDrained> {
        self.can_be_drained(id)?;
        let mut step = Step::default();
        if self.set_drain(id, None, now, &mut step).is_some() {
            step.notes.push(Note::AgentActivated { agent: id.clone() });
            if self.embedded_is_subscribed() {
                step.news(AgentNews::Activated { agent: id.clone() });
            }
            // Filters are of how it was before.
            self.clear_filters_on(id);
            self.changed.insert(id.clone());
        }
        self.conclude(now, &mut step);
        Ok(step)
    }

    fn can_be_drained(&self, id: &AgentId) -> Result<(), NotDrained> {
        if let Some(gone) = self.gone.get(id) {
            let hostname = gone.facts.hostname.clone();
            return Err(NotDrained::Gone { agent: id.clone(), hostname, at: gone.at });
        }
        match self.agents.contains_key(id) {
            true => Ok(()),
            false => Err(NotDrained::Unknown { agent: id.clone() }),
        }
    }

    /// Makes an agent one that is drained, with this deadline, or one that is not; how it was.
    fn set_drain(
        &mut self,
        id: &AgentId,
        wanted: Option<Option<Deadline>>,
        now: Now,
        step: &mut Step,
    ) -> Option<Drain> {
        let agent = self.agents.get_mut(id).expect("the agent is known, as was checked");
        let before = agent.drain;
        let since = before.map_or(now.wall, |drain| drain.since);
        agent.drain = wanted.map(|deadline| Drain { since, deadline });
        if agent.drain != before {
            step.writes.push(record::put_agent(id, &agent.facts, agent.drain.as_ref()));
        }
        let deadline = |drain: Option<Drain>| drain.and_then(|drain| drain.deadline);
        let after = deadline(agent.drain);
        self.forget_deadline(id, before);
        self.deadlines.extend(after.map(|deadline| (deadline.mono, id.clone())));
        before
    }

    /// Nobody waits for the end of a drain any more.
    pub(super) fn forget_deadline(&mut self, id: &AgentId, drain: Option<Drain>) {
        if let Some(deadline) = drain.and_then(|drain| drain.deadline) {
            self.deadlines.remove(&(deadline.mono, id.clone()));
        }
    }

    /// Tells the embedded scheduler that an agent is drained, if it is.
    pub(super) fn tell_drain(&self, id: &AgentId, step: &mut Step) {
        let drain = self.agents.get(id).and_then(|agent| agent.drain);
        if let Some(Drain { deadline, .. }) = drain.filter(|_| self.embedded_is_subscribed()) {
            let deadline = deadline.map(|deadline| deadline.mono);
            step.news(AgentNews::Draining { agent: id.clone(), deadline });
        }
    }

    /// Kills what other frameworks have on an agent, if it is drained and its deadline is over.
    pub(super) fn evict_when_over(&mut self, now: Now, id: &AgentId, step: &mut Step) {
        let embedded = self.embedded.clone();
        let Some(agent) = self.agents.get_mut(id) else { return };
        if !agent.drain.is_some_and(|drain| drain.is_over(now)) {
            return;
        }
        let connection = agent.connection();
        for (framework, task) in agent.tasks_of_others(embedded.as_ref()) {
            let Some(entry) = agent.task_mut(&framework, &task) else { continue };
            // Whoever has killed it already said how; the policy of the task itself is its agent's.
            if entry.kill.is_none() {
                entry.kill = Some(Kill { policy: None, drained: true });
                if let Some(connection) = connection {
                    step.tell_agent(connection, wire::kill(&framework, &task, None));
                }
            }
        }
    }
}

impl Agent {
    /// The tasks here that are not over and not of a framework.
    fn tasks_of_others(&self, but: Option<&FrameworkId>) -> Vec<(FrameworkId, TaskId)> {
        let others = self.here.iter().filter(|(framework, _)| Some(*framework) != but);
        let tasks = others.flat_map(|(framework, here)| {
            let live = here.tasks.iter().filter(|(_, task)| !task.state.is_terminal());
            live.map(|(task, _)| (framework.clone(), task.clone()))
        });
        tasks.collect()
    }
}
