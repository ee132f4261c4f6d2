//! What executors tell of executions becomes events, once each, if it is theirs to tell.

#![allow(clippy::unwrap_used, reason = "an engine that cannot be asked is a failed test")]

use std::collections::BTreeMap;

use muster_api::{
    AgentId, ExecutorId, IdStream, Mono, Now, TaskId, Timestamp,
    events::{EventKind, EventSource, TraceEvent},
    limits,
    spec::{AppSpec, JobSpec},
    step::{Records, Write},
    task::{
        ExecutionBatch, ExecutionOutcome, ExecutionReport, LeftOut, ResidentTask, TaskPayload,
        TaskReport,
    },
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, ExecutionCounts, LaunchBatch, Note, Step},
    event::{Command, Event, Expect, Offer, RequestId, Signal, TaskUpdate},
};
use serde_json::{Value, json};

const CONFIG: EngineConfig = EngineConfig::new(|_, _| Vec::new());

/// An engine with a daemon job whose only task runs.
struct World {
    engine: Engine,
    now: Now,
    stored: Records,
    executor: ExecutorId,
    task: ResidentTask,
}

impl World {
    fn new() -> Self {
        let now =
            Now { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Mono::from_millis(1_000) };
        let (engine, _) = Engine::restore(CONFIG, 1, &Records::new(), now).unwrap();
        let nil = uuid::Uuid::nil();
        let task = ResidentTask {
            task: TaskId::from_uuid(nil),
            job: "j".parse().unwrap(),
            run: muster_api::RunId::from_uuid(nil),
            item: 0,
            attempt: 1,
        };
        let executor = ExecutorId::from_uuid(nil);
        let mut world = Self { engine, now, stored: Records::new(), executor, task };
        world.put_app("a");
        world.put_app("b");
        let launched = world.put_daemon("j", "a");
        world.executor = launched.tasks[0].executor;
        let context = TaskPayload::decode(&launched.tasks[0].payload).unwrap().context;
        (world.task.task, world.task.run) = (context.task, context.run);
        world.says(Signal::Running);
        world
    }

    fn put_app(&mut self, name: &str) {
        let document = json!({"name": name, "resources": {"cpus": 1, "mem": 32}});
        let spec = AppSpec::parse(document).unwrap().spec;
        self.command(Command::PutApp { spec, expect: Expect::Nothing });
    }

    fn put_daemon(&mut self, name: &str, app: &str) -> LaunchBatch {
        self.step(Event::Offers(vec![Offer {
            id: format!("offer-{name}").parse().unwrap(),
            agent: "agent".parse().unwrap(),
            hostname: "host".to_owned(),
            attributes: BTreeMap::new(),
            resources: "cpus:8;mem:1024".parse().unwrap(),
            executors: Vec::new(),
        }]));
        let document: Value = json!({
            "name": name, "app": app, "type": "script", "script": {"command": ":"},
            "execution": "daemon", "schedule": {"every": "1s"}, "sharding": {"count": 1},
            "resources": {"cpus": 1, "mem": 32},
        });
        let spec = JobSpec::parse(document).unwrap().spec;
        let step = self.command(Command::PutJob { spec, expect: Expect::Nothing });
        step.effects
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Launch(batch) => Some(batch),
                _ => None,
            })
            .expect("there is room")
    }

    fn step(&mut self, event: Event) -> Step {
        let step = self.engine.step(self.now, event);
        for write in &step.writes {
            match write.clone() {
                Write::Put { key, value } => self.stored.insert(key, value),
                Write::Delete { key } => self.stored.remove(&key),
            };
        }
        step
    }

    fn command(&mut self, command: Command) -> Step {
        self.step(Event::Command { request: RequestId(1), command })
    }

    fn says(&mut self, signal: Signal) {
        self.step(Event::Task(TaskUpdate {
            task: self.task.task,
            agent: None,
            signal,
            source: EventSource::Executor,
            at: None,
            message: String::new(),
            report: TaskReport::default(),
            uuid: None,
        }));
    }

    fn tells(&mut self, batch: ExecutionBatch) -> Step {
        let agent = "agent".parse().unwrap();
        self.tells_from(self.executor, agent, batch)
    }

    fn tells_from(&mut self, executor: ExecutorId, agent: AgentId, batch: ExecutionBatch) -> Step {
        let step = self.step(Event::Executions { executor, agent, batch });
        assert_eq!((step.writes.len(), step.effects.len()), (0, 0), "it changes nothing");
        step
    }

    fn report(&self, second: i64, outcome: ExecutionOutcome) -> ExecutionReport {
        let at = Timestamp::from_millis(second * 1_000);
        let failed = outcome != ExecutionOutcome::Succeeded;
        ExecutionReport {
            task: self.task.task,
            planned_at: at,
            planned_until: at,
            fires: 1,
            started_at: Timestamp::from_millis(second * 1_000 + 1),
            ended_at: Timestamp::from_millis(second * 1_000 + 500),
            outcome,
            message: failed.then(|| "exited with code 3".to_owned()),
            exit_code: Some(if failed { 3 } else { 0 }),
        }
    }

    fn batch(&self, number: u64, executions: Vec<ExecutionReport>) -> ExecutionBatch {
        ExecutionBatch { number, tasks: vec![self.task.clone()], executions, left_out: vec![] }
    }

    /// A batch with one execution.
    fn one(&self, number: u64) -> ExecutionBatch {
        let second = i64::try_from(number).unwrap();
        self.batch(number, vec![self.report(second, ExecutionOutcome::Succeeded)])
    }
}

