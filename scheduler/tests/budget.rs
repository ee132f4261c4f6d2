//! What shards cost on the disk, counted: the write budget (DESIGN section 2).

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;

use muster_api::{
    Mono, Now, TaskId, Timestamp,
    events::TraceEvent,
    limits,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    task::TaskReport,
    views::TriggerRequest,
};
use muster_engine::{
    event::{Command, Event as EngineEvent, Expect, RequestId},
    records,
};
use muster_master::core::{Connection, Event as MasterEvent};
use muster_proto::{
    AgentInfo, Resource, StatusSource, TaskState, TaskStatus,
    agent::{AgentBody, Heartbeat, Hello, Launch, MasterBody, Status},
};
use muster_scheduler::{
    store::{Commit, MemoryDisk, MemoryStore, State},
    trace::{EVENTS, EventLog},
};
use muster_turn::{Core, Effect, Event};
use serde_json::json;

const AGENT: Connection = Connection(1);

/// What was written of one kind of record.
#[derive(Debug, Default, Clone, Copy)]
struct Written {
    puts: usize,
    deletes: usize,
    bytes: usize,
}

/// The scheduler's cores with a store, and events that are taken in as the driver does: as many as
/// a commit has room for.
struct World {
    core: Core,
    store: MemoryStore,
    log: EventLog,
    now: Now,
    sequence: u64,
    /// What is decided and not committed.
    writes: BTreeMap<Vec<u8>, Write>,
    trace: Vec<TraceEvent>,
    effects: Vec<Effect>,
    launched: Vec<Launch>,
    /// By the first letters of the key.
    written: BTreeMap<String, Written>,
    commits: usize,
}

impl World {
    fn new() -> Self {
        let now = Now { wall: Timestamp::from_millis(1_700_000_000_000), mono: Mono::default() };
        let (core, first) = Core::restore(1, &Records::new(), now).unwrap();
        let disk = MemoryDisk::default();
        let mut world = Self {
            core,
            store: MemoryStore::open(&disk),
            log: EventLog::open(&disk).unwrap(),
            now,
            sequence: 0,
            writes: BTreeMap::new(),
            trace: first.trace,
            effects: first.effects,
            launched: Vec::new(),
            written: BTreeMap::new(),
            commits: 0,
        };
        world.add(first.writes);
        world.commit();
        world
    }

    fn add(&mut self, writes: Vec<Write>) {
        self.writes.extend(writes.into_iter().map(|write| (write.key().to_vec(), write)));
    }

    /// Takes in an event; what it leads to is committed with others.
    fn take(&mut self, event: Event) {
        let turn = self.core.advance(self.now, event);
        self.add(turn.writes);
        self.trace.extend(turn.trace);
        self.effects.extend(turn.effects);
        if self.writes.len() + self.core.unwritten() >= limits::COMMIT_RECORDS / 2 {
            self.commit();
        }
    }

    fn commit(&mut self) {
        let kept_back = self.core.take_writes(self.now);
        self.add(kept_back);
        let trace = std::mem::take(&mut self.trace);
        let events = self.log.write(self.now.wall, trace);
        self.add(events);
        let writes: Vec<_> = std::mem::take(&mut self.writes).into_values().collect();
        if !writes.is_empty() {
            self.sequence += 1;
            self.commits += 1;
            let term = self.core.term();
            let commit = Commit { term, sequence: self.sequence, writes: &writes };
            self.store.commit(&commit).unwrap();
        }
        for write in writes {
            let key = String::from_utf8(write.key().to_vec()).unwrap();
            let letters = if key.starts_with("h/") { 4 } else { 2.min(key.len()) };
            let written = self.written.entry(key[..letters].to_owned()).or_default();
            match write {
                Write::Put { key, value } => {
                    written.puts += 1;
                    written.bytes += key.len() + value.len();
                }
                Write::Delete { .. } => written.deletes += 1,
            }
        }
        for effect in std::mem::take(&mut self.effects) {
            if let Effect::ToAgent { body: MasterBody::Launch(launch), .. } = effect {
                self.launched.push(launch);
            }
        }
    }

    fn agent_says(&mut self, body: AgentBody) {
        self.take(Event::Master(MasterEvent::FromAgent { connection: AGENT, body }));
    }

    fn command(&mut self, command: Command) {
        self.take(Event::Engine(EngineEvent::Command { request: RequestId(0), command }));
    }

    /// All that is due now.
    fn settle(&mut self) {
        self.commit();
        while self.core.next_wakeup().mono.is_some_and(|at| at <= self.now.mono) {
            self.take(Event::Tick);
            self.commit();
        }
    }
}

