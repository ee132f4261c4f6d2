//! The master itself: what it holds, how it starts, and which handler takes which event.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{AgentId, IdStream, Mono, Now, Resources, step::Records};
use muster_proto::{FrameworkId, OfferId, TaskId};

use super::{
    agent::Agent,
    drain::Drain,
    event::{Connection, Event, Step},
    framework::Framework,
    gone::Gone,
    record::{self, RestoreError},
};

/// The purposes of the master's id streams; each is one stream of the seed.
const AGENT_IDS: u64 = 0x6d61_7374_0001;
const FRAMEWORK_IDS: u64 = 0x6d61_7374_0002;

/// The pure master: agents, frameworks, offers, and the ledger of resources.
#[derive(Debug)]
pub struct Master {
    pub(super) term: u64,
    pub(super) agent_ids: IdStream,
    pub(super) framework_ids: IdStream,
    pub(super) agents: BTreeMap<AgentId, Agent>,
    /// Agents of which an operator said that they never come back; none of them is in `agents`.
    pub(super) gone: BTreeMap<AgentId, Gone>,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    /// The framework that gets [`AgentNews`](super::AgentNews).
    pub(super) embedded: Option<FrameworkId>,
    /// Whether other frameworks are subscribed beside that one, as it was told.
    pub(super) shared: bool,
    /// The agent of each connection that has registered.
    pub(super) connections: BTreeMap<Connection, AgentId>,
    /// Agents of the store that have not come since this master started.
    pub(super) missing: usize,
    pub(super) offers: BTreeMap<OfferId, Offer>,
    pub(super) offers_made: u64,
    /// Agents with resources that may be offered at the end of this step.
    pub(super) changed: BTreeSet<AgentId>,
    /// When each agent that is heard will be called silent.
    pub(super) watches: BTreeSet<(Mono, AgentId)>,
    /// When filters end.
    pub(super) expiries: BTreeSet<(Mono, FrameworkId, AgentId)>,
    /// When the drain of each agent has a deadline that is not over.
    pub(super) deadlines: BTreeSet<(Mono, AgentId)>,
    /// Frameworks that are being told of all their tasks, and the last one that was named.
    pub(super) naming: BTreeMap<FrameworkId, TaskId>,
    pub(super) steps: u64,
}

/// An outstanding offer.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) framework: FrameworkId,
    pub(super) agent: AgentId,
    pub(super) resources: Resources,
    /// When it was made.
    pub(super) made: Mono,
}

impl Master {
    /// A master that goes on from what another one stored. Keys that are not a master's are passed
    /// over. The step stores the new term: greater than the last, and at least the wall clock's
    /// milliseconds, so that it grows also over a restored backup.
    pub fn restore(seed: u64, records: &Records, now: Now) -> Result<(Self, Step), RestoreError> {
        let stored = record::read(records)?;
        let millis = u64::try_from(now.wall.as_millis()).unwrap_or(0);
        let term = stored.term.saturating_add(1).max(millis);
        let agents: BTreeMap<AgentId, Agent> = stored
            .agents
            .into_iter()
            .map(|(id, (facts, drain))| {
                let drain = drain.map(|drain| Drain::restored(drain.since, drain.deadline, now));
                (id, Agent { drain, ..Agent::away(facts, now.mono) })
            })
            .collect();
        let deadline = |(id, agent): (&AgentId, &Agent)| {
            agent.drain?.deadline.map(|deadline| (deadline.mono, id.clone()))
        };
        let deadlines = agents.iter().filter_map(deadline).collect();
        let master = Self {
            term,
            agent_ids: IdStream::new(seed, AGENT_IDS),
            framework_ids: IdStream::new(seed, FRAMEWORK_IDS),
            missing: agents.len(),
            agents,
            gone: stored.gone,
            frameworks: stored.frameworks,
            embedded: None,
            shared: false,
            connections: BTreeMap::new(),
            offers: BTreeMap::new(),
            offers_made: 0,
            changed: BTreeSet::new(),
            watches: BTreeSet::new(),
            expiries: BTreeSet::new(),
            deadlines,
            naming: BTreeMap::new(),
            steps: 0,
        };
        let step = Step { writes: vec![record::put_term(term)], ..Step::default() };
        Ok((master, step))
    }

    /// Takes one event. Bad input is answered as the protocol says, or is a note.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut step = Step::default();
        match event {
            Event::Hello { connection, hello } => self.hello(now, connection, hello, &mut step),
            Event::FromAgent { connection, body } => {
                self.hear(now, connection, body, &mut step);
            }
            Event::Disconnected { connection } => self.disconnected(connection, &mut step),
            Event::Call(call) => self.call(now, call, &mut step),
            Event::Left { framework } => self.left(&framework, &mut step),
            Event::Tick => self.tick(now, &mut step),
        }
        self.conclude(now, &mut step);
        step
    }

    /// What ends every step: what became free is offered.
    pub(super) fn conclude(&mut self, now: Now, step: &mut Step) {
        self.offer_changed(now, step);
        self.steps += 1;
        if cfg!(debug_assertions) && self.check_is_due() {
            self.check();
        }
    }

    /// When the master wants a [`Event::Tick`].
    pub fn next_wakeup(&self) -> Option<Mono> {
        if !self.naming.is_empty() {
            return Some(Mono::default());
        }
        let watch = self.watches.first().map(|(at, _)| *at);
        let expiry = self.expiries.first().map(|(at, ..)| *at);
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        [watch, expiry, deadline].into_iter().flatten().min()
    }

    /// The term of this master.
    pub fn term(&self) -> u64 {
        self.term
    }
}
