//! The driver: the only owner of the cores, and of the order in which things happen.
//!
//! What is ready is taken in turn by turn; the writes of many turns are one commit; and only when
//! that is durable do the effects leave. It has a thread of its own, because a commit blocks.

use std::{collections::BTreeMap, time::Duration};

use muster_api::{Now, clock, limits, step::Write};
use muster_engine::{
    effect::Note,
    event::{CommandReply, Event as EngineEvent, RequestId},
    query::Answer,
};
use muster_master::{core::Event as MasterEvent, server::Connections};
use muster_turn::{Core, Effect, Event, Turn};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    handle::{Request, RunsOver},
    store::{Commit, State, StoreError},
};

/// How long events are taken in before what they led to is committed and leaves: answers to
/// heartbeats are among that, and leases depend on them.
const BATCH_TIME: Duration = Duration::from_millis(20);
/// Effects that wait for one commit.
const BATCH_EFFECTS: usize = 1_000;
/// The longest sleep when nothing is due: a wall clock that is set is noticed within it.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Everything that the driver works with.
pub(crate) struct Driver {
    pub(crate) core: Core,
    pub(crate) store: Box<dyn State>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) agents: mpsc::Receiver<MasterEvent>,
    pub(crate) connections: Connections,
    pub(crate) runs_over: RunsOver,
    pub(crate) stop: watch::Receiver<bool>,
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

/// What has been decided and is not durable yet.
#[derive(Default)]
struct Pending {
    /// By key: of several writes of one record only the last is worth a place in the commit.
    writes: BTreeMap<Vec<u8>, Write>,
    bytes: usize,
    effects: Vec<Effect>,
}

impl Pending {
    fn add(&mut self, turn: Turn) {
        self.add_writes(turn.writes);
        self.effects.extend(turn.effects);
        for note in turn.notes {
            log_note(&note);
        }
        for note in turn.master_notes {
            tracing::debug!(?note, "master");
        }
        for what in turn.passed_over {
            tracing::warn!(what, "a message of the master was passed over");
        }
    }

    fn add_writes(&mut self, writes: Vec<Write>) {
        self.bytes += writes.iter().map(size).sum::<usize>();
        self.writes.extend(writes.into_iter().map(|write| (write.key().to_vec(), write)));
    }

    /// Whether it is time to commit before anything else is taken in.
    fn is_full(&self, kept_back: usize) -> bool {
        self.effects.len() >= BATCH_EFFECTS
            || self.writes.len() + kept_back >= limits::COMMIT_RECORDS / 2
            || self.bytes >= limits::COMMIT_BYTES / 2
    }
}

fn size(write: &Write) -> usize {
    match write {
        Write::Put { key, value } => key.len() + value.len(),
        Write::Delete { key } => key.len(),
    }
}

/// The ways back to those who asked.
#[derive(Default)]
struct Asked {
    newest: u64,
    commands: BTreeMap<RequestId, oneshot::Sender<CommandReply>>,
    queries: BTreeMap<RequestId, oneshot::Sender<Answer>>,
}

impl Asked {
    fn event(&mut self, request: Request) -> Event {
        self.newest += 1;
        let id = RequestId(self.newest);
        Event::Engine(match request {
            Request::Command { command, reply } => {
                self.commands.insert(id, reply);
                EngineEvent::Command { request: id, command: *command }
            }
            Request::Query { query, reply } => {
                self.queries.insert(id, reply);
                EngineEvent::Query { request: id, query }
            }
        })
    }
}

impl Driver {
    /// Serves until it is told to stop, or a commit fails: then memory is ahead of the disk, and
    /// only a new start from the disk is safe.
    pub(crate) async fn run(mut self, first: Turn) -> Result<(), StoreError> {
        let mut asked = Asked::default();
        let mut pending = Pending::default();
        let mut sequence = 0;
        pending.add(first);
        loop {
            let begun = clock::mono();
            while !pending.is_full(self.core.unwritten())
                && clock::mono().since(begun) < BATCH_TIME
                && let Some(event) = self.ready(&mut asked)
            {
                pending.add(self.core.advance(clock::now(), event));
            }
            pending.add_writes(self.core.take_writes(clock::now()));
            if !pending.writes.is_empty() {
                sequence += 1;
                let writes: Vec<_> = std::mem::take(&mut pending.writes).into_values().collect();
                let commit = Commit { term: self.core.term(), sequence, writes: &writes };
                self.store.commit(&commit)?;
            }
            for effect in std::mem::take(&mut pending.effects) {
                self.release(effect, &mut asked);
            }
            pending.bytes = 0;
            if *self.stop.borrow() {
                return Ok(());
            }
            let event = self.next(&mut asked).await;
            if let Some(event) = event {
                pending.add(self.core.advance(clock::now(), event));
            }
        }
    }

