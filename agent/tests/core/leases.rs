//! Leases, and launches that count on them.

use muster_agent::core::{Effect, Event};
use muster_proto::{
    TaskState,
    agent::{AgentBody, HeartbeatAnswer, MasterBody},
};

use super::world::{SECOND, World, container, only_status, states, statuses, task};

#[test]
fn leases_count_from_when_the_answered_heartbeat_was_sent() {
    let mut world = World::new();
    world.register(true);
    let registered = world.now.mono;
    world.launch(task("t1", "e1", "30s", None));
    world.pass(SECOND * 5);
    assert!(matches!(
        world.step(Event::Tick)[..],
        [Effect::ToMaster { body: AgentBody::Heartbeat(_), .. }]
    ));
    world.pass(SECOND * 3);
    let effects = world.step(Event::Fetched { container: container("e1"), outcome: Ok(()) });
    let [Effect::Start { deadline, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(*deadline, Some(registered + SECOND * 30));
    let effects = world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 2 }));
    let at = registered + SECOND * 35;
    let said = world.now.mono;
    assert_eq!(effects, [Effect::SetDeadline { container: container("e1"), at, said }]);
    let again = world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 }));
    assert_eq!(again, [], "a lease never shrinks");
}

/// The agent was frozen for longer than the lease, and its connection was not: for the master,
/// what was to be started here is dead, and may run elsewhere.
#[test]
fn a_lease_that_has_ended_is_not_extended() {
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "30s", None));
    world.pass(SECOND * 60);
    world.step(Event::Tick);
    let effects = world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 2 }));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::SetDeadline { .. })));
    let effects = world.step(Event::Fetched { container: container("e1"), outcome: Ok(()) });
    assert_eq!(states(&effects), [(TaskState::Dropped, TaskState::Dropped)]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start { .. })), "{effects:?}");
}

#[test]
fn a_launch_that_counts_on_an_old_answer_is_dropped() {
    for (lease, wait, dropped) in
        [("20s", 19, false), ("20s", 20, true), ("off", 30, false), ("off", 31, true)]
    {
        let mut world = World::new();
        world.register(true);
        world.pass(SECOND * wait);
        let effects = world.launch(task("t1", "e1", lease, None));
        assert_eq!(statuses(&effects).len(), usize::from(dropped), "{lease} after {wait} s");
    }
    // What was answered on the connection before counts for nothing on this one.
    for lease in ["1h", "off"] {
        let mut world = World::new();
        world.register(true);
        world.step(Event::Disconnected { connection: world.connection() });
        world.register(false);
        let status = only_status(&world.launch(task("t1", "e1", lease, None)));
        assert_eq!(status.state(), TaskState::Dropped);
    }
}

#[test]
fn a_lease_that_ends_while_artifacts_are_fetched_starts_nothing() {
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "15s", None));
    world.pass(SECOND * 15);
    let effects = world.step(Event::Fetched { container: container("e1"), outcome: Ok(()) });
    assert_eq!(only_status(&effects).state(), TaskState::Dropped);
}
