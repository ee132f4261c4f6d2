//! The driver on a disk in memory.

use muster_api::{limits, spec::AppSpec};
use muster_engine::{
    event::{Accepted, Command, Expect},
    query::Query,
};

use super::*;
use crate::{
    handle::{DriverHandle, Unavailable, channel},
    notices,
    port::Port,
    store::{self, Failure, MemoryDisk, MemoryStore},
    trace::Actor,
};

/// A driver on a disk, and how it ends.
struct Running {
    handle: DriverHandle,
    stop: watch::Sender<bool>,
    _port: Port,
    end: tokio::task::JoinHandle<Result<(), StoreError>>,
}

fn start(disk: &MemoryDisk, seed: u64) -> Running {
    let store = MemoryStore::open(disk);
    let records = store::records(&store).expect("a store in memory loads");
    let log = EventLog::open(disk).expect("a log in memory opens");
    let (core, first) = Core::restore(seed, &records, clock::now()).expect("it was stored so");
    let (handle, requests, runs_over) = channel();
    let (port, inland) = Port::new(&first);
    let (stop, stopping) = watch::channel(false);
    let driver = Driver {
        core,
        store: Box::new(store),
        requests,
        port: inland,
        link: None,
        runs_over,
        deliveries: notices::channel().0,
        stop: stopping,
        metrics: Arc::new(Metrics::new(clock::wall())),
        log,
        served: Served::default(),
    };
    let end = tokio::spawn(driver.run(first));
    Running { handle, stop, _port: port, end }
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
    let commits = || MemoryStore::open(&disk).last().expect("it reads").map_or(0, |s| s.sequence);
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
