//! The agent core: its state, how it is restored, and which room handles which event.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use muster_api::{AgentId, IdStream, Mono, Now, Resources, Timestamp};

use super::{
    Container, Entry, Event, ExecutorKey, Session, Step, TaskKey, executors::Executor, link::Link,
    statuses::Task,
};

/// Executor ids of the past that are kept, to know one that is used again.
pub(super) const ENDED_MAX: usize = 10_000;

/// What an agent is, fixed for the life of its process.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The host's name.
    pub hostname: String,
    /// What may be used on this host.
    pub resources: Resources,
    /// Facts about this host.
    pub attributes: BTreeMap<String, String>,
    /// The address of the executor API.
    pub ip: IpAddr,
    /// Its port.
    pub port: u16,
    /// Changes with every boot of the host.
    pub boot_id: String,
    /// How long an executor may take from its start to its subscription.
    pub executor_registration: Duration,
    /// How long an executor of a foreign framework may take to come back after the agent was
    /// restarted.
    pub executor_reregistration: Duration,
    /// Whether executors of foreign frameworks must prove who they are too.
    pub authenticate_executors: bool,
}

/// What an agent keeps about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The id that a master gave it.
    pub agent: Option<AgentId>,
    /// The highest term of a master that has proven itself.
    pub term: u64,
}

/// Why an agent cannot go on where it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The host's resources no longer hold what runs there.
    #[error("resources of `{given}` are less than the `{used}` that run here now")]
    Undercut {
        /// What the agent was started with.
        given: String,
        /// What its executors and tasks use.
        used: String,
    },
    /// The sum of what runs is not a number.
    #[error("the resources that run here add up to more than can be counted")]
    Overflow,
}

/// The pure core of an agent.
#[derive(Debug)]
pub struct Agent {
    pub(super) config: Config,
    pub(super) identity: Identity,
    pub(super) link: Link,
    pub(super) executors: BTreeMap<Container, Executor>,
    /// In which container the executor lives that its framework knows by this name. Those of commands
    /// are known to nobody: each is another one, though the next task may have the id of the last.
    pub(super) lives: BTreeMap<ExecutorKey, Container>,
    pub(super) tasks: BTreeMap<TaskKey, Task>,
    pub(super) sessions: BTreeMap<Session, Container>,
    /// Our executors of the past, whose ids are never used again, and when they ended.
    pub(super) ended: BTreeMap<Container, Timestamp>,
    /// When which head is sent again.
    pub(super) retries: BTreeSet<(Mono, TaskKey)>,
    /// By when which killed task must have ended; some have.
    pub(super) overdue: BTreeSet<(Mono, TaskKey)>,
    pub(super) ids: IdStream,
    /// Tasks launched so far: their order.
    pub(super) launches: u64,
    /// When it was last noted that a message of an executor was too long.
    pub(super) too_long_at: Option<Mono>,
}

impl Agent {
    /// The agent that the journal describes. `seed` is fresh entropy for the uuids of statuses.
    pub fn restore(
        config: Config,
        identity: Identity,
        seed: u64,
        entries: impl IntoIterator<Item = Entry>,
        now: Now,
    ) -> Result<(Self, Step), RestoreError> {
        let mut agent = Self {
            config,
            identity,
            link: Link::default(),
            executors: BTreeMap::new(),
            lives: BTreeMap::new(),
            tasks: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ended: BTreeMap::new(),
            retries: BTreeSet::new(),
            overdue: BTreeSet::new(),
            ids: IdStream::new(seed, 0),
            launches: 0,
            too_long_at: None,
        };
        for kind in entries.into_iter().filter_map(|entry| entry.kind) {
            agent.replay(kind);
        }
        agent.check_resources()?;
        let step = agent.resume(now);
        Ok((agent, step))
    }

    /// Handles one event.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut step = Step::default();
        let out = &mut step;
        match event {
            Event::Challenged { connection, term, version } => {
                self.challenged(now, connection, term, version, out);
            }
            Event::Welcomed { connection, term, agent } => {
                self.welcomed(now, connection, term, agent, out);
            }
            Event::Refused { connection, message, retry } => {
                self.refused(connection, message, retry, out);
            }
            Event::Disowned { connection, term, message } => {
                self.disowned(now, connection, term, message, out);
            }
            Event::FromMaster { connection, term, body } => {
                self.master_says(now, connection, term, body, out);
            }
            Event::Disconnected { connection } => self.disconnected(connection),
            Event::Fetched { container, outcome } => self.fetched(now, &container, outcome, out),
            Event::Started { container, pid } => self.started(now, &container, pid, out),
            Event::Exited { container, exit } => self.exited(now, &container, exit, out),
            Event::Subscribed { session, container, subscribe } => {
                self.subscribed(now, session, &container, subscribe, out);
            }
            Event::Called { request, call } => self.called(now, request, call, out),
            Event::Updated { session, status } => self.updated(now, session, *status, out),
            Event::Said { session, message } => self.said(now.mono, session, message, out),
            Event::Left { session } => self.left(now, session, out),
            Event::Tick => {
                self.tick_link(now, out);
                self.tick_statuses(now, out);
                self.tick_kills(now, out);
                self.tick_executors(now, out);
            }
        }
        step
    }

    /// When a [`Event::Tick`] is due.
    pub fn next_wakeup(&self) -> Option<Mono> {
        let retry = self.retries.first().map(|(at, _)| *at);
        let overdue = self.overdue.first().map(|(at, _)| *at);
        [self.link.wakeup(), retry, overdue, self.executors_wakeup()].into_iter().flatten().min()
    }

    /// The containers of the executors that are not known to be dead.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.executors.keys()
    }
}
