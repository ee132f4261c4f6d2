//! Messages between executors and frameworks.

use std::time::Duration;

use muster_agent::core::{Effect, Event, Note, Session};
use muster_api::{Now, limits};
use muster_proto::{
    FrameworkId,
    agent::{AgentBody, MasterBody, MessageTaken},
    executor::{self, CallMessage, EventType},
};

use super::world::{World, executor, framework, id};

fn said(world: &mut World, number: Option<u64>) -> Vec<Effect> {
    let message = CallMessage { data: b"news".to_vec(), number };
    world.step(Event::Said { session: Session(1), message })
}

#[test]
fn a_message_that_is_too_long_is_dropped_and_the_executor_goes_on() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let of = |bytes| CallMessage { data: vec![0; bytes], number: Some(1) };
    let now = world.now;
    let mut say = |bytes, seconds| {
        let event = Event::Said { session: Session(1), message: of(bytes) };
        let mono = now.mono + Duration::from_secs(seconds);
        let step = world.agent.step(Now { mono, ..now }, event);
        (step.effects.len(), step.notes)
    };
    let bytes = limits::EXECUTOR_MESSAGE_BYTES;
    let note = vec![Note::MessageTooLong { executor: executor("e1"), bytes: bytes + 1 }];
    assert_eq!(say(bytes, 0), (1, Vec::new()));
    assert_eq!(say(bytes + 1, 0), (0, note.clone()));
    assert_eq!(say(1, 0), (1, Vec::new()));
    assert_eq!(say(bytes + 1, 59), (0, Vec::new()), "it is told once a minute");
    assert_eq!(say(bytes + 1, 60), (0, note));
}

fn taken(executor: &str, framework: &str) -> MasterBody {
    MasterBody::MessageTaken(MessageTaken {
        framework_id: Some(FrameworkId::new(framework)),
        executor_id: Some(id(executor)),
        number: 3,
    })
}

#[test]
fn messages_pass_through_and_wait_nowhere() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let journal = world.journal.clone();
    let effects = said(&mut world, Some(3));
    let [Effect::ToMaster { body: AgentBody::ExecutorMessage(message), .. }] = effects.as_slice()
    else {
        panic!("{effects:?}")
    };
    assert_eq!(message.framework_id, framework().id);
    assert_eq!(message.executor_id, Some(id("e1")));
    assert_eq!((message.data.as_slice(), message.number), (b"news".as_slice(), Some(3)));

    let effects = world.say(taken("e1", "f"));
    let [Effect::ToExecutor { session: Session(1), event }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(event.r#type(), EventType::MessageTaken);
    assert_eq!(event.message_taken, Some(executor::MessageTaken { number: 3 }));
    assert_eq!(world.say(taken("e1", "another")), [], "it is not theirs");
    assert_eq!(world.say(taken("e2", "f")), []);
    world.step(Event::Left { session: Session(1) });
    assert_eq!(world.say(taken("e1", "f")), [], "it will send it again");

    world.subscribe(1, Vec::new());
    world.step(Event::Disconnected { connection: world.connection() });
    assert_eq!(said(&mut world, Some(4)), [], "there is no master; the executor keeps it");
    assert_eq!(said(&mut world, None), []);
    assert_eq!(world.step(Event::Tick), []);
    let stray = CallMessage { data: Vec::new(), number: Some(1) };
    assert_eq!(world.step(Event::Said { session: Session(9), message: stray }), []);
    assert_eq!(world.journal, journal, "nothing of it is written down");
}
