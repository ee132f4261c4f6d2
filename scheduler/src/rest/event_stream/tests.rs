//! A stream that nothing is wanted of, by a clock that the test moves.

use std::time::Duration;

use muster_api::{
    AgentId, Timestamp, clock,
    events::{EventKind, EventSource, TraceEvent},
};
use muster_proto::agent::ReadLog;

use super::*;
use crate::{
    backup::Tapped,
    channel,
    metrics::Metrics,
    rest::{LogFuture, LogSource},
    secrets::{ADMIN_TOKEN, open_token},
    store::{Commit, MemoryDisk, MemoryStore, State as _},
    trace::EventLog,
};

struct NoLogs;

impl LogSource for NoLogs {
    fn read(&self, _: AgentId, _: ReadLog) -> LogFuture {
        panic!("nobody asks for output")
    }
}

/// A log, and one stream of the changes in it.
struct World {
    store: Tapped,
    log: EventLog,
    commits: u64,
    places: Arc<Semaphore>,
    body: EventBody,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = open_token(folder.path(), ADMIN_TOKEN).unwrap();
        let store = MemoryStore::open(&MemoryDisk::default());
        let store = Tapped::new(Box::new(store), "memory").unwrap();
        let log = EventLog::open(&*store.history()).unwrap();
        let (driver, history, backups) = (channel().0, store.history(), store.backups());
        let metrics = Arc::new(Metrics::new(clock::wall()));
        let logs = Arc::new(NoLogs);
        let rest = Rest::new(driver, history, backups, logs, log.listen(), metrics, token);
        let filter = EventFilter { kind: Some(EventKind::Change), ..EventFilter::default() };
        let Streams { newest, places } = rest.streams().clone();
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let (to, body) = mpsc::channel(1);
        let (upto, told_at) = (EventId::default(), Instant::now());
        let follower = Follower { rest, filter, newest, upto, to, told_at };
        tokio::spawn(follower.run(None, place));
        Self { store, log, commits: 0, places, body: EventBody(body) }
    }

    /// Something that the stream is not about.
    fn happen(&mut self) {
        self.commits += 1;
        let at = Timestamp::from_millis(i64::try_from(self.commits).unwrap());
        let event = TraceEvent::new(at, EventKind::Task, "running", EventSource::Executor);
        let writes = self.log.write(at, vec![event]);
        let commit = Commit { term: 1, sequence: self.commits, writes: &writes };
        self.store.commit(&commit).unwrap();
        self.log.committed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nothing_is_wanted_of_says_that_it_is_there_and_moves_on() {
    let mut world = World::start();
    assert_eq!(world.body.0.recv().await.unwrap(), ": events\nid: 0-0\n\n");
    for round in 1..=3 {
        // Something happens far more often than a stream would say that nothing does.
        let told = loop {
            world.happen();
            match timeout(Duration::from_millis(100), world.body.0.recv()).await {
                Ok(told) => break told.unwrap(),
                Err(_) => assert!(world.commits < round * 200, "it says nothing"),
            }
        };
        let told = str::from_utf8(&told).unwrap();
        let id = told.strip_prefix(": keep-alive\nid: ").unwrap().trim_end();
        let id: EventId = id.parse().unwrap();
        assert!(id.sequence + 2 > world.commits, "{id} of {}", world.commits);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_gone_frees_its_place_at_once() {
    let mut world = World::start();
    assert!(world.body.0.recv().await.is_some());
    let (places, begun) = (Arc::clone(&world.places), Instant::now());
    assert_eq!(places.available_permits(), limits::EVENT_STREAMS - 1);
    drop(world.body);
    let all = u32::try_from(limits::EVENT_STREAMS).unwrap();
    let _all = places.acquire_many(all).await.unwrap();
    assert!(begun.elapsed() < limits::EVENT_KEEP_ALIVE, "{:?}", begun.elapsed());
}
