//! The agent's side of its connection to the master: hello, heartbeats, what leases may count on.

use std::{collections::BTreeMap, mem, time::Duration};

use muster_api::{AgentId, Mono, Now, limits};
use muster_proto::agent::{AgentBody, ExecutorExited, Heartbeat, Hello, MasterBody, Unsupported};

use super::{Agent, Connection, Effect, Identity, Note, Step, Write};
use crate::wire;

/// How old the heartbeat may be that a launch without lease followed (SEMANTICS 5).
const LAUNCH_AGE_MAX: Duration = Duration::from_secs(30);

/// What the agent knows about its connection to the master.
#[derive(Debug, Default)]
pub(super) enum Link {
    /// There is none, or it is not registered yet.
    #[default]
    Down,
    /// A hello has been sent; the master's own proof has not come.
    Greeting {
        /// On this connection.
        connection: Connection,
        /// Executors that have ended since: for the master that takes the hello they live.
        ended: Vec<ExecutorExited>,
    },
    /// Registered.
    Up(Up),
}

/// A registered connection.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) connection: Connection,
    pub(super) term: u64,
    /// When each heartbeat was sent: those of the last half minute, and all unanswered ones.
    sent: BTreeMap<u64, Mono>,
    number: u64,
    /// The newest answered heartbeat, and when it was sent.
    answered: Option<(u64, Mono)>,
    next_heartbeat: Mono,
}

impl Up {
    fn new(connection: Connection, term: u64, now: Mono) -> Self {
        let sent = BTreeMap::new();
        Self { connection, term, sent, number: 0, answered: None, next_heartbeat: now }
    }

    /// When the newest heartbeat was sent that the master has answered.
    pub(super) fn confirmed(&self) -> Option<Mono> {
        self.answered.map(|(_, sent)| sent)
    }

    /// Whether `heartbeat` was sent on this connection, lately.
    pub(super) fn is_recent(&self, heartbeat: u64, now: Mono) -> bool {
        self.sent.get(&heartbeat).is_some_and(|sent| now.since(*sent) <= LAUNCH_AGE_MAX)
    }

    fn beat(&mut self, now: Mono) -> AgentBody {
        self.number += 1;
        self.sent.insert(self.number, now);
        self.next_heartbeat = now + limits::HEARTBEAT;
        AgentBody::Heartbeat(Heartbeat { number: self.number })
    }

    /// Notes an answer; gives the instant from which leases count anew, if it is a later one.
    fn answer(&mut self, number: u64, now: Mono) -> Option<Mono> {
        let sent = *self.sent.get(&number)?;
        if self.answered.is_some_and(|(newest, _)| newest >= number) {
            return None;
        }
        self.answered = Some((number, sent));
        self.sent.retain(|old, at| *old > number || now.since(*at) <= LAUNCH_AGE_MAX);
        Some(sent)
    }

    fn silent_at(&self) -> Option<Mono> {
        let first_open = self.answered.map_or(0, |(newest, _)| newest) + 1;
        let (_, sent) = self.sent.range(first_open..).next()?;
        Some(*sent + limits::SILENT_AFTER)
    }
}

impl Link {
    /// The registered connection, if there is one.
    pub(super) fn up(&self) -> Option<&Up> {
        match self {
            Self::Up(up) => Some(up),
            Self::Down | Self::Greeting { .. } => None,
        }
    }

    pub(super) fn connection(&self) -> Option<Connection> {
        match self {
            Self::Down => None,
            Self::Greeting { connection, .. } => Some(*connection),
            Self::Up(up) => Some(up.connection),
        }
    }

    pub(super) fn wakeup(&self) -> Option<Mono> {
        let up = self.up()?;
        Some(up.silent_at().map_or(up.next_heartbeat, |silent| silent.min(up.next_heartbeat)))
    }
}

impl Agent {
    /// Says something to the master, if it is there. What must arrive is kept elsewhere.
    pub(super) fn tell_master(&self, body: AgentBody, step: &mut Step) {
        if let Some(up) = self.link.up() {
            let (connection, term) = (up.connection, up.term);
            step.effects.push(Effect::ToMaster { connection, term, body });
        }
    }

    /// Says that an executor has ended. It is said once: the next hello says it by not naming the
    /// executor. An end between a hello and its welcome waits for the welcome.
    pub(super) fn tell_ended(&mut self, exited: ExecutorExited, step: &mut Step) {
        if let Link::Greeting { ended, .. } = &mut self.link {
            ended.push(exited);
        } else {
            self.tell_master(AgentBody::ExecutorExited(exited), step);
        }
    }

    pub(super) fn challenged(
        &mut self,
        now: Now,
        connection: Connection,
        term: u64,
        version: u32,
        step: &mut Step,
    ) {
        if self.is_leaving() || self.is_old(term, step) {
            step.effects.push(Effect::Disconnect { connection });
            return;
        }
        self.link = Link::Greeting { connection, ended: Vec::new() };
        let hello = Box::new(self.hello(now, version));
        step.effects.push(Effect::Hello { connection, hello });
    }

