//! Tasks and executors that are to end.

use std::time::Duration;

use muster_agent::{
    core::{Effect, Event, Session},
    supervise::Why,
};
use muster_api::limits;
use muster_proto::{
    DurationInfo, KillPolicy, Reason, TaskId, TaskState,
    agent::{Kill, MasterBody, ShutdownExecutor},
    executor::EventType,
};

use super::world::{SECOND, World, container, events, framework, id, only_status, task};

#[test]
fn kills_reach_tasks_wherever_they_are() {
    let kill = || {
        let (framework_id, task_id) = (framework().id, Some(TaskId::new("t1")));
        MasterBody::Kill(Kill { framework_id, task_id, kill_policy: None })
    };
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "1h", None));
    let status = only_status(&world.say(kill()));
    assert_eq!(status.state(), TaskState::Killed);
    assert_eq!(status.reason(), Reason::TaskKilledDuringLaunch);

    let mut world = World::new();
    world.register(true);
    world.running("1h");
    assert_eq!(events(&world.say(kill())), [EventType::Kill]);
    world.step(Event::Left { session: Session(1) });
    assert_eq!(world.say(kill()), [], "it waits for the executor to come back");
    let back = world.subscribe(2, Vec::new());
    assert_eq!(events(&back), [EventType::Subscribed, EventType::Launch, EventType::Kill]);
}

/// Its process is frozen, say, and whoever kills a task there would wait for ever.
#[test]
fn an_executor_that_does_not_end_a_killed_task_is_ended() {
    let kill = || {
        let (framework_id, task_id) = (framework().id, Some(TaskId::new("t1")));
        let grace = KillPolicy { grace_period: Some(DurationInfo { nanoseconds: 2_000_000_000 }) };
        MasterBody::Kill(Kill { framework_id, task_id, kill_policy: Some(grace) })
    };
    let overdue = SECOND * 2 + limits::KILL_OVERDUE;
    let ends = |effects: &[Effect]| matches!(effects, [Effect::End { .. }]);
    for ends_in_time in [true, false] {
        let mut world = World::new();
        world.register(true);
        world.running("1h");
        world.step(Event::Disconnected { connection: world.connection() });
        world.register(true);
        world.say(kill());
        world.pass(SECOND * 10);
        // That it is said again does not give more time.
        world.say(kill());
        if ends_in_time {
            world.update(1, TaskState::Killed, 1);
        }
        world.step(Event::Disconnected { connection: world.connection() });
        world.pass(overdue - SECOND * 11);
        assert!(!ends(&world.step(Event::Tick)));
        world.pass(SECOND);
        assert_eq!(ends(&world.step(Event::Tick)), !ends_in_time);
        if !ends_in_time {
            world.step(Event::Left { session: Session(1) });
            world.exit(Why::Ended);
            let status = only_status(&world.register(true));
            assert_eq!(status.state(), TaskState::Failed);
            assert!(status.message().contains("did not end a killed task"), "{status:?}");
        }
    }
}

#[test]
fn a_shutdown_is_asked_for_then_forced_and_takes_no_more_launches() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let (framework_id, executor_id) = (framework().id, Some(id("e1")));
    let shutdown = ShutdownExecutor { framework_id, executor_id };
    let effects = world.say(MasterBody::ShutdownExecutor(shutdown));
    assert_eq!(events(&effects), [EventType::Shutdown]);
    let status = only_status(&world.launch(task("t2", "e1", "1h", Some("alive"))));
    assert_eq!(status.state(), TaskState::Dropped);
    world.pass(limits::EXECUTOR_SHUTDOWN_GRACE);
    let effects = world.step(Event::Tick);
    let forced = Effect::End { container: container("e1"), grace: Duration::ZERO };
    assert!(effects.contains(&forced), "{effects:?}");
}
