//! The driver: the only owner of the cores, and of the order in which things happen.
//!
//! What is ready is taken in turn by turn; the writes of many turns are one commit; and only when
//! that is durable do the effects leave. It has a thread of its own, because a commit blocks.

mod pending;
mod wall;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use muster_api::{Now, clock};
use muster_engine::{
    event::{CommandReply, Event as EngineEvent, RequestId},
    query::Answer,
};
use muster_master::{core::Event as MasterEvent, server::Connections};
use muster_turn::{Core, Effect, Event, Turn};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use self::wall::Jump;
use self::{pending::Pending, wall::WallClock};
use crate::{
    handle::{Request, RunsOver, Waiting},
    metrics::Metrics,
    notices::Deliveries,
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
    pub(crate) agents: mpsc::Receiver<MasterEvent>,
    pub(crate) connections: Connections,
    pub(crate) runs_over: RunsOver,
    pub(crate) deliveries: Deliveries,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: EventLog,
    /// What was served last, so that each kind of event has its turn.
    pub(crate) served: Served,
}

/// The kinds of events, in the order in which they have their turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Served {
    #[default]
    Time,
    Agent,
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

    /// What is to be taken in without waiting: of the three kinds in turn, so that none starves.
    fn ready(&mut self, asked: &mut Asked) -> Option<Task> {
        for _ in 0..3 {
            self.served = match self.served {
                Served::Request => Served::Time,
                Served::Time => Served::Agent,
                Served::Agent => Served::Request,
            };
            let due = || self.due(clock::now()) == Some(Duration::ZERO);
            let task = match self.served {
                Served::Time => due().then_some(Task::Event(Event::Tick)),
                Served::Agent => {
                    self.agents.try_recv().ok().map(|event| Task::Event(Event::Master(event)))
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
            Some(event) = self.agents.recv() => Some(Task::Event(Event::Master(event))),
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
            Effect::ToAgent { connection, body } => self.connections.send(connection, body),
            Effect::CloseAgent(connection) => self.connections.close(connection),
            Effect::ToFramework { framework, .. } => {
                tracing::error!(
                    framework = framework.value,
                    "no framework but our own can subscribe"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_api::{limits, spec::AppSpec};
    use muster_engine::{
        event::{Accepted, Command, Expect},
        query::Query,
    };

    use super::*;
    use crate::{
        handle::{DriverHandle, Unavailable, channel},
        notices,
        store::{self, Failure, MemoryDisk, MemoryStore},
        trace::Actor,
    };

    /// A driver on a disk, and how it ends.
    struct Running {
        handle: DriverHandle,
        stop: watch::Sender<bool>,
        _agents: mpsc::Sender<MasterEvent>,
        end: tokio::task::JoinHandle<Result<(), StoreError>>,
    }

    fn start(disk: &MemoryDisk, seed: u64) -> Running {
        let store = MemoryStore::open(disk);
        let records = store::records(&store).expect("a store in memory loads");
        let log = EventLog::open(disk).expect("a log in memory opens");
        let (core, first) = Core::restore(seed, &records, clock::now()).expect("it was stored so");
        let (handle, requests, runs_over) = channel();
        let (agents_sender, agents) = mpsc::channel(8);
        let (stop, stopping) = watch::channel(false);
        let driver = Driver {
            core,
            store: Box::new(store),
            requests,
            agents,
            connections: Connections::new(),
            runs_over,
            deliveries: notices::channel().0,
            stop: stopping,
            metrics: Arc::new(Metrics::new(clock::wall())),
            log,
            served: Served::default(),
        };
        let end = tokio::spawn(driver.run(first));
        Running { handle, stop, _agents: agents_sender, end }
    }

    fn by() -> Actor {
        Actor::admin(None)
    }

    fn put(name: &str) -> Command {
        let document = serde_json::json!({"name": name, "resources": {"cpus": 1, "mem": 32}});
        let spec = AppSpec::parse(document).expect("it is a good document").spec;
        Command::PutApp { spec, expect: Expect::Nothing }
    }

    #[tokio::test]
    async fn what_was_answered_is_stored_and_what_failed_is_not_answered() {
        for failure in [Failure::Lost, Failure::Stored] {
            let disk = MemoryDisk::default();
            // The first commit is that of the start itself; its end is awaited by a question.
            disk.fail_commit(3, failure);
            let running = start(&disk, 1);
            let asked = running.handle.query(Query::Queue { skip: 0, limit: 1 }).await;
            assert!(asked.is_ok());
            let first = running.handle.command(by(), put("first")).await.expect("it serves");
            assert!(matches!(first, Ok(Accepted::App(..))));
            let second = running.handle.command(by(), put("second")).await;
            assert_eq!(second.err(), Some(Unavailable::Stopped), "no effect without a commit");
            assert!(running.end.await.expect("it does not panic").is_err());

            let again = start(&disk, 2);
            let first = again.handle.command(by(), put("first")).await.expect("it serves again");
            assert!(first.is_err(), "what was answered is there");
            let second = again.handle.command(by(), put("second")).await.expect("it serves again");
            let stored = matches!(failure, Failure::Stored);
            assert_eq!(second.is_err(), stored, "nobody was told, so both are right");
            again.stop.send_replace(true);
            assert!(again.end.await.expect("it does not panic").is_ok());
        }
    }

    #[tokio::test]
    async fn many_requests_share_commits_and_each_has_its_answer() {
        let disk = MemoryDisk::default();
        let running = start(&disk, 1);
        let mut answers = tokio::task::JoinSet::new();
        for number in 0..300 {
            let handle = running.handle.clone();
            answers.spawn(async move { handle.command(by(), put(&format!("app-{number}"))).await });
        }
        while let Some(answer) = answers.join_next().await {
            assert!(answer.expect("it does not panic").expect("it serves").is_ok());
        }
        let queue = running.handle.query(Query::Queue { skip: 0, limit: 1 }).await;
        assert!(matches!(queue, Ok(Answer::Queue(rows)) if rows.is_empty()));
        let commits = MemoryStore::open(&disk).last().expect("it reads").map(|last| last.sequence);
        assert!(commits.is_some_and(|commits| commits < 100), "{commits:?} commits");
    }

    #[tokio::test]
    async fn a_lonely_change_waits_for_one_commit_and_a_question_for_none() {
        let disk = MemoryDisk::default();
        let running = start(&disk, 1);
        let commits =
            || MemoryStore::open(&disk).last().expect("it reads").map_or(0, |s| s.sequence);
        let queue = || running.handle.query(Query::Queue { skip: 0, limit: 1 });
        assert!(queue().await.is_ok());
        let before = commits();
        for number in 1..=20 {
            let answer = running.handle.command(by(), put(&format!("app-{number}"))).await;
            assert!(answer.expect("it serves").is_ok());
            assert!(queue().await.is_ok());
            assert_eq!(commits(), before + number);
        }
    }

    #[tokio::test]
    async fn only_history_is_forgotten_and_whoever_asked_is_told_when_it_is() {
        let disk = MemoryDisk::default();
        let mut store = MemoryStore::open(&disk);
        let key = |n: u32| format!("h/x/{n:03}").into_bytes();
        let writes: Vec<_> = (0..limits::FORGET_KEYS as u32)
            .map(|n| muster_api::step::Write::Put { key: key(n), value: vec![1] })
            .collect();
        store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).expect("it commits");
        let running = start(&disk, 1);
        let history = store.history();
        for batch in [vec![key(0)], (1..limits::FORGET_KEYS as u32).map(key).collect()] {
            running.handle.forget(batch.clone()).await.expect("it serves");
            for key in batch {
                assert_eq!(history.get(&key).expect("it reads"), None);
            }
        }
        running.stop.send_replace(true);
        assert!(running.end.await.expect("it does not panic").is_ok());
        assert!(running.handle.forget(vec![key(0)]).await.is_err(), "nobody is there");
    }
}
