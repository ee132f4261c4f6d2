//! Executors that are quicker than their supervisors.

use muster_agent::{
    core::{Answer, Bearer, Call, Container, Effect, Event, Request, Session},
    supervise::{Exit, Why},
};
use muster_api::limits;
use muster_proto::{
    Reason, TaskState, TaskStatus,
    executor::{EventType, Subscribe},
};

use super::{
    guest::{Guest, command, fetched, key, status, task, with_updates},
    world::{SECOND, events, only_status, statuses},
};

const REQUEST: Request = Request(77);

/// An executor whose process is being started; its container.
fn starting(guest: &mut Guest, effects: &[Effect]) -> Container {
    let container = fetched(effects);
    guest.world.step(Event::Fetched { container: container.clone(), outcome: Ok(()) });
    container
}

fn subscribe(guest: &mut Guest, request: Request, subscribe: Subscribe) -> Vec<Effect> {
    let what = guest.subscription(subscribe);
    let call = Call { by: key("f", "e1"), bearer: Bearer::Nobody, what };
    guest.world.step(Event::Called { request, call })
}

fn answers(effects: &[Effect]) -> Vec<(Request, Answer)> {
    let answer = |effect: &Effect| match effect {
        Effect::Answer { request, answer } => Some((*request, *answer)),
        _ => None,
    };
    effects.iter().filter_map(answer).collect()
}

fn pid(status: &TaskStatus) -> Option<u32> {
    status.container_status.as_ref()?.executor_pid
}

/// A command is run by an executor of our own, on a stream of our own.
#[test]
fn the_first_status_of_a_command_tells_its_process() {
    let mut guest = Guest::new(true);
    let effects = guest.launch(command("t1", Default::default()));
    let container = starting(&mut guest, &effects);
    let subscribe = with_updates(vec![status("t1", TaskState::Starting, 1)]);
    let session = Session(1);
    let early = Event::Subscribed { session, container: container.clone(), subscribe };
    assert_eq!(guest.world.step(early), []);
    let effects = guest.world.step(Event::Started { container, pid: 100 });
    assert_eq!(events(&effects)[0], EventType::Subscribed);
    assert_eq!(pid(&only_status(&effects)), Some(100));
}

/// The agent was restarted, and has not reached the supervisor yet.
#[test]
fn what_is_said_to_a_restarted_agent_tells_the_process_too() {
    let mut guest = Guest::new(true);
    let container = guest.running();
    guest.world.restart();
    guest.world.register(true);
    let open = with_updates(vec![status("t1", TaskState::Running, 1)]);
    assert_eq!(subscribe(&mut guest, REQUEST, open), []);
    assert_eq!(guest.tick_after(SECOND * 4), [], "it has come back in time");
    let effects = guest.world.step(Event::Started { container, pid: 100 });
    assert_eq!(answers(&effects), [(REQUEST, Answer::Accepted)]);
    assert_eq!(pid(&only_status(&effects)), Some(100));
}

/// It had its say before it ended, and all of that counts.
#[test]
fn one_that_comes_back_and_ends_has_told_how_its_tasks_ended() {
    let mut guest = Guest::new(true);
    let container = guest.running();
    guest.world.restart();
    guest.world.register(true);
    let last = with_updates(vec![status("t1", TaskState::Finished, 1)]);
    subscribe(&mut guest, REQUEST, last);
    let exit = Exit::unknown(Why::Exited);
    let effects = guest.world.step(Event::Exited { container, exit });
    assert_eq!(only_status(&effects).state(), TaskState::Finished);
    assert_eq!(answers(&effects), [(REQUEST, Answer::Accepted)]);
}

#[test]
fn one_that_comes_back_and_leaves_again_is_not_waited_for_any_longer() {
    let mut guest = Guest::new(true);
    let container = guest.running();
    guest.world.restart();
    subscribe(&mut guest, REQUEST, Subscribe::default());
    guest.world.pass(SECOND * 4);
    let session = guest.session();
    let effects = guest.world.step(Event::Left { session });
    assert_eq!(answers(&effects), [(REQUEST, Answer::NoExecutor)]);
    let effects = guest.tick_after(SECOND * 2);
    assert!(matches!(&effects[..], [Effect::End { container: ended, .. }] if *ended == container));
}