    pub(super) fn welcomed(
        &mut self,
        now: Now,
        connection: Connection,
        term: u64,
        agent: AgentId,
        step: &mut Step,
    ) {
        if self.link.connection() != Some(connection) {
            return;
        }
        if self.is_old(term, step) {
            self.link = Link::Down;
            step.effects.push(Effect::Disconnect { connection });
            return;
        }
        let identity = Identity { agent: Some(agent.clone()), term };
        if self.identity != identity {
            step.writes.push(Write::Identity(identity.clone()));
            self.identity = identity;
        }
        let mut up = Up::new(connection, term, now.mono);
        let heartbeat = up.beat(now.mono);
        let greeting = mem::replace(&mut self.link, Link::Up(up));
        step.effects.push(Effect::Registered { agent });
        self.tell_master(heartbeat, step);
        self.resend_all(now, step);
        if let Link::Greeting { ended, .. } = greeting {
            for exited in ended {
                self.tell_ended(exited, step);
            }
        }
    }

    pub(super) fn refused(
        &mut self,
        connection: Connection,
        message: String,
        retry: bool,
        step: &mut Step,
    ) {
        if self.link.connection() == Some(connection) {
            self.link = Link::Down;
        }
        step.effects.push(if retry {
            Effect::Disconnect { connection }
        } else {
            Effect::GiveUp { message }
        });
    }

    pub(super) fn disconnected(&mut self, connection: Connection) {
        if self.link.connection() == Some(connection) {
            self.link = Link::Down;
            self.retries.clear();
        }
    }

    pub(super) fn master_says(
        &mut self,
        now: Now,
        connection: Connection,
        term: u64,
        body: Option<MasterBody>,
        step: &mut Step,
    ) {
        if self.link.up().is_none_or(|up| up.connection != connection) {
            return;
        }
        if self.is_old(term, step) {
            self.link = Link::Down;
            step.effects.push(Effect::Disconnect { connection });
            return;
        }
        match body {
            Some(MasterBody::HeartbeatAnswer(answer)) => self.answered(now, answer.number, step),
            Some(MasterBody::Launch(launch)) => self.launch(now, launch, step),
            Some(MasterBody::LaunchGroup(group)) => self.launch_group(now, group, step),
            Some(MasterBody::Kill(kill)) => self.kill(now, kill, step),
            Some(MasterBody::ShutdownExecutor(shutdown)) => self.shutdown(now, shutdown, step),
            Some(MasterBody::Acknowledge(ack)) => self.acknowledge(now, ack, step),
            Some(MasterBody::MessageTaken(taken)) => self.message_taken(taken, step),
            Some(MasterBody::FrameworkMessage(said)) => self.framework_says(now.mono, said, step),
            Some(MasterBody::ReadLog(request)) => {
                step.effects.push(Effect::ReadLog { connection, term, request });
            }
            Some(
                MasterBody::Challenge(_)
                | MasterBody::Welcome(_)
                | MasterBody::Refused(_)
                | MasterBody::Unsupported(_),
            ) => step.ignore("a message out of its turn", ""),
            None => self.tell_master(AgentBody::Unsupported(Unsupported {}), step),
        }
    }

    /// Sends a heartbeat when one is due, and gives up a master that no longer answers.
    pub(super) fn tick_link(&mut self, now: Now, step: &mut Step) {
        let Link::Up(up) = &mut self.link else { return };
        if up.silent_at().is_some_and(|at| at <= now.mono) {
            let connection = up.connection;
            step.notes.push(Note::MasterSilent);
            step.effects.push(Effect::Disconnect { connection });
            self.disconnected(connection);
        } else if up.next_heartbeat <= now.mono {
            let heartbeat = up.beat(now.mono);
            self.tell_master(heartbeat, step);
        }
    }

    fn answered(&mut self, now: Now, number: u64, step: &mut Step) {
        let Link::Up(up) = &mut self.link else { return };
        if let Some(sent) = up.answer(number, now.mono) {
            self.extend_leases(now.mono, sent, step);
        }
    }

    pub(super) fn is_old(&self, term: u64, step: &mut Step) -> bool {
        let highest = self.identity.term;
        if term < highest {
            step.notes.push(Note::OldTerm { term, highest });
        }
        term < highest
    }

    fn hello(&self, now: Now, version: u32) -> Hello {
        Hello {
            info: Some(wire::agent_info(&self.config, self.identity.agent.as_ref())),
            boot_id: self.config.boot_id.clone(),
            executors: self.executors_here(version),
            tasks: self.tasks_here(version),
            said_at: now.mono.as_millis(),
            url: Some(wire::url(&self.config)),
            ..Hello::default()
        }
    }
}
