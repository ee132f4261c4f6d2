//! What is said and asked about hosts.

use std::time::Duration;

use muster_api::{AgentId, events::EventKind, limits, step::Write, views::AgentState};
use muster_engine::event::{Accepted, Command, Rejected};
use muster_master::core::{Connection, Event as MasterEvent};
use muster_proto::{
    FrameworkId, TaskId, TaskState,
    agent::{AgentBody, Heartbeat, MasterBody, TaskHere},
};
use muster_turn::{Core, Effect, Event, Turn};

use crate::world::*;

#[test]
fn a_round_of_questions_is_bounded_and_changes_nothing_where_nothing_is_wrong() {
    // More than two steps ask about.
    let tasks = limits::RECONCILE_TASKS * 2 + 1;
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.run(tasks);
    for (n, (_, launch)) in world.launched.clone().iter().enumerate() {
        world.agent_says(1, status(launch, n, TaskState::Running));
    }
    let stored = world.stored.clone();
    let (turn, reply) = world.command(Command::Reconcile);
    assert!(matches!(reply, Ok(Accepted::Reconciling { tasks: n }) if n == tasks as u64));
    assert!(turn.writes.is_empty());
    let mut pauses = 0;
    loop {
        world.settle();
        let next = world.core.next_wakeup().mono.unwrap();
        if next.since(world.now.mono) != limits::RECONCILE_PAUSE {
            break;
        }
        world.wait(limits::RECONCILE_PAUSE);
        pauses += 1;
    }
    // One step asks about so many, and the last about the one that is left; then the master is asked
    // for all that it knows, and says as many at a time.
    assert_eq!(pauses, 2 + 2);
    assert_eq!(world.stored, stored, "nothing was wrong");
    // All have answered, so the one look for those that have not finds nobody.
    world.wait(limits::RECONCILE_AGAIN_FIRST);
    world.agent_says(1, AgentBody::Heartbeat(Heartbeat { number: 2 }));
    world.settle();
    world.agent_says(1, AgentBody::Heartbeat(Heartbeat { number: 3 }));
    let next = world.core.next_wakeup().mono.unwrap().since(world.now.mono);
    assert_eq!(next, limits::SILENT_AFTER, "then nothing is asked for a quarter of an hour");
}

/// A task that the master knows and the engine does not, as after a restore.
#[test]
fn what_should_not_be_there_is_ended_when_the_master_names_it() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.run(1);
    let (_, launch) = world.launched[0].clone();
    let stray = |id: &str| {
        let mut task = launch.task.clone().unwrap();
        task.task_id = Some(TaskId::new(id));
        let framework_id: Option<FrameworkId> = launch.framework.as_ref().unwrap().id.clone();
        TaskHere { framework_id, task: Some(task), state: TaskState::Running as i32 }
    };
    let agent: AgentId =
        launch.task.as_ref().unwrap().agent_id.clone().unwrap().value.parse().unwrap();
    let id = "019a0000-0000-7000-8000-00000000abcd";
    let turn = world.hello(1, Some(&agent), vec![stray(id)]);
    let killed: Vec<_> = turn
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::ToAgent { body: MasterBody::Kill(kill), .. } => kill.task_id.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(killed, [TaskId::new(id)]);
    assert_eq!(turn.notes.len(), 2, "a zombie, and the task that the agent came back without");
}

#[test]
fn that_a_host_is_gone_is_one_commit_with_all_that_follows() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.run(3);
    let agent = world.view(1).id;
    let (_, refused) = world.command(Command::MarkAgentGone { agent: agent.clone() });
    assert!(matches!(refused, Err(Rejected::Conflict { .. })), "it is there");
    let nobody = "nobody".parse().unwrap();
    let (_, refused) = world.command(Command::MarkAgentGone { agent: nobody });
    assert!(matches!(refused, Err(Rejected::NotFound { kind: "agent", .. })));

    world.hello(2, None, Vec::new());
    world.turn(Event::Master(MasterEvent::Disconnected { connection: Connection(1) }));
    world.launched.clear();
    let (turn, reply) = world.command(Command::MarkAgentGone { agent: agent.clone() });
    let Ok(Accepted::Agent(view)) = reply else { panic!("{reply:?}") };
    assert_eq!((view.state, view.tasks, view.id), (AgentState::Gone, 0, agent.clone()));
    let gone = |write: &&Write| matches!(write, Write::Delete { key } if key.starts_with(b"t/"));
    assert_eq!(turn.writes.iter().filter(gone).count(), 3, "its tasks are over");
    assert_eq!(world.view(1).state, AgentState::Gone, "it is stored with them");

    // Their back-off is one second.
    world.wait(Duration::from_secs(1));
    world.settle();
    assert_eq!(world.launched.len(), 3);
    assert!(world.launched.iter().all(|(connection, _)| *connection == Connection(2)));

    let (core, first) = Core::restore(2, &world.stored, world.now).unwrap();
    world.core = core;
    world.keep(&first);
    let (turn, reply) = world.command(Command::MarkAgentGone { agent: agent.clone() });
    assert!(turn.writes.is_empty() && reply.is_ok(), "it is gone already");
    let turn = world.hello(1, Some(&agent), Vec::new());
    assert!(
        turn.effects.iter().any(|effect| matches!(
            effect,
            Effect::ToAgent { body: MasterBody::Refused(refused), .. } if refused.gone
        )),
        "nothing of it is taken back: {turn:?}"
    );
}

/// What is told of hosts: what became of them, and their names.
fn host_events(turns: &[Turn]) -> Vec<(String, String)> {
    let events = turns.iter().flat_map(|turn| &turn.trace);
    let events = events.filter(|event| event.kind == EventKind::Host);
    events.map(|event| (event.state.to_string(), event.hostname.clone().unwrap())).collect()
}

#[test]
fn a_host_that_does_not_come_back_after_a_restart_has_its_name() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    let id = world.view(1).id;
    let (core, first) = Core::restore(2, &world.stored, world.now).unwrap();
    world.core = core;
    world.keep(&first);
    let mut turns = vec![first];
    turns.extend(world.settle_with(&[]));
    let told = |state: &str| vec![(state.to_owned(), "host1".to_owned())];
    assert_eq!(host_events(&turns), told("silent"));
    world.wait(limits::SILENT_AFTER);
    world.settle();
    // The engine has nothing of it, and still its end is told, once.
    let gone = Command::MarkAgentGone { agent: id };
    let (turn, reply) = world.command(gone.clone());
    assert!(matches!(reply, Ok(Accepted::Agent(view)) if view.state == AgentState::Gone));
    assert_eq!(host_events(&[turn]), told("gone"));
    let (turn, reply) = world.command(gone);
    assert!(reply.is_ok());
    assert_eq!(host_events(&[turn]), []);
}
