//! The agent is restarted under foreign executors.

use std::time::Duration;

use muster_agent::{
    core::{Answer, Config, Effect, Event},
    supervise::{Exit, Why},
};
use muster_api::limits;
use muster_proto::{
    Reason, TaskState,
    executor::{EventType, Subscribe},
};

use super::{
    guest::{Guest, ended, fetched, status, task, with_updates},
    world::{SECOND, config, events, only_status, statuses},
};

#[test]
fn without_checkpoints_a_restart_is_the_end_of_executor_and_tasks() {
    let mut guest = Guest::new(false);
    let container = guest.running();
    guest.update(status("t1", TaskState::Running, 1));
    let effects = guest.world.restart();
    assert_eq!(effects, [Effect::Attach { container: container.clone() }]);
    let (executors, tasks) = guest.hello();
    assert_eq!((executors.as_slice(), tasks.len()), (&["e1".to_owned()][..], 0));
    assert_eq!(guest.subscribe(Subscribe::default()).1.len(), 2, "SHUTDOWN, and the end");
    let effects = guest.world.step(Event::Started { container: container.clone(), pid: 100 });
    let end = Effect::End { container: container.clone(), grace: Duration::ZERO };
    assert_eq!(effects, [end], "its master has called its tasks lost");
    // It may die at any moment of this, and comes back only to go on with it.
    assert_eq!(guest.world.restart(), [Effect::Attach { container: container.clone() }]);
    guest.world.register(true);
    let exit = Exit { status: 9, ..Exit::unknown(Why::Ended) };
    let effects = guest.world.step(Event::Exited { container, exit });
    assert_eq!((statuses(&effects).len(), ended(&effects)[0].status), (0, 9));
    assert_eq!(guest.world.restart(), []);
}

#[test]
fn with_checkpoints_it_has_two_seconds_to_come_back_and_is_heard_then() {
    let mut guest = Guest::new(true);
    let container = guest.running();
    guest.update(status("t1", TaskState::Running, 1));
    guest.world.restart();
    guest.world.step(Event::Started { container, pid: 100 });
    assert_eq!(guest.hello(), (vec!["e1".to_owned()], vec![("t1".to_owned(), TaskState::Running)]));
    let (answer, _) = guest.update(status("t1", TaskState::Finished, 2));
    assert_eq!(answer, Answer::NotRecovered);
    let open = vec![status("t1", TaskState::Running, 1), status("t1", TaskState::Finished, 2)];
    let (answer, effects) = guest.subscribe(with_updates(open));
    assert_eq!(answer, Answer::Accepted);
    use EventType as E;
    assert_eq!(events(&effects), [E::Subscribed, E::Acknowledged, E::Acknowledged]);
    guest.world.step(Event::Disconnected { connection: guest.world.connection() });
    assert_eq!(guest.tick_after(limits::FOREIGN_REREGISTRATION * 2), []);
    let told = guest.world.register(true);
    assert_eq!(only_status(&told).uuid, Some(vec![1; 16]), "in order, and once each");
    let next = guest.acknowledge("t1", vec![1; 16]);
    assert_eq!(only_status(&next).state(), TaskState::Finished);
}

#[test]
fn one_that_does_not_come_back_in_time_is_ended() {
    let mut guest = Guest::new(true);
    let container = guest.running();
    guest.world.restart();
    guest.world.step(Event::Started { container: container.clone(), pid: 100 });
    assert_eq!(guest.tick_after(limits::FOREIGN_REREGISTRATION - SECOND), []);
    let end = Effect::End { container: container.clone(), grace: Duration::ZERO };
    assert_eq!(guest.tick_after(SECOND), [end]);
    let exit = Exit { status: 9, ..Exit::unknown(Why::Ended) };
    guest.world.step(Event::Exited { container, exit });
    let told = only_status(&guest.world.register(true));
    assert_eq!(told.reason(), Reason::ExecutorReregistrationTimeout);
    assert_eq!(told.state(), TaskState::Gone);
}

#[test]
fn how_long_it_has_to_come_back_is_what_the_agent_was_told() {
    let mut guest = Guest::new(true);
    let container = guest.running();
    let longer = Duration::from_secs(30);
    guest.world.restart_as(Config { executor_reregistration: longer, ..config() });
    guest.world.step(Event::Started { container: container.clone(), pid: 100 });
    assert_eq!(guest.tick_after(longer - SECOND), []);
    let end = Effect::End { container, grace: Duration::ZERO };
    assert_eq!(guest.tick_after(SECOND), [end]);
}

/// It names the tasks that it holds. What was sent to it and is not among them never came there.
#[test]
fn a_task_that_was_sent_and_not_received_is_dropped_and_one_that_was_is_not_sent_again() {
    for is_held in [true, false] {
        let mut guest = Guest::new(true);
        let container = guest.running();
        guest.world.restart();
        guest.world.step(Event::Started { container: container.clone(), pid: 100 });
        guest.world.register(true);
        let held = if is_held { vec![task("t1", "e1")] } else { Vec::new() };
        let subscribe = Subscribe { unacknowledged_tasks: held, ..Subscribe::default() };
        let (_, effects) = guest.subscribe(subscribe);
        assert_eq!(events(&effects), [EventType::Subscribed]);
        assert_eq!(statuses(&effects).len(), usize::from(!is_held));
        if !is_held {
            let told = only_status(&effects);
            assert_eq!((told.state(), told.reason()), (TaskState::Dropped, Reason::AgentRestarted));
            let lives_in = told.container_status.unwrap().container_id.unwrap().value;
            assert_eq!(lives_in, container.as_str(), "its executor lives");
        }
    }
}

/// The journal of one that wants no checkpoints holds its executors, for they must be ended, and
/// nothing of its tasks.
#[test]
fn tasks_without_checkpoints_are_not_written_down() {
    for (checkpoint, entries) in [(false, 1), (true, 3)] {
        let mut guest = Guest::new(checkpoint);
        guest.running();
        guest.update(status("t1", TaskState::Running, 1));
        assert_eq!(guest.world.journal.len(), entries);
        assert_eq!(guest.world.agent.snapshot().len(), entries);
    }
}

#[test]
fn a_launch_that_was_never_answered_is_dropped_after_the_restart() {
    let mut guest = Guest::new(true);
    fetched(&guest.launch(task("t1", "e1")));
    // The agent died between the two entries.
    guest.world.journal.remove(0);
    guest.world.restart();
    let told = only_status(&guest.world.register(true));
    assert_eq!((told.state(), told.reason()), (TaskState::Dropped, Reason::AgentRestarted));
}
