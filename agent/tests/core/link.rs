//! The connection to the master.

use std::time::Duration;

use muster_agent::core::{Connection, Effect, Event};
use muster_api::limits;
use muster_proto::agent::{AgentBody, HeartbeatAnswer, MasterBody, VERSION};

use super::world::{SECOND, World};

#[test]
fn a_heartbeat_is_sent_at_once_and_then_every_5_s() {
    let mut world = World::new();
    let beats = |effects: &[Effect]| -> Vec<u64> {
        let beat = |effect: &Effect| match effect {
            Effect::ToMaster { body: AgentBody::Heartbeat(beat), .. } => Some(beat.number),
            _ => None,
        };
        effects.iter().filter_map(beat).collect()
    };
    assert_eq!(beats(&world.register(true)), [1]);
    let mut sent = Vec::new();
    for second in 1..=10 {
        world.pass(SECOND);
        let numbers = beats(&world.step(Event::Tick));
        sent.extend(numbers.iter().map(|number| (second, *number)));
        for number in numbers {
            world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number }));
        }
    }
    assert_eq!(sent, [(5, 2), (10, 3)]);
}

#[test]
fn masters_of_lower_terms_are_refused() {
    let mut world = World::new();
    world.register(true);
    let connection = world.connection();
    let body = Some(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 1 }));
    let effects = world.step(Event::FromMaster { connection, term: 6, body });
    assert_eq!(effects, [Effect::Disconnect { connection }]);
    let connection = Connection(9);
    let effects = world.step(Event::Challenged { connection, term: 6, version: VERSION });
    assert_eq!(effects, [Effect::Disconnect { connection }]);
}

#[test]
fn a_master_that_answers_no_heartbeat_is_given_up() {
    let mut world = World::new();
    world.register(false);
    let mut waited = Duration::ZERO;
    loop {
        world.pass(SECOND);
        waited += SECOND;
        let connection = world.connection();
        if world.step(Event::Tick).contains(&Effect::Disconnect { connection }) {
            break;
        }
    }
    assert_eq!(waited, limits::SILENT_AFTER);
    assert_eq!(world.agent.next_wakeup(), None);
}
