//! Daemon jobs under random changes, ends and restarts: a shard has one task at a time, a job one
//! run, a replacement takes down one shard at a time, and when nobody interferes any more every
//! shard runs as the newest document says.

#![allow(clippy::unwrap_used, reason = "an engine that cannot be asked is a failed test")]

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    AgentId, ExecutorId, Mono, Now, RunId, TaskId, limits,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    task::{TaskPayload, TaskReport},
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, Step, TaskLaunch},
    event::{AgentRegistered, Command, Event, Expect, Offer, RequestId, Signal, TaskUpdate},
};
use proptest::prelude::*;
use serde_json::json;

const CONFIG: EngineConfig = EngineConfig::new(|_, _| Vec::new());
const AGENTS: [&str; 2] = ["agent1", "agent2"];

/// A task that lives, as the hosts know it.
struct Living {
    agent: AgentId,
    executor: ExecutorId,
    run: RunId,
    item: u32,
    parameter: String,
    shard_count: u32,
    resident: bool,
    revision: String,
    runs: bool,
    /// Told to end; why the test thinks so.
    killed: Option<Why>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// By an operator, or with its run.
    Wanted,
    /// To follow a document.
    Replaced,
    /// It was launching for too long. If it runs after all it goes on, until it has died of that.
    Late,
}

struct World {
    engine: Engine,
    now: Now,
    stored: Records,
    seed: u64,
    offers: u32,
    living: BTreeMap<TaskId, Living>,
    document: Document,
    environment: u32,
}

/// What the test asks of its one job.
#[derive(Clone, Copy, PartialEq)]
struct Document {
    count: u32,
    parameter: u32,
    priority: u32,
    daemon: bool,
}

impl World {
    /// With an enabled daemon job, and room for it.
    fn new() -> Self {
        let mut world = Self::bare();
        world.put_job();
        world.offer();
        world
    }

    /// With an app and no host.
    fn bare() -> Self {
        let now =
            Now { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Mono::from_millis(1_000) };
        let (engine, first) = Engine::restore(CONFIG, 1, &Records::new(), now).unwrap();
        let document = Document { count: 3, parameter: 0, priority: 50, daemon: true };
        let mut world = Self {
            engine,
            now,
            stored: Records::new(),
            seed: 1,
            offers: 0,
            living: BTreeMap::new(),
            document,
            environment: 0,
        };
        world.take(first);
        world.put_app();
        world
    }

    fn put_app(&mut self) {
        let app = json!({"name": "a", "resources": {"cpus": 1, "mem": 32}, "lease": "1m",
            "env": {"A": self.environment.to_string()}});
        let spec = AppSpec::parse(app).unwrap().spec;
        self.command(Command::PutApp { spec, expect: Expect::Anything });
    }

    fn put_job(&mut self) {
        let Document { count, parameter, priority, daemon } = self.document;
        let mut job = json!({"name": "d", "app": "a", "type": "script", "script": {"command": ":"},
            "sharding": {"count": count}, "resources": {"cpus": 1, "mem": 32},
            "parameter": parameter.to_string(), "priority": priority});
        if daemon {
            job["execution"] = json!("daemon");
            job["schedule"] = json!({"every": "1h"});
        }
        let spec = JobSpec::parse(job).unwrap().spec;
        self.command(Command::PutJob { spec, expect: Expect::Anything });
    }

    fn command(&mut self, command: Command) {
        self.step(Event::Command { request: RequestId(1), command });
    }

    fn step(&mut self, event: Event) {
        let step = self.engine.step(self.now, event);
        self.take(step);
    }

