//! Epochs only grow: over restarts, clocks that are set back, and stores that are restored.

#![allow(clippy::unwrap_used, reason = "an engine that cannot be asked is a failed test")]

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    Mono, Now, TaskId,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    task::{TaskPayload, TaskReport},
    views::TriggerRequest,
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, Step},
    event::{Command, Event, Expect, Offer, RequestId, Signal, TaskUpdate},
};
use proptest::prelude::*;
use serde_json::json;

const CONFIG: EngineConfig = EngineConfig::new(|_, _| Vec::new());

struct World {
    engine: Engine,
    now: Now,
    stored: Records,
    offers: u32,
    seed: u64,
    /// The epochs that were given out, in their order.
    epochs: Vec<u64>,
}

impl World {
    fn new() -> Self {
        let now =
            Now { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Mono::from_millis(1_000) };
        let (engine, _) = Engine::restore(CONFIG, 1, &Records::new(), now).unwrap();
        let (stored, epochs) = (Records::new(), Vec::new());
        let mut world = Self { engine, now, stored, offers: 0, seed: 1, epochs };
        let resources = json!({"cpus": 1, "mem": 32});
        let app = AppSpec::parse(json!({"name": "a", "resources": resources})).unwrap().spec;
        world.command(Command::PutApp { spec: app, expect: Expect::Nothing });
        let job = json!({"name": "j", "app": "a", "type": "script", "script": {"command": ":"},
            "sharding": {"count": 2}, "resources": resources});
        let spec = JobSpec::parse(job).unwrap().spec;
        world.command(Command::PutJob { spec, expect: Expect::Nothing });
        world
    }

    fn step(&mut self, event: Event) -> Vec<TaskId> {
        let Step { writes, effects, .. } = self.engine.step(self.now, event);
        for write in writes {
            match write {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        let batches = effects.into_iter().filter_map(|effect| match effect {
            Effect::Launch(batch) => Some(batch.tasks),
            _ => None,
        });
        let tasks: Vec<_> = batches.flatten().collect();
        for task in &tasks {
            self.epochs.push(TaskPayload::decode(&task.payload).unwrap().context.epoch);
        }
        tasks.into_iter().map(|task| task.task).collect()
    }

    fn command(&mut self, command: Command) -> Vec<TaskId> {
        self.step(Event::Command { request: RequestId(1), command })
    }

    /// Runs both shards from their launch to their end.
    fn run(&mut self) {
        self.offers += 1;
        self.step(Event::Offers(vec![Offer {
            id: format!("offer{}", self.offers).parse().unwrap(),
            agent: "agent".parse().unwrap(),
            hostname: "host".to_owned(),
            attributes: BTreeMap::new(),
            resources: "cpus:8;mem:1024".parse().unwrap(),
            executors: Vec::new(),
        }]));
        let (job, request) = ("j".parse().unwrap(), TriggerRequest::default());
        for task in self.command(Command::Trigger { job, request, idempotency_key: None }) {
            self.step(Event::Task(TaskUpdate {
                task,
                agent: None,
                signal: Signal::Finished,
                source: Default::default(),
                at: None,
                message: String::new(),
                report: TaskReport::default(),
                uuid: None,
            }));
        }
    }

    fn start_from(&mut self, records: &Records) {
        self.stored = records.clone();
        self.seed += 1;
        self.engine = Engine::restore(CONFIG, self.seed, records, self.now).unwrap().0;
    }

    fn restart(&mut self) {
        let records = self.stored.clone();
        self.start_from(&records);
    }
}

#[derive(Debug, Clone)]
enum Move {
    Run,
    Restart,
    /// Seconds pass.
    Wait(u32),
    /// Somebody sets the wall clock by so many seconds.
    Set(i32),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => Just(Move::Run),
        2 => Just(Move::Restart),
        1 => (0..1_000u32).prop_map(Move::Wait),
        1 => (-40_000_000..40_000_000i32).prop_map(Move::Set),
    ];
    prop::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn epochs_grow_over_restarts_and_clocks_that_are_set(moves in moves()) {
        let mut world = World::new();
        world.run();
        for what in moves {
            match what {
                Move::Run => world.run(),
                Move::Restart => world.restart(),
                Move::Wait(seconds) => {
                    let span = Duration::from_secs(u64::from(seconds));
                    world.now = Now { wall: world.now.wall + span, mono: world.now.mono + span };
                }
                Move::Set(seconds) => {
                    let span = Duration::from_secs(u64::from(seconds.unsigned_abs()));
                    let wall = world.now.wall;
                    world.now.wall = if seconds < 0 { wall.before(span) } else { wall + span };
                }
            }
        }
        world.restart();
        world.run();
        let grows = world.epochs.windows(2).all(|two| two[0] < two[1]);
        prop_assert!(grows, "{:?}", world.epochs);
    }
}

/// The counter goes back with the store; the clock, which goes on, lifts it over what was given out
/// since the backup.
#[test]
fn epochs_grow_over_a_store_that_is_restored() {
    let mut world = World::new();
    world.run();
    let backup = world.stored.clone();
    for _ in 0..20 {
        world.run();
    }
    // More tasks than milliseconds go by in no installation for long.
    let second = Duration::from_secs(1);
    world.now = Now { wall: world.now.wall + second, mono: world.now.mono + second };
    world.start_from(&backup);
    world.run();
    assert!(world.epochs.windows(2).all(|two| two[0] < two[1]), "{:?}", world.epochs);
}