/// A scheduler with a job of so many shards and an agent that has room for all of them.
fn with_job(shards: u32) -> World {
    let mut world = World::new();
    let resource = |name: &str, amount: f64| Resource::scalar(name, amount);
    let info = AgentInfo {
        hostname: "host".into(),
        resources: vec![resource("cpus", 64.0), resource("mem", 1_000_000.0)],
        ..AgentInfo::default()
    };
    let boot_id = "boot".to_owned();
    let hello = Hello { version: 1, info: Some(info), boot_id, ..Hello::default() };
    world.take(Event::Master(MasterEvent::Hello { connection: AGENT, hello }));
    world.agent_says(AgentBody::Heartbeat(Heartbeat { number: 1 }));
    let app = json!({"name": "a", "command": "x", "resources": {"cpus": 1, "mem": 32}});
    let job = json!({
        "name": "j", "app": "a", "type": "simple", "sharding": {"count": shards},
        "resources": {"cpus": 0.001, "mem": 1},
    });
    let expect = Expect::Anything;
    let app = AppSpec::parse(app).unwrap().spec;
    world.command(Command::PutApp { spec: app, expect });
    let job = JobSpec::parse(job).unwrap().spec;
    world.command(Command::PutJob { spec: job, expect });
    world.settle();
    world
}

fn finished(launch: &Launch, n: usize) -> AgentBody {
    let framework_id = launch.framework.as_ref().unwrap().id.clone();
    let task = launch.task.as_ref().unwrap();
    let report = TaskReport { exit_code: Some(0), ..TaskReport::default() };
    let status = TaskStatus {
        task_id: task.task_id.clone(),
        state: TaskState::Finished as i32,
        source: Some(StatusSource::Executor as i32),
        agent_id: task.agent_id.clone(),
        data: Some(report.encode()),
        uuid: Some((n as u128).to_be_bytes().to_vec()),
        ..TaskStatus::default()
    };
    let latest_state = TaskState::Finished as i32;
    AgentBody::Status(Status { framework_id, status: Some(status), latest_state })
}

/// Triggers the job, ends all of its tasks, and answers what was written meanwhile.
fn run(world: &mut World, shards: u32) -> BTreeMap<String, Written> {
    world.written.clear();
    world.commits = 0;
    world.launched.clear();
    let job = "j".parse().unwrap();
    let request = TriggerRequest::default();
    world.command(Command::Trigger { job, request, idempotency_key: None });
    world.settle();
    let launched = std::mem::take(&mut world.launched);
    assert_eq!(launched.len(), shards as usize, "all are launched at once");
    for (n, launch) in launched.iter().enumerate() {
        let task = launch.task.as_ref().unwrap().task_id.as_ref().unwrap();
        assert!(task.value.parse::<TaskId>().is_ok());
        world.agent_says(finished(launch, n));
    }
    world.settle();
    assert_eq!(world.core.next_wakeup().wall, None);
    std::mem::take(&mut world.written)
}

fn of(written: &BTreeMap<String, Written>, prefix: &str) -> Written {
    written.get(prefix).copied().unwrap_or_default()
}

#[test]
fn a_shard_that_succeeds_at_once_is_one_put_then_a_delete_and_a_put() {
    const SHARDS: u32 = 1_000;
    let mut world = with_job(SHARDS);
    // The first run starts the executor, which others find there.
    run(&mut world, SHARDS);
    let written = run(&mut world, SHARDS);
    let shards = SHARDS as usize;
    let (tasks, past) = (of(&written, records::TASKS), of(&written, records::PAST_TASKS));
    assert_eq!((tasks.puts, tasks.deletes), (shards, shards), "{written:#?}");
    assert_eq!((past.puts, past.deletes), (shards, 0), "{written:#?}");

    // What else is written is of the run: its record in some commits, and at last its history.
    for prefix in [records::PAST_RUNS, records::PAST_RUNS_BY_JOB] {
        assert_eq!(of(&written, prefix).puts, 1, "{written:#?}");
    }
    assert_eq!(of(&written, records::PAST_FIRES).puts, 0, "it was triggered: {written:#?}");
    let all: usize = written.values().map(|of| of.puts + of.deletes).sum();
    assert!(all - 3 * shards <= 2 * world.commits + 10, "{} commits: {written:#?}", world.commits);
    let commits = 3 * shards / (limits::COMMIT_RECORDS / 2) + 3;
    assert!(world.commits <= commits, "{} commits for {shards} shards", world.commits);

    // What happened is one record a commit, however many shards that concerns.
    let events = of(&written, EVENTS);
    assert_eq!(events.puts, world.commits, "{written:#?}");
    let bytes = events.bytes / shards;
    assert!(bytes <= EVENT_BYTES_PER_SHARD, "{bytes} bytes of events per shard");

    let bytes: usize = written.values().map(|of| of.bytes).sum();
    assert!(bytes / shards <= BYTES_PER_SHARD, "{} bytes per shard: {written:#?}", bytes / shards);
}

/// Bytes of keys and values that a shard without parameter, result and output may cost, its part
/// of the run's record included.
const BYTES_PER_SHARD: usize = 1_000;
/// Bytes of those that say what happened: that it was staged, and how it ended.
const EVENT_BYTES_PER_SHARD: usize = 60;

#[test]
fn a_small_run_costs_a_launch_and_an_end() {
    let mut world = with_job(1);
    run(&mut world, 1);
    let written = run(&mut world, 1);
    let puts: usize = written.values().map(|of| of.puts).sum();
    let deletes: usize = written.values().map(|of| of.deletes).sum();
    // Trigger and launch are one commit, the end is another.
    assert_eq!(world.commits, 2, "{written:#?}");
    // The launch: run and task. The end: task, run and its entry by job. Each: what happened.
    assert!((puts, deletes) <= (8, 2), "{puts} puts, {deletes} deletes: {written:#?}");
}
