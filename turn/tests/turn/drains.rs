//! Hosts that an operator wants empty.

use std::time::Duration;

use muster_api::{
    AgentId,
    events::EventKind,
    limits,
    spec::JobSpec,
    views::{AgentState, AgentView},
};
use muster_engine::event::{Accepted, Command, Expect, Rejected};
use muster_master::core::Connection;
use muster_proto::{
    TaskState,
    agent::{AgentBody, Heartbeat, Launch, MasterBody, TaskHere},
};
use muster_turn::{Core, Effect, Turn};
use serde_json::json;

use crate::world::*;

fn killed(turn: &Turn) -> Vec<String> {
    let pick = |effect: &Effect| match effect {
        Effect::ToAgent { body: MasterBody::Kill(kill), .. } => Some(kill.task_id.clone()?.value),
        _ => None,
    };
    turn.effects.iter().filter_map(pick).collect()
}

fn id_of(launch: &Launch) -> String {
    launch.task.as_ref().unwrap().task_id.clone().unwrap().value
}

fn drain(world: &mut World, agent: &AgentId, deadline: Option<&str>) -> (Turn, AgentView) {
    let deadline = deadline.map(|span| span.parse().unwrap());
    let (turn, reply) = world.command(Command::DrainAgent { agent: agent.clone(), deadline });
    let Ok(Accepted::Agent(view)) = reply else { panic!("{reply:?}") };
    (turn, *view)
}

/// A world with two hosts and three running tasks on the first; its agent.
fn running() -> (World, AgentId) {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.run(3);
    world.hello(2, None, Vec::new());
    for (n, (_, launch)) in world.launched.clone().iter().enumerate() {
        world.agent_says(1, status(launch, n, TaskState::Running));
    }
    let agent = world.view(1).id;
    (world, agent)
}

#[test]
fn a_drain_is_stored_before_it_is_answered_and_the_answer_says_what_is_left() {
    let (mut world, agent) = running();
    let nobody = "nobody".parse().unwrap();
    let (_, refused) = world.command(Command::DrainAgent { agent: nobody, deadline: None });
    assert!(matches!(refused, Err(Rejected::NotFound { kind: "agent", .. })));
    let (turn, view) = drain(&mut world, &agent, Some("10m"));
    assert_eq!((view.state, view.tasks, view.executors), (AgentState::Draining, 3, 1));
    let at = view.drain.unwrap().deadline.unwrap();
    assert_eq!(at, world.now.wall + Duration::from_secs(600));
    let [left] = &view.left[..] else { panic!("one run: {view:?}") };
    assert_eq!((left.tasks, &*left.items), (3, "0-2"));
    assert_eq!(left.detail, "moved at the deadline of the drain if not over");
    assert_eq!(turn.writes.len(), 1, "the record of the host");
    assert_eq!(world.view(1).drain, view.drain, "it is stored");
    let states: Vec<_> = turn.trace.iter().map(|event| (event.kind, &*event.state)).collect();
    assert_eq!(states, [(EventKind::Host, "draining")]);
    let (turn, _) = drain(&mut world, &agent, Some("10m"));
    assert!(turn.trace.is_empty(), "it is drained already");

    let (turn, reply) = world.command(Command::ActivateAgent { agent: agent.clone() });
    assert!(matches!(reply, Ok(Accepted::Agent(view)) if view.drain.is_none()));
    let states: Vec<_> = turn.trace.iter().map(|event| (event.kind, &*event.state)).collect();
    assert_eq!(states, [(EventKind::Host, "activated")]);
    let (turn, reply) = world.command(Command::ActivateAgent { agent });
    assert!(turn.writes.is_empty() && turn.trace.is_empty() && reply.is_ok());
}

#[test]
fn tasks_are_moved_at_the_deadline_and_start_elsewhere_only_after_their_end() {
    let (mut world, agent) = running();
    let tasks = std::mem::take(&mut world.launched);
    drain(&mut world, &agent, Some("5s"));
    world.wait(Duration::from_secs(5));
    let turns = world.settle_with(&[1, 2]);
    let all: Vec<_> = turns.iter().flat_map(killed).collect();
    assert_eq!(all.len(), 3);
    assert!(world.launched.is_empty(), "nothing starts while the former one may run");
    for (n, (_, launch)) in tasks.iter().enumerate() {
        world.agent_says(1, status(launch, 10 + n, TaskState::Killed));
        assert_eq!(world.launched.len(), n + 1);
    }
    assert!(world.launched.iter().all(|(connection, _)| *connection == Connection(2)));
    assert_eq!(world.agent(&agent).tasks, 0, "and its executor is told to end");
    assert_eq!(world.agent(&agent).state, AgentState::Draining);
    world.executor_exits(1, &tasks[0].1);
    assert_eq!(world.agent(&agent).state, AgentState::Drained);
}

