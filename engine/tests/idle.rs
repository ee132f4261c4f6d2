//! What idle executors cost, however often they become idle.

#![allow(clippy::unwrap_used, reason = "an engine that cannot be asked is a failed test")]

use std::{collections::BTreeMap, time::Duration};

use muster_api::{
    Mono, Now,
    spec::{AppSpec, JobSpec},
    step::Records,
    task::TaskReport,
    views::TriggerRequest,
};
use muster_engine::{
    Engine, EngineConfig,
    effect::{Effect, Note},
    event::{Command, Event, Expect, Offer, RequestId, Signal, TaskUpdate},
};
use serde_json::json;

const CONFIG: EngineConfig = EngineConfig::new(|_, _| Vec::new());
const DAY: Duration = Duration::from_secs(24 * 3600);

fn command(command: Command) -> Event {
    Event::Command { request: RequestId(1), command }
}

fn offer(number: u32) -> Event {
    Event::Offers(vec![Offer {
        id: format!("offer{number}").parse().unwrap(),
        agent: "agent".parse().unwrap(),
        hostname: "host".to_owned(),
        attributes: BTreeMap::new(),
        resources: "cpus:2;mem:64".parse().unwrap(),
        executors: Vec::new(),
    }])
}

/// Runs the job once, from its launch to its end.
fn run(engine: &mut Engine, now: Now, number: u32) {
    engine.step(now, offer(number));
    let (job, request) = ("j".parse().unwrap(), TriggerRequest::default());
    let trigger = Command::Trigger { job, request, idempotency_key: None };
    let launches = engine.step(now, command(trigger)).effects.into_iter();
    let mut tasks = launches.filter_map(|effect| match effect {
        Effect::Launch(batch) => Some(batch.tasks[0].task),
        _ => None,
    });
    engine.step(
        now,
        Event::Task(TaskUpdate {
            task: tasks.next().unwrap(),
            agent: None,
            signal: Signal::Finished,
            source: Default::default(),
            at: None,
            message: String::new(),
            report: TaskReport::default(),
            uuid: None,
        }),
    );
}

#[test]
fn an_executor_that_is_often_idle_is_looked_at_once_and_ends_in_time() {
    let mut now = Now { wall: "2026-01-01T00:00:00Z".parse().unwrap(), mono: Mono::default() };
    let (mut engine, _) = Engine::restore(CONFIG, 1, &Records::new(), now).unwrap();
    let resources = json!({"cpus": 1, "mem": 32});
    let app = json!({"name": "a", "resources": resources, "idle_timeout": "7d"});
    let spec = AppSpec::parse(app).unwrap().spec;
    engine.step(now, command(Command::PutApp { spec, expect: Expect::Nothing }));
    let job = json!({"name": "j", "app": "a", "type": "script", "script": {"command": ":"},
        "sharding": {"count": 1}, "resources": resources});
    let spec = JobSpec::parse(job).unwrap().spec;
    engine.step(now, command(Command::PutJob { spec, expect: Expect::Nothing }));

    for number in 1..=500 {
        now.wall = now.wall + Duration::from_secs(1);
        now.mono = now.mono + Duration::from_secs(1);
        run(&mut engine, now, number);
    }
    let idle_since = now.mono;

    let (mut looks, mut ended_at) = (0, None);
    while let Some(next) = engine.next_wakeup().mono.filter(|at| *at < idle_since + 8 * DAY) {
        let passed = next.since(now.mono);
        now = Now { wall: now.wall + passed, mono: next };
        looks += 1;
        let step = engine.step(now, Event::Tick);
        if step.notes.iter().any(|note| matches!(note, Note::ExecutorIdle { .. })) {
            ended_at = Some(now.mono);
            break;
        }
    }
    assert_eq!(ended_at, Some(idle_since + 7 * DAY));
    assert!(looks <= 2, "it was looked at {looks} times");
}