fn states(step: &Step) -> Vec<(&str, Option<u64>)> {
    let of_executions = |event: &&TraceEvent| event.kind == EventKind::Execution;
    step.trace.iter().filter(of_executions).map(|event| (&*event.state, event.count)).collect()
}

fn passed_over(step: &Step) -> Option<&'static str> {
    step.notes.iter().find_map(|note| match note {
        Note::ExecutionsPassedOver { why, .. } => Some(*why),
        _ => None,
    })
}

#[test]
fn each_execution_is_an_event_with_all_that_is_known_of_it() {
    use ExecutionOutcome::{Cancelled, Failed, Succeeded, TimedOut};
    let mut world = World::new();
    let reports = [Succeeded, Failed, TimedOut, Cancelled];
    let reports = (5..).zip(reports).map(|(second, outcome)| world.report(second, outcome));
    let batch = world.batch(1, reports.collect());
    let step = world.tells(batch);
    let one = Some(1);
    let expected = [("succeeded", one), ("failed", one), ("timed_out", one), ("cancelled", one)];
    assert_eq!(states(&step), expected);
    let expected = TraceEvent {
        message: Some("exited with code 3".to_owned()),
        app: Some("a".parse().unwrap()),
        job: Some("j".parse().unwrap()),
        run: Some(world.task.run),
        task: Some(world.task.task),
        item: Some(0),
        attempt: Some(1),
        agent: Some("agent".parse().unwrap()),
        hostname: Some("host".to_owned()),
        executor: Some(world.executor),
        planned_at: Some(Timestamp::from_millis(6_000)),
        planned_until: Some(Timestamp::from_millis(6_000)),
        count: Some(1),
        started_at: Some(Timestamp::from_millis(6_001)),
        exit_code: Some(3),
        ..TraceEvent::new(
            Timestamp::from_millis(6_500),
            EventKind::Execution,
            "failed",
            EventSource::Executor,
        )
    };
    assert_eq!(step.trace[1], expected);
    let counts = ExecutionCounts {
        succeeded: 1,
        failed: 1,
        timed_out: 1,
        cancelled: 1,
        ..ExecutionCounts::default()
    };
    assert_eq!(step.tally.executions, counts);
}

#[test]
fn what_is_left_out_is_counted() {
    let mut world = World::new();
    let task = world.task.task;
    let left_out = LeftOut { task, sampled: 9, dropped: 2, skipped: 5, uncounted_ranges: 1 };
    let batch = ExecutionBatch { left_out: vec![left_out], ..world.batch(1, vec![]) };
    let step = world.tells(batch);
    let expected =
        [("sampled", Some(9)), ("dropped", Some(2)), ("skipped", Some(5)), ("skipped", None)];
    assert_eq!(states(&step), expected);
    let counts = ExecutionCounts {
        succeeded: 9,
        dropped: 2,
        skipped: 5,
        uncounted_ranges: 1,
        ..ExecutionCounts::default()
    };
    assert_eq!(step.tally.executions, counts);
}