/// However many there are.
#[test]
fn a_bounded_number_of_tasks_is_moved_with_each_commit() {
    let tasks = 3 * limits::DRAIN_MOVES_PER_STEP + 1;
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.run(tasks);
    for (n, (_, launch)) in world.launched.clone().iter().enumerate() {
        world.agent_says(1, status(launch, n, TaskState::Running));
    }
    let agent = world.view(1).id;
    let (first, _) = drain(&mut world, &agent, Some("0s"));
    let mut turns = vec![first];
    for _ in 0..3 {
        world.wait(limits::DRAIN_PAUSE);
        turns.extend(world.settle_with(&[1]));
    }
    let moved: Vec<_> = turns.iter().map(|turn| killed(turn).len()).filter(|n| *n > 0).collect();
    let most = limits::DRAIN_MOVES_PER_STEP;
    assert_eq!(moved, [most, most, most, 1]);
    assert!(turns.iter().all(|turn| turn.writes.len() <= limits::COMMIT_RECORDS / 2));
}

#[test]
fn what_is_left_is_listed_up_to_a_bound() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    for number in 0..=limits::DRAIN_LEFT_ROWS {
        let job = json!({
            "name": format!("j{number}"), "app": "a", "type": "simple", "sharding": {"count": 1},
            "resources": {"cpus": 0.001, "mem": 1},
        });
        let spec = JobSpec::parse(job).unwrap().spec;
        world.command(Command::PutJob { spec, expect: Expect::Anything }).1.unwrap();
        world.trigger(&format!("j{number}"));
    }
    assert_eq!(world.launched.len(), limits::DRAIN_LEFT_ROWS + 1);
    let agent = world.view(1).id;
    let (_, view) = drain(&mut world, &agent, None);
    assert_eq!((view.left.len(), view.tasks as usize), (limits::DRAIN_LEFT_ROWS, 101));
}

/// The scheduler is killed, and the deadline passes while it is away.
#[test]
fn a_deadline_that_passed_while_the_scheduler_was_down_is_over_at_its_start() {
    let (mut world, agent) = running();
    drain(&mut world, &agent, Some("10m"));
    let tasks = std::mem::take(&mut world.launched);
    world.wait(Duration::from_secs(700));
    let (core, first) = Core::restore(2, &world.stored, world.now).unwrap();
    world.core = core;
    world.keep(&first);
    let here = |(_, launch): &(Connection, Launch)| TaskHere {
        framework_id: launch.framework.as_ref().unwrap().id.clone(),
        task: launch.task.clone(),
        state: TaskState::Running as i32,
    };
    let here: Vec<_> = tasks.iter().map(here).collect();
    world.hello(1, Some(&agent), here);
    world.hello(2, None, Vec::new());
    let turns = world.settle_with(&[1, 2]);
    // The kills of before the host was back did not reach it; the next ones do.
    let mut told: Vec<_> = turns.iter().flat_map(killed).collect();
    for _ in 0..30 {
        world.wait(Duration::from_secs(1));
        told.extend(world.settle_with(&[1, 2]).iter().flat_map(killed));
    }
    for (_, launch) in &tasks {
        assert!(told.contains(&id_of(launch)), "{told:?}");
    }
    assert!(world.launched.is_empty());
    for (n, (_, launch)) in tasks.iter().enumerate() {
        world.agent_says(1, status(launch, 20 + n, TaskState::Killed));
    }
    assert_eq!(world.launched.len(), 3);
    assert!(world.launched.iter().all(|(connection, _)| *connection == Connection(2)));
}

/// What runs there of a daemon job goes to the other host, one shard after the other.
#[test]
fn resident_tasks_follow_one_by_one() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    let job = json!({
        "name": "d", "app": "a", "type": "simple", "sharding": {"count": 2},
        "execution": "daemon", "schedule": {"every": "10s"},
        "resources": {"cpus": 1, "mem": 1},
    });
    let spec = JobSpec::parse(job).unwrap().spec;
    world.command(Command::PutJob { spec, expect: Expect::Anything }).1.unwrap();
    world.settle();
    for (n, (_, launch)) in world.launched.clone().iter().enumerate() {
        world.agent_says(1, status(launch, n, TaskState::Running));
    }
    let agent = world.view(1).id;
    let tasks = std::mem::take(&mut world.launched);
    let (turn, _) = drain(&mut world, &agent, None);
    assert_eq!(killed(&turn).len(), 0, "there is no other host");
    world.hello(2, None, Vec::new());
    for (n, (_, launch)) in tasks.iter().enumerate() {
        world.wait(limits::DRAIN_LOOK);
        let turns = world.settle_with(&[1, 2]);
        let told: Vec<_> = turns.iter().flat_map(killed).collect();
        assert_eq!(told, [id_of(launch)], "one at a time");
        world.agent_says(1, status(launch, 10 + n, TaskState::Killed));
        let (on, next) = world.launched.pop().unwrap();
        assert_eq!(on, Connection(2));
        world.agent_says(2, AgentBody::Heartbeat(Heartbeat { number: 50 + n as u64 }));
        world.agent_says(2, status(&next, 30 + n, TaskState::Running));
    }
    assert_eq!(world.agent(&agent).tasks, 0);
}