    /// What is to be taken in without waiting: of the three kinds in turn, so that none starves.
    fn ready(&mut self, asked: &mut Asked) -> Option<Event> {
        for _ in 0..3 {
            self.served = match self.served {
                Served::Request => Served::Time,
                Served::Time => Served::Agent,
                Served::Agent => Served::Request,
            };
            let due = || self.due(clock::now()) == Some(Duration::ZERO);
            let event = match self.served {
                Served::Time => due().then_some(Event::Tick),
                Served::Agent => self.agents.try_recv().ok().map(Event::Master),
                Served::Request => self.requests.try_recv().ok().map(|r| asked.event(r)),
            };
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// What comes next, or nothing when it is time to stop.
    async fn next(&mut self, asked: &mut Asked) -> Option<Event> {
        let sleep = self.due(clock::now()).unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
        tokio::select! {
            biased;
            _ = self.stop.changed() => None,
            Some(event) = self.agents.recv() => Some(Event::Master(event)),
            Some(request) = self.requests.recv() => Some(asked.event(request)),
            () = tokio::time::sleep(sleep) => Some(Event::Tick),
        }
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
            Effect::ToAgent { connection, body } => self.connections.send(connection, body),
            Effect::CloseAgent(connection) => self.connections.close(connection),
        }
    }
}

fn log_note(note: &Note) {
    match note {
        Note::Zombie { task } => tracing::warn!(%task, "a task that should be dead is killed"),
        Note::Fenced { executor, agent } => {
            tracing::warn!(%executor, %agent, "a lease ended on a silent host");
        }
        Note::RunEnded { run, state } => tracing::info!(%run, ?state, "run ended"),
        Note::RunCreated { run } => tracing::info!(%run, "run created"),
        note => tracing::debug!(?note, "engine"),
    }
}

#[cfg(test)]
mod tests {
    use muster_api::spec::AppSpec;
    use muster_engine::{
        event::{Accepted, Command, Expect},
        query::Query,
    };

    use super::*;
    use crate::{
        handle::{DriverHandle, Unavailable, channel},
        store::{Failure, MemoryDisk, MemoryStore},
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
        let records = store.load().expect("a store in memory loads");
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
            stop: stopping,
            served: Served::default(),
        };
        let end = tokio::spawn(driver.run(first));
        Running { handle, stop, _agents: agents_sender, end }
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
            let first = running.handle.command(put("first")).await.expect("it serves");
            assert!(matches!(first, Ok(Accepted::App(..))));
            let second = running.handle.command(put("second")).await;
            assert_eq!(second.err(), Some(Unavailable::Stopped), "no effect without a commit");
            assert!(running.end.await.expect("it does not panic").is_err());

            let again = start(&disk, 2);
            let first = again.handle.command(put("first")).await.expect("it serves again");
            assert!(first.is_err(), "what was answered is there");
            let second = again.handle.command(put("second")).await.expect("it serves again");
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
            answers.spawn(async move { handle.command(put(&format!("app-{number}"))).await });
        }
        while let Some(answer) = answers.join_next().await {
            assert!(answer.expect("it does not panic").expect("it serves").is_ok());
        }
        let queue = running.handle.query(Query::Queue { skip: 0, limit: 1 }).await;
        assert!(matches!(queue, Ok(Answer::Queue(rows)) if rows.is_empty()));
        let commits = MemoryStore::open(&disk).last().expect("it reads").map(|last| last.sequence);
        assert!(commits.is_some_and(|commits| commits < 100), "{commits:?} commits");
    }
}