#[test]
fn a_batch_that_comes_twice_counts_once() {
    let mut world = World::new();
    let (first, second) = (world.one(1), world.one(2));
    assert_eq!(states(&world.tells(first.clone())).len(), 1);
    assert_eq!(states(&world.tells(first.clone())).len(), 0);
    assert_eq!(states(&world.tells(second)).len(), 1);
    assert_eq!(states(&world.tells(first)).len(), 0, "late, by another way");
}

#[test]
fn an_execution_may_be_told_of_when_its_task_is_over() {
    let mut world = World::new();
    world.command(Command::SetJobDisabled {
        name: world.task.job.clone(),
        disabled: true,
        kill: false,
    });
    world.says(Signal::Killed);
    let batch = world.one(1);
    assert_eq!(states(&world.tells(batch)).len(), 1);
    world.command(Command::DeleteJob { name: world.task.job.clone(), expect: Expect::Anything });
    let batch = world.one(2);
    let step = world.tells(batch);
    assert_eq!(states(&step).len(), 0, "late reports of a deleted job change nothing");
    assert_eq!(passed_over(&step), Some("it tells of a task that is none of its own"));
}

#[test]
fn nobody_tells_of_what_is_not_theirs() {
    let mut world = World::new();
    let other = world.put_daemon("k", "b").tasks[0].executor;
    let mut ids = IdStream::new(9, 9);
    let unknown = ExecutorId::from_uuid(ids.uuid(world.now.wall));
    let here: AgentId = "agent".parse().unwrap();
    let elsewhere: AgentId = "elsewhere".parse().unwrap();
    let (own, not_own) = (world.executor, "it tells of a task that is none of its own");
    let good = world.one(7);
    let changed = |change: fn(&mut ResidentTask)| {
        let mut batch = good.clone();
        change(&mut batch.tasks[0]);
        batch
    };
    let over = |length: usize| ExecutionBatch {
        executions: vec![good.executions[0].clone(); length],
        ..good.clone()
    };
    let cases = [
        (unknown, &here, good.clone(), "it is not known"),
        (own, &elsewhere, good.clone(), "it lives on another agent"),
        (other, &here, good.clone(), not_own),
        (own, &here, changed(|task| task.item = 1), not_own),
        (own, &here, changed(|task| task.job = "k".parse().unwrap()), not_own),
        (
            own,
            &here,
            over(limits::EXECUTIONS_PER_MESSAGE + 1),
            "it says more than fits into a message",
        ),
    ];
    for (number, (executor, agent, batch, why)) in (1..).zip(cases) {
        let batch = ExecutionBatch { number, ..batch };
        let step = world.tells_from(executor, agent.clone(), batch);
        assert_eq!((states(&step).len(), passed_over(&step)), (0, Some(why)));
    }
    // A task that is not known may be one of any job of the app, and of no other.
    let stray = TaskId::from_uuid(ids.uuid(world.now.wall));
    for (executor, expected) in [(own, 1), (other, 0)] {
        let mut batch = ExecutionBatch { number: 20, ..good.clone() };
        (batch.tasks[0].task, batch.executions[0].task) = (stray, stray);
        assert_eq!(states(&world.tells_from(executor, here.clone(), batch)).len(), expected);
    }
    assert_eq!(states(&world.tells(ExecutionBatch { number: 21, ..good })).len(), 1);
}

#[test]
fn a_text_that_is_too_long_is_cut() {
    let mut world = World::new();
    let mut batch = world.one(1);
    batch.executions[0].message = Some("ä".repeat(limits::OUTPUT_TAIL_BYTES));
    let step = world.tells(batch);
    let message = step.trace[0].message.as_ref().unwrap();
    assert_eq!(message.len(), limits::OUTPUT_TAIL_BYTES);
}

#[test]
fn after_a_restart_only_what_is_on_its_way_may_come_twice() {
    let mut world = World::new();
    let first = world.one(1);
    world.tells(first.clone());
    world.engine = Engine::restore(CONFIG, 2, &world.stored, world.now).unwrap().0;
    assert_eq!(states(&world.tells(first.clone())).len(), 1, "nobody remembers");
    assert_eq!(states(&world.tells(first)).len(), 0);
}
