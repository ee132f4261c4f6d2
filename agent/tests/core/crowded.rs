//! Where more statuses wait than there is room for.

use muster_agent::{
    core::{Answer, Container, Effect, Event, Session},
    supervise::{Exit, Why},
};
use muster_api::limits;
use muster_proto::{
    TaskState, TaskStatus,
    executor::{EventType, Subscribe},
};

use super::{
    guest::{Guest, fetched, status, task, with_updates},
    world::{SECOND, events, only_status},
};

const STREAM: Session = Session(1001);
const NEXT_STREAM: Session = Session(1002);

/// The report number `number` of a task.
fn report_of(task: &str, state: TaskState, number: usize) -> TaskStatus {
    let uuid = (number as u128).to_be_bytes().to_vec();
    TaskStatus { uuid: Some(uuid), ..status(task, state, 0) }
}

fn running(number: usize) -> TaskStatus {
    report_of("t1", TaskState::Running, number)
}

fn subscribe(guest: &mut Guest, session: Session, by: &Container, with: Subscribe) -> Vec<Effect> {
    guest.world.step(Event::Subscribed { session, container: by.clone(), subscribe: with })
}

fn update(guest: &mut Guest, session: Session, status: TaskStatus) -> Vec<Effect> {
    guest.world.step(Event::Updated { session, status: Box::new(status) })
}

/// An executor on a stream of our own kind, of whose task as much waits as may.
fn crowded() -> (Guest, Container) {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch(task("t1", "e1")));
    guest.begin(&container);
    subscribe(&mut guest, STREAM, &container, Subscribe::default());
    for number in 0..limits::STATUSES_WAITING {
        let told = events(&update(&mut guest, STREAM, running(number)));
        assert_eq!(told, [EventType::Acknowledged]);
    }
    (guest, container)
}

/// It repeats nothing before that, so that what is only dropped would never be told.
#[test]
fn an_executor_on_a_stream_of_ours_subscribes_anew_for_what_there_was_no_room_for() {
    let (mut guest, container) = crowded();
    let dropped = running(limits::STATUSES_WAITING);
    let effects = update(&mut guest, STREAM, dropped.clone());
    assert_eq!(effects, [Effect::CloseSession { session: STREAM }]);
    let later = report_of("t1", TaskState::Finished, usize::MAX);
    assert_eq!(update(&mut guest, STREAM, later.clone()), [], "it comes in order, or not at all");
    assert_eq!(guest.world.step(Event::Left { session: STREAM }), []);
    let effects =
        subscribe(&mut guest, NEXT_STREAM, &container, with_updates(vec![dropped, later]));
    use EventType as E;
    assert_eq!(events(&effects), [E::Subscribed, E::Acknowledged, E::Acknowledged]);
    for number in 0..limits::STATUSES_WAITING {
        guest.acknowledge("t1", (number as u128).to_be_bytes().to_vec());
    }
    let number = limits::STATUSES_WAITING as u128;
    let last = guest.acknowledge("t1", number.to_be_bytes().to_vec());
    assert_eq!(only_status(&last).state(), TaskState::Finished);
}

/// Code of users may subscribe again and again with reports that it makes up.
#[test]
fn what_comes_with_subscriptions_is_bounded_too_and_comes_again() {
    let (mut guest, container) = crowded();
    let most = 2 * limits::STATUSES_WAITING;
    let repeated: Vec<_> = (limits::STATUSES_WAITING..=most).map(running).collect();
    let effects = subscribe(&mut guest, NEXT_STREAM, &container, with_updates(repeated));
    let acknowledged = |event: &&EventType| **event == EventType::Acknowledged;
    let told = events(&effects);
    assert_eq!(told.iter().filter(acknowledged).count(), limits::STATUSES_WAITING);
    assert_eq!(effects.last(), Some(&Effect::CloseSession { session: NEXT_STREAM }));
    guest.acknowledge("t1", 0_u128.to_be_bytes().to_vec());
    let again = with_updates(vec![running(most)]);
    let effects = subscribe(&mut guest, Session(1003), &container, again);
    assert_eq!(events(&effects), [EventType::Subscribed, EventType::Acknowledged]);
    assert!(!effects.contains(&Effect::CloseSession { session: Session(1003) }));
}

/// It cannot say anything again, so that the rest of what it has said counts.
#[test]
fn of_an_executor_that_is_gone_the_end_of_its_task_is_taken() {
    let (mut guest, container) = crowded();
    let exit = Exit::unknown(Why::Exited);
    guest.world.step(Event::Exited { container, exit });
    assert_eq!(update(&mut guest, STREAM, running(limits::STATUSES_WAITING)), []);
    let end = report_of("t1", TaskState::Finished, usize::MAX);
    assert_eq!(events(&update(&mut guest, STREAM, end)), [EventType::Acknowledged]);
}

/// Its framework waits for the end of a task that it has launched, and for no other.
#[test]
fn of_a_task_that_nobody_launched_the_end_finds_no_more_room_than_all_else() {
    let mut guest = Guest::new(true);
    guest.running();
    let ended = |number| report_of("stray", TaskState::Finished, number);
    for number in 0..limits::STATUSES_WAITING {
        assert_eq!(guest.update(ended(number)).0, Answer::Accepted);
    }
    assert_eq!(guest.update(ended(limits::STATUSES_WAITING)).0, Answer::Crowded);
    let journal = guest.world.journal.len();
    assert_eq!(guest.update(ended(usize::MAX)).0, Answer::Crowded);
    assert_eq!(guest.world.journal.len(), journal);
    assert_eq!(guest.tick_after(SECOND), [], "nothing else becomes of it");
}
