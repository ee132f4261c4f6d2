//! An agent that was declared gone.

use std::time::Duration;

use muster_agent::{
    core::{Effect, Event, Identity},
    supervise::{Exit, Why},
};
use muster_proto::{FrameworkId, TaskId, TaskState, agent::VERSION};

use super::world::{World, container, statuses, task};

/// Somebody else may run all of this by now, so nothing of it is adopted, reported or left alive.
#[test]
fn an_agent_that_was_declared_gone_ends_its_life_and_registers_as_another() {
    let mut world = World::new();
    world.register(true);
    world.running("off");
    world.update(1, TaskState::Running, 1);
    world.step(Event::Disconnected { connection: world.connection() });

    world.connections += 1;
    let connection = world.connection();
    let hello = world.step(Event::Challenged { connection, term: 7, version: VERSION });
    assert!(matches!(hello[..], [Effect::Hello { .. }]));
    let message = "an operator said so".to_owned();
    let gone = Event::Disowned { connection, term: 8, message };
    let effects = world.step(gone.clone());
    let key =
        muster_agent::core::TaskKey { framework: FrameworkId::new("f"), task: TaskId::new("t1") };
    assert_eq!(
        effects,
        [
            Effect::Disconnect { connection },
            Effect::TaskOver { task: key },
            Effect::End { container: container("e1"), grace: Duration::ZERO },
        ]
    );
    assert_eq!(world.identity, Identity { agent: None, term: 8 });
    assert_eq!(world.step(gone), [], "of a connection that has ended");

    // It may die at any moment of this, and comes back only to go on with it.
    for _ in 0..2 {
        world.connections += 1;
        let connection = world.connection();
        let refused = world.step(Event::Challenged { connection, term: 8, version: VERSION });
        assert_eq!(refused, [Effect::Disconnect { connection }], "something is left");
        assert_eq!(world.restart(), [Effect::Attach { container: container("e1") }]);
    }
    let effects = world.step(Event::Started { container: container("e1"), pid: 100 });
    assert_eq!(effects, [Effect::End { container: container("e1"), grace: Duration::ZERO }]);
    assert_eq!(world.exit(Why::Ended), [], "nobody is told");

    world.connections += 1;
    let connection = world.connection();
    let effects = world.step(Event::Challenged { connection, term: 8, version: VERSION });
    let [Effect::Hello { hello, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(hello.info.as_ref().unwrap().id, None);
    assert_eq!((hello.executors.len(), hello.tasks.len()), (0, 0));
    let agent = "agent-2".parse().unwrap();
    let effects = world.step(Event::Welcomed { connection, term: 8, agent });
    assert_eq!(statuses(&effects), []);
    assert_eq!(world.restart(), [], "and nothing of it is found later");
}

#[test]
fn a_life_whose_end_was_not_written_down_to_the_end_is_ended_again() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let before = world.identity.clone();
    let (connection, message) = (world.connection(), String::new());
    world.step(Event::Disconnected { connection });
    world.connections += 1;
    let connection = world.connection();
    world.step(Event::Challenged { connection, term: 7, version: VERSION });
    world.step(Event::Disowned { connection, term: 7, message: message.clone() });
    // The journal is written first; the agent died before its new identity was.
    world.identity = before;
    assert_eq!(world.restart(), [Effect::Attach { container: container("e1") }]);
    world.connections += 1;
    let connection = world.connection();
    let effects = world.step(Event::Challenged { connection, term: 7, version: VERSION });
    let [Effect::Hello { hello, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(hello.tasks.is_empty(), "its tasks are forgotten");
    let effects = world.step(Event::Disowned { connection, term: 7, message });
    let end = Effect::End { container: container("e1"), grace: Duration::ZERO };
    assert!(effects.contains(&end), "it waits for its supervisor: {effects:?}");
    assert_eq!(world.identity.agent, None);
}

/// Nothing of it runs, so its download need not be waited for.
#[test]
fn an_agent_that_was_declared_gone_does_not_wait_for_what_was_not_started() {
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "1h", None));
    world.launch(task("t2", "e2", "1h", None));
    world.step(Event::Fetched { container: container("e2"), outcome: Ok(()) });
    world.step(Event::Disconnected { connection: world.connection() });
    world.connections += 1;
    let connection = world.connection();
    world.step(Event::Challenged { connection, term: 7, version: VERSION });
    let gone = Event::Disowned { connection, term: 7, message: String::new() };
    world.step(gone);
    assert_eq!(world.agent.containers().collect::<Vec<_>>(), [&container("e2")]);
    let effects = world.step(Event::Started { container: container("e2"), pid: 100 });
    assert_eq!(effects, [Effect::End { container: container("e2"), grace: Duration::ZERO }]);
    let exit = Exit::unknown(Why::Ended);
    world.step(Event::Exited { container: container("e2"), exit });

    world.connections += 1;
    let connection = world.connection();
    let effects = world.step(Event::Challenged { connection, term: 7, version: VERSION });
    assert!(matches!(effects[..], [Effect::Hello { .. }]), "{effects:?}");
    assert_eq!(world.step(Event::Fetched { container: container("e1"), outcome: Ok(()) }), []);
    assert_eq!(world.restart(), [], "and nothing of it is found later");
}

#[test]
fn a_master_of_a_lower_term_cannot_say_that_an_agent_is_gone() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    world.step(Event::Disconnected { connection: world.connection() });
    world.connections += 1;
    let connection = world.connection();
    world.step(Event::Challenged { connection, term: 7, version: VERSION });
    let effects = world.step(Event::Disowned { connection, term: 6, message: String::new() });
    assert_eq!(effects, [Effect::Disconnect { connection }]);
    assert!(world.identity.agent.is_some());
}