    fn take(&mut self, step: Step) {
        self.engine.check();
        for write in step.writes {
            match write {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        for effect in step.effects {
            match effect {
                Effect::Launch(batch) => {
                    for task in batch.tasks {
                        self.launched(&batch.agent, &task);
                    }
                }
                Effect::Kill { task, .. } => self.killed(task),
                _ => {}
            }
        }
    }

    fn launched(&mut self, agent: &AgentId, launch: &TaskLaunch) {
        let payload = TaskPayload::decode(&launch.payload).unwrap();
        let context = &payload.context;
        for other in self.living.values() {
            assert_eq!(other.run, context.run, "two runs of the job live");
            assert_ne!(other.item, context.shard_item, "two tasks of one shard live");
        }
        let living = Living {
            agent: agent.clone(),
            executor: launch.executor,
            run: context.run,
            item: context.shard_item,
            parameter: context.job_parameter.clone(),
            shard_count: context.shard_count,
            resident: payload.resident.is_some(),
            revision: self.environment.to_string(),
            runs: false,
            killed: None,
        };
        assert!(self.living.insert(launch.task, living).is_none());
    }

    /// A task is told to end. Where that is for a document, no other shard is on its way meanwhile.
    fn killed(&mut self, id: TaskId) {
        let Some(task) = self.living.get(&id) else { return };
        let (count, surplus) = (self.document.count, task.item >= self.document.count);
        if task.killed.is_some() {
            return;
        }
        let why = self.why(id);
        let replaced = why == Why::Replaced && !surplus;
        if replaced {
            let others = self.living.iter().filter(|(other, _)| **other != id);
            for (_, other) in others.filter(|(_, other)| other.item < count) {
                assert_eq!(other.run, task.run);
                assert!(other.runs, "shard {} starts, and {} is replaced", other.item, task.item);
                assert!(
                    other.killed.is_none(),
                    "shards {} and {} are down at once",
                    other.item,
                    task.item
                );
            }
        }
        self.living.get_mut(&id).unwrap().killed = Some(why);
    }

    /// Why the engine ends a task, as it is stored.
    fn why(&self, id: TaskId) -> Why {
        let value = &self.stored[format!("t/{id}").as_bytes()];
        let task: serde_json::Value = serde_json::from_slice(&value[1..]).unwrap();
        match task["ended_for"].as_str() {
            Some("restart") => Why::Replaced,
            Some("launching") => Why::Late,
            _ => Why::Wanted,
        }
    }

    fn offer(&mut self) {
        for agent in AGENTS {
            self.offers += 1;
            self.step(Event::Offers(vec![Offer {
                id: format!("offer{}", self.offers).parse().unwrap(),
                agent: agent.parse().unwrap(),
                hostname: agent.to_owned(),
                attributes: BTreeMap::new(),
                resources: "cpus:8;mem:1024".parse().unwrap(),
                executors: Vec::new(),
            }]));
        }
    }

    fn say(&mut self, id: TaskId, signal: Signal) {
        let Some(living) = self.living.get_mut(&id) else { return };
        let agent = Some(living.agent.clone());
        match signal {
            Signal::Running => {
                living.runs = true;
                living.killed.take_if(|why| *why == Why::Late);
            }
            _ => drop(self.living.remove(&id)),
        }
        self.step(Event::Task(TaskUpdate {
            task: id,
            agent,
            signal,
            source: Default::default(),
            at: Some(self.now.wall),
            message: String::new(),
            report: TaskReport::default(),
            uuid: None,
        }));
    }

    /// What happens to a task, by a number.
    fn happens(&mut self, which: usize, what: u8) {
        let Some(id) = self.living.keys().nth(which % self.living.len().max(1)).copied() else {
            return;
        };
        let task = &self.living[&id];
        let signal = match what % 8 {
            0..3 if !task.runs => Signal::Running,
            0..3 if task.killed.is_some() => Signal::Killed,
            0 => Signal::Finished,
            1 => Signal::CodeFailed,
            2 => Signal::Killed,
            3 => Signal::Died,
            4 if !task.runs => Signal::NeverStarted,
            4 => Signal::Neighbour,
            5 => {
                let executor = task.executor;
                let with = self.living.iter().filter(|(_, other)| other.executor == executor);
                for id in with.map(|(id, _)| *id).collect::<Vec<_>>() {
                    self.say(id, Signal::DiedWithExecutor);
                }
                return;
            }
            6 => Signal::Invalid,
            _ => Signal::TimedOut,
        };
        self.say(id, signal);
    }

    fn pass(&mut self, time: Duration) {
        self.now = Now { wall: self.now.wall + time, mono: self.now.mono + time };
        for _ in 0..20 {
            self.step(Event::Tick);
            if self.engine.next_wakeup().mono.is_none_or(|at| at > self.now.mono) {
                break;
            }
        }
    }

    fn restart(&mut self) {
        self.seed += 1;
        let (engine, step) = Engine::restore(CONFIG, self.seed, &self.stored, self.now).unwrap();
        self.engine = engine;
        self.take(step);
        for agent in AGENTS {
            let here = self.living.iter().filter(|(_, task)| task.agent.as_str() == agent);
            let (tasks, executors) = here.map(|(id, task)| (*id, task.executor)).unzip();
            self.step(Event::AgentRegistered(AgentRegistered {
                agent: agent.parse().unwrap(),
                hostname: agent.to_owned(),
                attributes: BTreeMap::new(),
                resources: "cpus:64;mem:65536".parse().unwrap(),
                rebooted: false,
                tasks,
                executors,
            }));
        }
        let running: Vec<_> =
            self.living.iter().filter(|(_, task)| task.runs).map(|(id, _)| *id).collect();
        for id in running {
            self.say(id, Signal::Running);
        }
    }

    fn act(&mut self, (what, a, b): (u8, u8, u8)) {
        let (app, job) = (|| "a".parse().unwrap(), || "d".parse().unwrap());
        match what % 16 {
            0 => self.command(Command::SetJobDisabled {
                name: job(),
                disabled: a.is_multiple_of(2),
                kill: b.is_multiple_of(2),
            }),
            1 => self.command(Command::SetAppDisabled {
                name: app(),
                disabled: a.is_multiple_of(2),
                kill: b.is_multiple_of(2),
            }),
            2 => {
                self.document.count = 1 + u32::from(a % 5);
                self.put_job();
            }
            3 => {
                self.document.parameter = u32::from(a % 3);
                self.put_job();
            }
            4 => {
                self.document.priority = u32::from(a % 100);
                self.document.daemon = !b.is_multiple_of(4);
                self.put_job();
            }
            5 => {
                self.environment = u32::from(a % 3);
                self.put_app();
            }
            6 => {
                if let Some(task) = self.living.values().nth(usize::from(a)) {
                    let (run, item) = (task.run, task.item);
                    self.command(Command::KillTask { run, item });
                }
            }
            7 => self.restart(),
            8 => self.pass(Duration::from_secs(u64::from(a))),
            9 => self.offer(),
            10 => self.pass(Duration::from_secs(700)),
            _ => self.happens(usize::from(a), b),
        }
    }

    /// Nobody interferes any more: what is told to end ends, what is launched runs.
    fn settle(&mut self) {
        // A change of the app that is under way comes first.
        self.pass(Duration::from_secs(1));
        self.document = Document { daemon: true, ..self.document };
        self.put_job();
        self.command(Command::SetAppDisabled {
            name: "a".parse().unwrap(),
            disabled: false,
            kill: false,
        });
        self.command(Command::SetJobDisabled {
            name: "d".parse().unwrap(),
            disabled: false,
            kill: false,
        });
        for _ in 0..40 {
            self.pass(Duration::from_secs(61));
            self.offer();
            let ids: Vec<_> = self.living.keys().copied().collect();
            for id in ids {
                let Some(task) = self.living.get(&id) else { continue };
                match (task.killed, task.resident) {
                    (Some(_), _) => self.say(id, Signal::Killed),
                    (None, false) => self.say(id, Signal::Finished),
                    (None, true) => self.say(id, Signal::Running),
                }
            }
        }
    }

    /// Every shard runs as the newest document says, and nothing else does.
    fn check_settled(&self) {
        let Document { count, parameter, .. } = self.document;
        let items: Vec<u32> = {
            let mut items: Vec<_> = self.living.values().map(|task| task.item).collect();
            items.sort_unstable();
            items
        };
        assert_eq!(items, (0..count).collect::<Vec<_>>());
        for task in self.living.values() {
            assert!(task.runs && task.killed.is_none() && task.resident);
            assert_eq!(task.parameter, parameter.to_string());
            assert_eq!(task.shard_count, count);
            assert_eq!(task.revision, self.environment.to_string());
        }
        let runs = self.stored.keys().filter(|key| key.starts_with(b"r/")).count();
        assert_eq!(runs, 1, "one run goes on");
        let past = self.stored.keys().filter(|key| key.starts_with(b"h/t/"));
        let run = self.living.values().next().unwrap().run.to_string();
        let of_run = past.filter(|key| String::from_utf8_lossy(key).contains(&run)).count();
        assert!(of_run <= 5 * 5 * 3, "history of a run that goes on is bounded: {of_run}");
    }
}

/// The document of a daemon job.
fn daemon(name: &str, count: u32) -> Command {
    let job = json!({"name": name, "app": "a", "type": "script", "script": {"command": ":"},
        "sharding": {"count": count}, "resources": {"cpus": 1, "mem": 32},
        "execution": "daemon", "schedule": {"every": "1h"}});
    Command::PutJob { spec: JobSpec::parse(job).unwrap().spec, expect: Expect::Anything }
}

/// The tasks that are told to end in the steps until nothing is due any more; no step tells more
/// than so many.
fn told_to_end(world: &mut World, event: Event, at_most: usize) -> usize {
    let (mut event, mut told) = (Some(event), 0);
    loop {
        let step = world.engine.step(world.now, event.take().unwrap_or(Event::Tick));
        let kills = step.effects.iter().filter(|effect| matches!(effect, Effect::Kill { .. }));
        let (kills, writes) = (kills.count(), step.writes.len());
        assert!(kills <= at_most, "{kills} tasks are told to end in one step");
        assert!(writes <= limits::COMMIT_RECORDS, "{writes} records in one commit");
        told += kills;
        if world.engine.next_wakeup().mono.is_none_or(|at| at > world.now.mono) {
            return told;
        }
    }
}

#[test]
fn an_app_with_many_daemon_jobs_is_followed_a_few_at_a_time() {
    const JOBS: usize = 150;
    let mut world = World::bare();
    for number in 0..JOBS {
        let step = world.engine.step(
            world.now,
            Event::Command { request: RequestId(1), command: daemon(&format!("d{number}"), 1) },
        );
        assert!(step.writes.iter().any(|write| write.key().starts_with(b"r/")));
    }
    let running = run_all(&mut world, "cpus:1024;mem:1048576");
    assert_eq!(running, JOBS);
    let app = json!({"name": "a", "resources": {"cpus": 1, "mem": 32}, "env": {"A": "9"}});
    let spec = AppSpec::parse(app).unwrap().spec;
    let put = Command::PutApp { spec, expect: Expect::Anything };
    let event = Event::Command { request: RequestId(1), command: put };
    assert_eq!(told_to_end(&mut world, event, limits::ROLLS_PER_STEP), JOBS);

    // Disabling it is a sweep, as for any jobs.
    let disable =
        Command::SetAppDisabled { name: "a".parse().unwrap(), disabled: true, kill: false };
    world.step(Event::Command { request: RequestId(1), command: disable });
    world.pass(Duration::ZERO);
    let enable =
        Command::SetAppDisabled { name: "a".parse().unwrap(), disabled: false, kill: false };
    world.step(Event::Command { request: RequestId(1), command: enable });
    world.pass(Duration::ZERO);
    world.engine.check();
}

#[test]
fn many_surplus_shards_end_a_few_at_a_time() {
    let mut world = World::bare();
    world.command(daemon("many", 250));
    assert_eq!(run_all(&mut world, "cpus:1024;mem:1048576"), 250);
    let event = Event::Command { request: RequestId(1), command: daemon("many", 1) };
    assert_eq!(
        told_to_end(&mut world, event, limits::SURPLUS_AT_A_TIME),
        limits::SURPLUS_AT_A_TIME
    );
}

/// Lets all that waits start on one large host, and says how many tasks run there.
fn run_all(world: &mut World, resources: &str) -> usize {
    let mut event = Event::Offers(vec![Offer {
        id: "large".parse().unwrap(),
        agent: "large".parse().unwrap(),
        hostname: "large".to_owned(),
        attributes: BTreeMap::new(),
        resources: resources.parse().unwrap(),
        executors: Vec::new(),
    }]);
    let mut count = 0;
    loop {
        let step = world.engine.step(world.now, event);
        let batches = step.effects.into_iter().filter_map(|effect| match effect {
            Effect::Launch(batch) => Some(batch),
            _ => None,
        });
        for batch in batches {
            for task in &batch.tasks {
                count += 1;
                world.engine.step(world.now, running(task.task, &batch.agent));
            }
        }
        if world.engine.next_wakeup().mono.is_none_or(|at| at > world.now.mono) {
            return count;
        }
        event = Event::Tick;
    }
}

fn running(task: TaskId, agent: &AgentId) -> Event {
    Event::Task(TaskUpdate {
        task,
        agent: Some(agent.clone()),
        signal: Signal::Running,
        source: Default::default(),
        at: None,
        message: String::new(),
        report: TaskReport::default(),
        uuid: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]
    #[test]
    fn daemon_jobs_converge(acts in prop::collection::vec(any::<(u8, u8, u8)>(), 0..120)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
        }
        world.settle();
        world.check_settled();
    }
}
