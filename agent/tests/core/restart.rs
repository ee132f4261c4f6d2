//! What an agent finds when it was restarted.

use muster_agent::{
    core::{Agent, Config, Effect, Event, Identity, RestoreError},
    supervise::Why,
};
use muster_api::limits;
use muster_proto::{Reason, TaskState, executor::EventType};

use super::world::{World, config, container, events, only_status, report, states, statuses};

#[test]
fn executors_that_do_not_come_back_after_a_restart_are_ended() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let effects = world.restart();
    assert!(effects.contains(&Effect::Attach { container: container("e1") }));
    world.step(Event::Started { container: container("e1"), pid: 100 });
    world.pass(limits::EXECUTOR_REREGISTRATION);
    assert!(matches!(world.step(Event::Tick)[..], [Effect::End { .. }]));
    world.exit(Why::Ended);
    let status = only_status(&world.register(true));
    assert_eq!(status.state(), TaskState::Gone);
    assert_eq!(status.reason(), Reason::ExecutorReregistrationTimeout);
    assert_eq!(status.message(), "its executor did not subscribe again within 15 s");
}

#[test]
fn a_restart_goes_on_where_the_journal_ends() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    world.update(1, TaskState::Running, 1);
    world.update(1, TaskState::Finished, 2);
    world.acknowledge(vec![1; 16]);
    world.restart();
    // What was written down once more says the same.
    world.restart();
    let resent = world.register(true);
    assert_eq!(states(&resent), [(TaskState::Finished, TaskState::Finished)]);
    let effects =
        world.subscribe(1, vec![report(TaskState::Running, 1), report(TaskState::Finished, 2)]);
    assert_eq!(
        events(&effects),
        [EventType::Subscribed, EventType::Acknowledged, EventType::Acknowledged]
    );
    assert_eq!(statuses(&effects), []);
    world.acknowledge(vec![2; 16]);
    world.restart();
    assert_eq!(statuses(&world.register(true)), []);
}

#[test]
fn resources_that_undercut_what_runs_are_refused() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let less = Config { resources: "cpus:1;mem:64".parse().unwrap(), ..config() };
    let refused =
        Agent::restore(less, Identity::default(), 1, world.journal.clone(), world.now).unwrap_err();
    let words = "resources of `cpus:1;mem:64` are less than the `cpus:1.5` that run here now";
    assert_eq!(refused.to_string(), words);
    let (given, used) = ("cpus:1;mem:64".to_owned(), "cpus:1.5".to_owned());
    assert_eq!(refused, RestoreError::Undercut { given, used });
}
