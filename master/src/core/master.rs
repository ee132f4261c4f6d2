//! The master itself: what it holds, how it starts, and which handler takes which event.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use muster_api::{AgentId, IdStream, Mono, Now, Resources, limits, step::Records};
use muster_proto::{FrameworkId, OfferId};

use super::{
    agent::Agent,
    books::Books,
    credentials::Credential,
    drain::Drain,
    event::{Connection, Event, Step},
    framework::{Framework, Standing},
    gone::Gone,
    lost::Lost,
    questions::Questions,
    record::{self, RestoreError},
    removal::patience,
    role::Role,
    term,
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
    /// Who holds what, and whose turn it is.
    pub(super) books: Books,
    /// Who may call over HTTP.
    pub(super) credentials: BTreeMap<String, Credential>,
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
    /// How long an offer to a framework over HTTP stands; without it, until it is used.
    pub(super) offer_timeout: Option<Duration>,
    /// When each of these offers ends.
    pub(super) offer_ends: BTreeSet<(Mono, OfferId)>,
    /// Agents with resources that may be offered at the end of this step.
    pub(super) changed: BTreeSet<AgentId>,
    /// When each agent that is heard will be called silent.
    pub(super) watches: BTreeSet<(Mono, AgentId)>,
    /// When filters end.
    pub(super) expiries: BTreeSet<(Mono, FrameworkId, Role, AgentId)>,
    /// When each framework that is away is removed.
    pub(super) failovers: BTreeSet<(Mono, FrameworkId)>,
    /// When each agent that is silent counts as unreachable.
    pub(super) losses: BTreeSet<(Mono, AgentId)>,
    /// When the drain of each agent has a deadline that is not over.
    pub(super) deadlines: BTreeSet<(Mono, AgentId)>,
    /// Tasks that their frameworks were told are lost with the connection of their agent.
    pub(super) lost: Lost,
    /// What frameworks have asked about and were not told of yet.
    pub(super) questions: Questions,
    pub(super) steps: u64,
}

/// An outstanding offer.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) framework: FrameworkId,
    pub(super) role: Role,
    pub(super) agent: AgentId,
    pub(super) resources: Resources,
    /// When it was made.
    pub(super) made: Mono,
    /// When it ends by itself.
    pub(super) ends: Option<Mono>,
}

impl Master {
    /// A master that goes on from what another one stored. Keys that are not a master's are passed
    /// over. The step stores the new term: greater than the last, and at least the wall clock's
    /// milliseconds, so that it grows also over a restored backup.
    pub fn restore(seed: u64, records: &Records, now: Now) -> Result<(Self, Step), RestoreError> {
        let stored = record::read(records)?;
        let term = term::after(stored.term, now);
        let expected = now.mono + limits::AGENT_RETURN;
        let agents: BTreeMap<AgentId, Agent> = stored
            .agents
            .into_iter()
            .map(|(id, (facts, drain))| {
                let drain = drain.map(|drain| Drain::restored(drain.since, drain.deadline, now));
                (id, Agent { drain, loss: Some(expected), ..Agent::away(facts, now.mono) })
            })
            .collect();
        let deadline = |(id, agent): (&AgentId, &Agent)| {
            agent.drain?.deadline.map(|deadline| (deadline.mono, id.clone()))
        };
        let deadlines = agents.iter().filter_map(deadline).collect();
        let mut frameworks = stored.frameworks;
        let mut failovers = BTreeSet::new();
        for (id, framework) in &mut frameworks {
            if let Standing::Away { since, .. } = framework.standing {
                let until = patience(framework, since, now);
                framework.standing = Standing::Away { since, until };
                failovers.insert((until, id.clone()));
            }
        }
        let losses = agents.keys().map(|id| (expected, id.clone())).collect();
        let master = Self {
            term,
            agent_ids: IdStream::new(seed, AGENT_IDS),
            framework_ids: IdStream::new(seed, FRAMEWORK_IDS),
            missing: agents.len(),
            agents,
            gone: stored.gone,
            frameworks,
            books: Books::new(stored.weights),
            credentials: stored.credentials,
            embedded: None,
            shared: false,
            connections: BTreeMap::new(),
            offers: BTreeMap::new(),
            offers_made: 0,
            offer_timeout: None,
            offer_ends: BTreeSet::new(),
            changed: BTreeSet::new(),
            watches: BTreeSet::new(),
            expiries: BTreeSet::new(),
            failovers,
            losses,
            deadlines,
            lost: Lost::default(),
            questions: Questions::default(),
            steps: 0,
        };
        let mut step = Step { writes: vec![record::put_term(term)], ..Step::default() };
        master.tell_credentials(&mut step);
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
            Event::Disconnected { connection } => self.disconnected(now, connection, &mut step),
            Event::Call(call) => self.embedded_call(now, call, &mut step),
            Event::Subscribe { by, stream } => self.foreign_subscribe(now, by, stream, &mut step),
            Event::Foreign { by, named } => self.foreign_call(now, by, named, &mut step),
            Event::Left { stream } => self.left(now, stream, &mut step),
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
        let watch = self.watches.first().map(|(at, _)| *at);
        let expiry = self.expiries.first().map(|(at, ..)| *at);
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let failover = self.failovers.first().map(|(at, _)| *at);
        let loss = self.losses.first().map(|(at, _)| *at);
        let offer = self.offer_ends.first().map(|(at, _)| *at);
        let question = self.questions.due();
        [watch, expiry, deadline, failover, loss, offer, question].into_iter().flatten().min()
    }

    /// How long an offer to a framework over HTTP stands when it is not used; without it, for ever.
    /// Counts for offers made from now on.
    pub fn offer_timeout(&mut self, timeout: Option<Duration>) {
        self.offer_timeout = timeout;
    }

    /// The term of this master.
    pub fn term(&self) -> u64 {
        self.term
    }
}
