//! The driver: the only owner of the cores, and of the order in which things happen.
//!
//! What is ready is taken in turn by turn; the writes of many turns are one commit; and only when
//! that is durable do the effects leave. It has a thread of its own, because a commit blocks.

mod pending;
#[cfg(test)]
mod tests;
mod wall;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use muster_api::{Now, clock};
use muster_engine::{
    event::{CommandReply, Event as EngineEvent, RequestId},
    query::Answer,
};
use muster_master::core::Event as MasterEvent;
use muster_session::link::Event as LinkEvent;
use muster_turn::{Core, Effect, Event, Turn};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use self::wall::Jump;
use self::{pending::Pending, wall::WallClock};
use crate::{
    handle::{Request, RunsOver, Waiting},
    mesos::LinkHandle,
    metrics::Metrics,
    notices::Deliveries,
    port::Inland,
    store::{Commit, State, StoreError},
    trace::{Change, EventLog},
};

/// How long events are taken in before what they led to is committed and leaves: answers to
/// heartbeats are among that, and leases depend on them.
const BATCH_TIME: Duration = Duration::from_millis(20);
/// The longest sleep when nothing is due: a wall clock that is set is noticed within it.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Everything that the driver works with.
pub(crate) struct Driver {
    pub(crate) core: Core,
    pub(crate) store: Box<dyn State>,
    pub(crate) requests: mpsc::Receiver<Waiting>,
    /// The ways to and from the master's port.
    pub(crate) port: Inland,
    /// The link to a master that is not in this process, if there is one.
    pub(crate) link: Option<Link>,
    pub(crate) runs_over: RunsOver,
    pub(crate) deliveries: Deliveries,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: EventLog,
    /// What was served last, so that each kind of event has its turn.
    pub(crate) served: Served,
}

/// The driver's ends of the link to a master that is not in this process.
pub(crate) struct Link {
    pub(crate) handle: LinkHandle,
    pub(crate) events: mpsc::Receiver<LinkEvent>,
}

/// The kinds of events, in the order in which they have their turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Served {
    #[default]
    Time,
    Agent,
    Framework,
    Link,
    Request,
}

/// The ways back to those who asked.
#[derive(Default)]
struct Asked {
    newest: u64,
    commands: BTreeMap<RequestId, oneshot::Sender<CommandReply>>,
    queries: BTreeMap<RequestId, oneshot::Sender<Answer>>,
    /// What the commands ask for that are not answered yet, for the audit trail.
    changes: BTreeMap<RequestId, Change>,
}

/// What is to be done next.
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and soon gone")]
enum Task {
    /// The cores are to take something in.
    Event(Event),
    /// Records of history are to be forgotten, which is nothing to the cores.
    Forget { keys: Vec<Vec<u8>>, done: oneshot::Sender<()> },
}

impl Asked {
    fn task(&mut self, request: Request) -> Task {
        self.newest += 1;
        let id = RequestId(self.newest);
        Task::Event(Event::Engine(match request {
            Request::Command { by, command, reply } => {
                self.commands.insert(id, reply);
                self.changes.insert(id, Change::asked(by, &command));
                EngineEvent::Command { request: id, command: *command }
            }
            Request::Query { query, reply } => {
                self.queries.insert(id, reply);
                EngineEvent::Query { request: id, query }
            }
            Request::NoticeTried { notice, outcome } => {
                EngineEvent::NoticeTried { notice, outcome }
            }
            Request::Forget { keys, done } => return Task::Forget { keys, done },
        }))
    }
}

impl Driver {
    /// Serves until it is told to stop, or a commit fails: then memory is ahead of the disk, and
    /// only a new start from the disk is safe.
    pub(crate) async fn run(mut self, first: Turn) -> Result<(), StoreError> {
        let mut asked = Asked::default();
        let mut pending = Pending::default();
        let mut sequence = 0;
        let mut wall_clock = WallClock::default();
        pending.trace(wall::started(clock::wall(), self.core.held()));
        pending.add(clock::now(), first, &mut asked.changes, &self.metrics);
        loop {
            let begun = clock::mono();
            if let Some(jump) = wall_clock.look(begun, clock::now()) {
                jump.log();
                pending.trace(jump.event(clock::wall()));
                self.metrics.clock_jumped(jump);
            }
            while !pending.is_full(self.core.unwritten())
                && clock::mono().since(begun) < BATCH_TIME
                && let Some(task) = self.ready(&mut asked)
            {
                self.take_in(task, &mut asked, &mut pending);
            }
            pending.add_writes(self.core.take_writes(clock::now()));
            self.commit(&mut sequence, &mut pending)?;
            for effect in pending.take_effects() {
                self.release(effect, &mut asked);
            }
            if *self.stop.borrow() {
                return Ok(());
            }
            if let Some(task) = self.next(&mut asked).await {
                self.take_in(task, &mut asked, &mut pending);
            }
        }
    }

