//! Bounds of the engine that users can reach: what happens there.

use std::time::Duration;

use muster_api::{TaskId, limits, views::TriggerRequest};
use muster_engine::{
    event::{Accepted, Command, Event, Signal},
    query::{Answer, Query},
};
use serde_json::json;

use super::cluster::Cluster;

/// A world with an app and a job of so many shards.
fn world(shards: u32) -> Cluster {
    let mut world = Cluster::new();
    world.put_app("a", &json!({}));
    let resources = json!({"cpus": 0.001, "mem": 1});
    world.put_job("j", "a", &json!({"sharding": {"count": shards}, "resources": resources}));
    world
}

fn versions(world: &Cluster) -> usize {
    world.keys().iter().filter(|key| key.starts_with("w/")).count()
}

#[test]
fn the_last_versions_of_a_job_are_kept_and_those_that_a_run_uses() {
    let mut world = world(1);
    world.start("j");
    world.offer();
    world.run_all();
    let kept = usize::try_from(limits::VERSIONS_KEPT).unwrap();
    for number in 0..kept + 5 {
        world.put_job("j", "a", &json!({"description": number.to_string()}));
    }
    assert_eq!(versions(&world), kept + 1, "the last ones, and that of the run");
    world.settle();
    world.put_job("j", "a", &json!({"description": "the last"}));
    assert_eq!(versions(&world), kept);
}

#[test]
fn a_step_launches_a_bounded_number_of_tasks() {
    let mut world = world(1_000);
    world.start("j");
    for launched in [limits::LAUNCHES_PER_STEP, 2 * limits::LAUNCHES_PER_STEP, 1_000] {
        world.offer();
        assert_eq!(world.tasks().len(), launched);
    }
}

#[test]
fn small_offers_of_a_host_are_given_back_to_become_one() {
    let mut world = Cluster::new();
    for _ in 0..limits::OFFERS_PER_AGENT {
        world.offer();
    }
    assert_eq!(world.declined, 0);
    world.offer();
    assert_eq!(world.declined, limits::OFFERS_PER_AGENT + 1);
}

#[test]
fn live_rows_are_bounded_and_the_rest_comes_after_them() {
    let mut world = Cluster::new();
    world.put_app("a", &json!({}));
    let runs = limits::LIVE_ROWS + 1;
    for number in 0..runs {
        let job = format!("j{}", number / limits::WAITING_TRIGGERS_PER_JOB);
        if number % limits::WAITING_TRIGGERS_PER_JOB == 0 {
            world.put_job(&job, "a", &json!({}));
        }
        world.start(&job);
    }
    let Answer::Runs(rows) = world.query(Query::Runs { job: None, before: None }) else {
        panic!("it was asked for runs");
    };
    assert_eq!(rows.len(), limits::LIVE_ROWS);
    let before = rows.last().map(|row| row.id);
    let Answer::Runs(rest) = world.query(Query::Runs { job: None, before }) else {
        panic!("it was asked for runs");
    };
    assert_eq!(rest.len(), 1);
    let Answer::Queue(rows) = world.query(Query::Queue { skip: 0, limit: runs }) else {
        panic!("it was asked for the queue");
    };
    assert_eq!(rows.len(), limits::LIVE_ROWS);
}

#[test]
fn a_few_runs_of_a_job_are_explained_and_the_others_counted() {
    let mut world = world(1);
    for _ in 0..limits::EXPLAINED_RUNS + 2 {
        world.start("j");
    }
    let Answer::ExplainJob(Some(job)) =
        world.query(Query::ExplainJob { job: "j".parse().unwrap() })
    else {
        panic!("it was asked why");
    };
    let explanation = job.explanation;
    assert_eq!((explanation.runs.len(), explanation.more_runs), (limits::EXPLAINED_RUNS, 2));
}

#[test]
fn an_idempotency_key_counts_for_a_day() {
    let mut world = world(1);
    let trigger = |world: &mut Cluster| {
        let (job, request) = ("j".parse().unwrap(), TriggerRequest::default());
        let key = Some("k".to_owned());
        match world.ask(Command::Trigger { job, request, idempotency_key: key }).unwrap() {
            Accepted::Run(run) => run.id,
            other => panic!("a trigger makes a run and not {other:?}"),
        }
    };
    let first = trigger(&mut world);
    world.pass(limits::IDEMPOTENCY_KEPT - Duration::from_secs(1));
    assert_eq!(trigger(&mut world), first);
    world.pass(Duration::from_secs(2));
    assert_ne!(trigger(&mut world), first);
}

#[test]
fn a_bounded_number_of_zombies_is_killed_again_and_the_others_when_they_are_heard() {
    let mut world = Cluster::new();
    let task = |number: usize| TaskId::from_uuid(uuid::Uuid::from_u128(number as u128 + 1));
    let all = limits::ZOMBIES + 1;
    (0..all).for_each(|number| world.say(task(number), Signal::Running));
    assert_eq!(world.killed().len(), all, "each is killed when it is heard of");
    world.pass(limits::KILL_REPEAT_FIRST);
    while world.has_more_to_do() {
        world.step(Event::Tick);
    }
    assert_eq!(world.killed().len(), limits::ZOMBIES, "and so many again");
    world.say(task(all - 1), Signal::Running);
    assert_eq!(world.killed().len(), 1);
}