/// As one that subscribes anew takes the place of its former stream.
#[test]
fn of_many_that_come_early_the_last_one_counts() {
    let mut guest = Guest::new(true);
    let effects = guest.launch(task("t1", "e1"));
    let container = starting(&mut guest, &effects);
    for number in 0..100 {
        let effects = subscribe(&mut guest, Request(1000 + number), Subscribe::default());
        if number == 0 {
            assert_eq!(effects, []);
        } else {
            let former = Session(guest.session().0 - 1);
            let closed = Effect::CloseSession { session: former };
            let request = Request(1000 + number - 1);
            let answered = Effect::Answer { request, answer: Answer::Accepted };
            assert_eq!(effects, [closed, answered]);
        }
    }
    let effects = guest.world.step(Event::Started { container, pid: 100 });
    assert_eq!(answers(&effects), [(Request(1099), Answer::Accepted)]);
    assert_eq!(events(&effects), [EventType::Subscribed, EventType::Launch]);
}

#[test]
fn one_that_ends_before_its_process_is_known_was_never_begun_with() {
    let mut guest = Guest::new(true);
    let effects = guest.launch(task("t1", "e1"));
    let container = starting(&mut guest, &effects);
    subscribe(&mut guest, REQUEST, Subscribe::default());
    let session = guest.session();
    let exit = Exit::unknown(Why::Exited);
    let effects = guest.world.step(Event::Exited { container, exit });
    assert_eq!(answers(&effects), [(REQUEST, Answer::NoFramework)]);
    assert!(effects.contains(&Effect::CloseSession { session }));
    let told = statuses(&effects)[0].status.clone().unwrap();
    assert_eq!((told.state(), told.reason()), (TaskState::Failed, Reason::ExecutorTerminated));
}

#[test]
fn one_that_leaves_before_its_process_is_known_is_begun_with_when_it_comes_again() {
    let mut guest = Guest::new(true);
    let effects = guest.launch(task("t1", "e1"));
    let container = starting(&mut guest, &effects);
    subscribe(&mut guest, REQUEST, Subscribe::default());
    let session = guest.session();
    let effects = guest.world.step(Event::Left { session });
    assert_eq!(answers(&effects), [(REQUEST, Answer::NoExecutor)], "nobody hears it");
    assert_eq!(guest.world.step(Event::Started { container, pid: 100 }), []);
    let (answer, effects) = guest.subscribe(Subscribe::default());
    assert_eq!(answer, Answer::Accepted);
    assert_eq!(events(&effects), [EventType::Subscribed, EventType::Launch]);
}

/// A supervisor that is frozen says nothing for ever, and its executor is not to wait as long.
#[test]
fn a_process_that_is_not_told_is_waited_for_so_long_and_no_longer() {
    let mut guest = Guest::new(true);
    let container = guest.running();
    guest.world.restart();
    guest.world.register(true);
    subscribe(&mut guest, Request(76), Subscribe::default());
    assert_eq!(answers(&guest.tick_after(limits::HANDSHAKE - SECOND)), []);
    // Whoever asks again and again does not wait for longer.
    let open = with_updates(vec![status("t1", TaskState::Running, 1)]);
    assert_eq!(answers(&subscribe(&mut guest, REQUEST, open)), [(Request(76), Answer::Accepted)]);
    let effects = guest.tick_after(SECOND);
    assert_eq!(answers(&effects), [(REQUEST, Answer::Accepted)]);
    let told = only_status(&effects);
    assert_eq!((told.state(), pid(&told)), (TaskState::Running, None));
    let (answer, _) = guest.subscribe(Subscribe::default());
    assert_eq!(answer, Answer::Accepted, "it was waited for once");
    assert_eq!(guest.world.step(Event::Started { container, pid: 100 }), []);
    let (_, effects) = guest.update(status("t1", TaskState::Finished, 2));
    assert_eq!(events(&effects), [EventType::Acknowledged]);
    guest.acknowledge("t1", vec![1; 16]);
    let effects = guest.tick_after(SECOND * 10);
    assert_eq!(pid(&only_status(&effects)), Some(100));
}
