//! What foreign frameworks are told of the ends of their executors: in the words of Mesos.

use std::time::Duration;

use muster_agent::{
    core::{Container, Effect, Event},
    supervise::{Exit, Why},
};
use muster_api::limits;
use muster_proto::{Reason, TaskState, agent::AgentBody, executor::Subscribe};

use super::{
    guest::{Guest, ended, fetched, task},
    world::{SECOND, only_status},
};

/// An executor whose process runs, and that has not subscribed.
fn begun() -> (Guest, Container) {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch(task("t1", "e1")));
    guest.begin(&container);
    (guest, container)
}

#[test]
fn an_executor_that_ends_takes_its_tasks_along_and_its_status_is_told_raw() {
    for (raw, subscribes) in [(3 << 8, true), (9, true), (127 << 8, false), (0, false)] {
        let (mut guest, container) = begun();
        if subscribes {
            guest.subscribe(Subscribe::default());
        }
        let effects = guest.exit(&container, raw);
        let told = only_status(&effects);
        let is_status =
            |effect: &Effect| matches!(effect, Effect::ToMaster { body: AgentBody::Status(_), .. });
        let is_end = |effect: &Effect| {
            matches!(effect, Effect::ToMaster { body: AgentBody::ExecutorExited(_), .. })
        };
        assert!(effects.iter().position(is_end) < effects.iter().position(is_status));
        assert_eq!((told.state(), told.reason()), (TaskState::Failed, Reason::ExecutorTerminated));
        assert_eq!(told.message(), "Executor terminated");
        assert_eq!((told.labels, told.data, told.container_status), (None, None, None));
        assert_eq!(told.executor_id.unwrap().value, "e1");
        assert_eq!(told.uuid.unwrap().len(), 16);
        assert_eq!(ended(&effects).iter().map(|e| e.status).collect::<Vec<_>>(), [raw]);
    }
}

#[test]
fn an_executor_that_never_subscribes_is_killed_at_once_when_its_time_is_over() {
    let (mut guest, container) = begun();
    let connection = guest.world.connection();
    guest.world.step(Event::Disconnected { connection });
    assert_eq!(guest.tick_after(limits::EXECUTOR_REGISTRATION - SECOND), []);
    let end = Effect::End { container: container.clone(), grace: Duration::ZERO };
    assert_eq!(guest.tick_after(SECOND), [end]);
    let exit = Exit { status: 9, ..Exit::unknown(Why::Ended) };
    guest.world.step(Event::Exited { container, exit });
    let told = only_status(&guest.world.register(true));
    assert_eq!(told.reason(), Reason::ExecutorRegistrationTimeout);
    assert_eq!(told.message(), "Executor did not register within 1mins");
}

#[test]
fn one_that_cannot_be_started_has_failed() {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch(task("t1", "e1")));
    let outcome = Err("no such file".to_owned());
    let effects = guest.world.step(Event::Fetched { container, outcome });
    let told = only_status(&effects);
    assert_eq!((told.state(), told.reason()), (TaskState::Failed, Reason::ContainerLaunchFailed));
    assert_eq!(told.message(), "Failed to launch container: no such file");

    let container = fetched(&guest.launch(task("t2", "e1")));
    guest.world.step(Event::Fetched { container: container.clone(), outcome: Ok(()) });
    let exit = Exit { message: "no program".to_owned(), ..Exit::unknown(Why::Unstartable) };
    let effects = guest.world.step(Event::Exited { container, exit });
    let told = only_status(&effects);
    assert_eq!(told.reason(), Reason::ContainerLaunchFailed);
    let words = "Failed to launch container: could not be started: no program";
    assert_eq!(told.message(), words);
}