    fn take_in(&mut self, task: Task, asked: &mut Asked, pending: &mut Pending) {
        match task {
            Task::Event(event) => {
                let now = clock::now();
                let turn = self.core.advance(now, event);
                pending.add(now, turn, &mut asked.changes, &self.metrics);
            }
            Task::Forget { keys, done } => pending.forget(keys, done),
        }
    }

    /// Makes what was decided durable, if anything was.
    fn commit(&mut self, sequence: &mut u64, pending: &mut Pending) -> Result<(), StoreError> {
        pending.log(clock::wall(), &mut self.log, &self.metrics);
        let (writes, events) = pending.take_writes();
        if writes.is_empty() {
            return Ok(());
        }
        *sequence += 1;
        let begun = clock::mono_nanos();
        let term = self.core.term();
        self.store.commit(&Commit { term, sequence: *sequence, writes: &writes })?;
        self.metrics.committed(&writes, events, clock::mono_nanos() - begun);
        self.log.committed();
        Ok(())
    }

    /// What is to be taken in without waiting: of the five kinds in turn, so that none starves.
    fn ready(&mut self, asked: &mut Asked) -> Option<Task> {
        for _ in 0..5 {
            self.served = match self.served {
                Served::Request => Served::Time,
                Served::Time => Served::Agent,
                Served::Agent => Served::Framework,
                Served::Framework => Served::Link,
                Served::Link => Served::Request,
            };
            let due = || self.due(clock::now()) == Some(Duration::ZERO);
            let task = match self.served {
                Served::Time => due().then_some(Task::Event(Event::Tick)),
                Served::Agent => self.port.agents.try_recv().ok().map(of_master),
                Served::Framework => self.port.frameworks.try_recv().ok().map(of_master),
                Served::Link => {
                    let link = self.link.as_mut();
                    let event = link.and_then(|link| link.events.try_recv().ok());
                    event.map(|event| Task::Event(Event::Link(event)))
                }
                Served::Request => {
                    self.requests.try_recv().ok().map(|waiting| self.asked(waiting, asked))
                }
            };
            if task.is_some() {
                return task;
            }
        }
        None
    }

    /// What comes next, or nothing when it is time to stop.
    async fn next(&mut self, asked: &mut Asked) -> Option<Task> {
        let sleep = self.due(clock::now()).unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
        tokio::select! {
            biased;
            _ = self.stop.changed() => None,
            Some(event) = self.port.agents.recv() => Some(of_master(event)),
            Some(event) = self.port.frameworks.recv() => Some(of_master(event)),
            Some(event) = heard(&mut self.link) => Some(Task::Event(Event::Link(event))),
            Some(waiting) = self.requests.recv() => Some(self.asked(waiting, asked)),
            () = tokio::time::sleep(sleep) => Some(Task::Event(Event::Tick)),
        }
    }

    fn asked(&self, waiting: Waiting, asked: &mut Asked) -> Task {
        self.metrics.waited(clock::mono_nanos() - waiting.since);
        asked.task(waiting.request)
    }

    /// How long it is until something is due.
    fn due(&self, now: Now) -> Option<Duration> {
        let wakeup = self.core.next_wakeup();
        let wall = wakeup.wall.map(|at| at.since(now.wall));
        let mono = wakeup.mono.map(|at| at.since(now.mono));
        [wall, mono].into_iter().flatten().min()
    }

    fn release(&self, effect: Effect, asked: &mut Asked) {
        match effect {
            // Those who asked may have gone; their change is made all the same.
            Effect::Reply { request, reply } => {
                if let Some(way_back) = asked.commands.remove(&request) {
                    let _ = way_back.send(reply);
                }
            }
            Effect::Answer { request, answer } => {
                if let Some(way_back) = asked.queries.remove(&request) {
                    let _ = way_back.send(answer);
                }
            }
            Effect::RunOver(run) => self.runs_over.announce(run),
            Effect::Deliver(notice) => self.deliveries.send(notice),
            Effect::ToAgent { connection, body } => self.port.connections.send(connection, body),
            Effect::CloseAgent(connection) => self.port.connections.close(connection),
            Effect::ToStream { stream, event } => self.port.streams.send(stream, event),
            Effect::EndStream(stream) => self.port.streams.end(stream),
            Effect::Credentials(principals) => self.port.credentials.set(principals),
            Effect::AnswerCall { request, answer } => self.port.streams.answer(request, answer),
            Effect::Link(effect) => {
                if let Some(link) = &self.link {
                    link.handle.send(effect);
                }
            }
        }
    }
}

fn of_master(event: MasterEvent) -> Task {
    Task::Event(Event::Master(event))
}

/// What comes by the link next; nothing where there is none.
async fn heard(link: &mut Option<Link>) -> Option<LinkEvent> {
    link.as_mut()?.events.recv().await
}
