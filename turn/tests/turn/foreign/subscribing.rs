//! Coming, breaking off, and coming anew.

use muster_api::{spec::AppSpec, views::ShardState};
use muster_engine::event::{Command, Expect};
use muster_proto::{
    self as mesos, TaskState,
    scheduler::{CallType, Event as Says, EventType, Rescind},
};
use muster_session::link::Event as LinkEvent;
use muster_turn::Event;
use serde_json::json;

use super::world::{ASKED, SECOND, Said, WAIT, World, executor_of, has, kind};

#[test]
fn the_id_is_stored_in_the_commit_that_the_first_calls_wait_for() {
    let mut world = World::new();
    assert_eq!(world.names(), [], "nothing is said before there is a subscription");
    let turn = world.subscribe("f-1");
    assert!(has(&turn, "S/framework"));
    assert_eq!(world.names(), [CallType::Reconcile, CallType::Suppress]);
    assert_eq!(world.stored[&b"S/framework"[..]], b"f-1");
    // The next process comes as the same framework, and stores nothing anew.
    world.restart();
    let turn = world.subscribe("f-1");
    assert!(!has(&turn, "S/framework"));
}

#[test]
fn a_removed_framework_comes_anew_and_what_it_had_is_waited_for() {
    let mut world = World::new();
    world.subscribe("f-1");
    let run = world.run(2, true);
    world.calls.clear();
    world.offer("s1", &[]);
    let tasks = world.launched();
    let (old, task) = (executor_of(&tasks[0].1), tasks[0].1.clone());
    world.status(&task, TaskState::Running, Said::Executor);
    let error = mesos::scheduler::Error { message: "Framework has been removed".to_owned() };
    let turn = world.says(Says { error: Some(error), ..kind(EventType::Error) });
    assert!(has(&turn, "S/framework") && has(&turn, "m/disowned"), "in one commit");
    assert!(!world.stored.contains_key(&b"S/framework"[..]));
    // Killed in between: what is stored is enough.
    world.wait(SECOND * 10);
    world.restart();
    world.subscribe("f-2");
    assert_eq!(world.stored[&b"S/framework"[..]], b"f-2");
    // The master says of the new framework that it has no such task, which is true, and that task
    // may be in its last seconds.
    world.status(&task, TaskState::Gone, ASKED);
    world.status(&task, TaskState::Running, ASKED);
    world.offer("s1", &[]);
    assert_eq!(world.launched(), []);
    assert_eq!(world.state_of(&run, 1), ShardState::Launching);
    world.wait(WAIT + SECOND);
    world.offer("s1", &[]);
    let again = world.launched();
    assert_eq!(again.len(), 2);
    assert_ne!(executor_of(&again[0].1), old, "no executor from before is used again");
    // Those are of the new framework, and are believed again.
    world.status(&again[0].1, TaskState::Gone, ASKED);
    assert_ne!(world.state_of(&run, 0), ShardState::Launching);
}

#[test]
fn offers_are_void_with_the_subscription_and_with_a_word() {
    let mut world = World::new();
    world.subscribe("f");
    world.offer("s1", &[]);
    let rescind = Some(Rescind { offer_id: Some(mesos::OfferId::new("o1")) });
    world.says(Says { rescind, ..kind(EventType::Rescind) });
    world.calls.clear();
    let run = world.run(1, true);
    assert_eq!(world.names(), [CallType::Revive]);
    let old = world.attempt;
    world.break_off();
    let new = std::mem::replace(&mut world.attempt, old);
    world.offer("s1", &[]);
    assert_eq!(world.calls, [], "an offer of a try that is over is none");
    world.attempt = new;
    assert_eq!(world.state_of(&run, 0), ShardState::Pending);
    world.subscribe("f");
    world.offer("s1", &[]);
    assert_eq!(world.launched().len(), 1);
}

/// Offers that did not fit into a full commit are told to the engine in the next turn, unless they
/// are void by then.
#[test]
fn offers_that_wait_for_the_next_turn_are_void_with_the_subscription_too() {
    let mut world = World::new();
    world.subscribe("f");
    let app = json!({"name": "a", "resources": {"cpus": 0.1, "mem": 32}});
    let spec = AppSpec::parse(app).unwrap().spec;
    world.command(Command::PutApp { spec, expect: Expect::Anything }).unwrap();
    world.run_of(json!({
        "name": "j", "app": "a", "type": "script", "script": {"command": "x"},
        "sharding": {"count": 2000},
        "resources": {"cpus": 0.001, "mem": 1},
    }));
    world.calls.clear();
    // Without a commit between them.
    let mut calls = Vec::new();
    for agent in ["s1", "s2", "s3"] {
        let (attempt, event) = (world.attempt, world.offer_of(agent, &[]));
        let event = Event::Link(LinkEvent::Heard { attempt, event });
        let turn = world.core.advance(world.now, event);
        calls.push(turn.effects.len());
    }
    assert_eq!(calls, [1, 1, 0], "the third one waits");
    let (attempt, why) = (world.attempt, "it broke".to_owned());
    let closed = Event::Link(LinkEvent::Closed { attempt, why });
    world.core.advance(world.now, closed);
    // The first of these is full by what was decided before, and the next one is not.
    world.turn(Event::Tick);
    world.turn(Event::Tick);
    let ended = world.stored.keys().filter(|key| key.starts_with(b"h/t/")).count();
    assert_eq!(ended, 0, "nothing was launched by an offer that is void");
}
