//! How statuses reach the master.

use muster_agent::core::{Answer, Effect, Event, Session};
use muster_api::limits;
use muster_proto::{
    Labels, TaskState, TaskStatus,
    agent::{AgentBody, HeartbeatAnswer, MasterBody},
    executor::EventType,
};
use prost::Message as _;

use super::{
    guest::{Guest, key, status, task},
    world::{SECOND, World, events, only_status, report, states, statuses},
};

#[test]
fn only_the_head_is_in_flight_and_the_rest_follows_in_order() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let first = world.update(1, TaskState::Running, 1);
    assert_eq!(states(&first), [(TaskState::Running, TaskState::Running)]);
    let second = world.update(1, TaskState::Finished, 2);
    assert_eq!(states(&second), [], "it waits for the head");
    assert_eq!(events(&second), [EventType::Acknowledged]);
    assert_eq!(states(&world.update(1, TaskState::Running, 1)), [], "known");
    assert_eq!(states(&world.acknowledge(vec![9; 16])), [], "not the head's uuid");
    let next = world.acknowledge(vec![1; 16]);
    assert_eq!(states(&next), [(TaskState::Finished, TaskState::Finished)]);
    assert_eq!(world.acknowledge(vec![2; 16]), []);
    world.step(Event::Disconnected { connection: world.connection() });
    assert_eq!(statuses(&world.register(true)), [], "it is forgotten");
}

/// What an agent could not read again would keep it from ever starting anew.
#[test]
fn no_more_is_kept_of_a_status_than_its_bound() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    let long = limits::EXECUTOR_MESSAGE_BYTES;
    let status = Box::new(TaskStatus {
        message: Some("x".repeat(long)),
        data: Some(vec![0; long]),
        labels: Some(Labels::of([("name", "y".repeat(long).as_str())])),
        ..report(TaskState::Finished, 1)
    });
    let effects = world.step(Event::Updated { session: Session(1), status });
    assert_eq!(events(&effects), [EventType::Acknowledged]);
    let told = only_status(&effects);
    assert_eq!((told.state(), told.message().len()), (TaskState::Finished, long / 2));
    assert_eq!((told.data, told.labels), (None, None));
    assert!(world.journal.iter().all(|entry| entry.encoded_len() <= long));
}

#[test]
fn a_head_is_sent_again_after_10_s_doubling_and_on_each_connection() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    world.update(1, TaskState::Running, 1);
    let mut sent_at = Vec::new();
    for second in 1..=75 {
        world.pass(SECOND);
        let effects = world.step(Event::Tick);
        if !statuses(&effects).is_empty() {
            sent_at.push(second);
        }
        for effect in effects {
            if let Effect::ToMaster { body: AgentBody::Heartbeat(heartbeat), .. } = effect {
                let number = heartbeat.number;
                world.say(MasterBody::HeartbeatAnswer(HeartbeatAnswer { number }));
            }
        }
    }
    assert_eq!(sent_at, [10, 30, 70]);
    world.step(Event::Disconnected { connection: world.connection() });
    assert_eq!(states(&world.register(true)).len(), 1);
}

/// The report number `number` of a task.
fn report_of(task: &str, state: TaskState, number: usize) -> TaskStatus {
    let uuid = (number as u128).to_be_bytes().to_vec();
    TaskStatus { uuid: Some(uuid), ..status(task, state, 0) }
}

/// Its framework may be away for long, and it reports all the time.
#[test]
fn of_a_task_a_bounded_number_of_statuses_waits_and_how_it_ended_in_any_case() {
    let mut guest = Guest::new(true);
    guest.running();
    guest.launch(task("t2", "e1"));
    for number in 0..limits::STATUSES_WAITING {
        let (answer, _) = guest.update(report_of("t1", TaskState::Running, number));
        assert_eq!(answer, Answer::Accepted);
    }
    let one_more = report_of("t1", TaskState::Running, limits::STATUSES_WAITING);
    let (answer, effects) = guest.update(one_more.clone());
    assert_eq!((answer, effects.as_slice()), (Answer::Crowded, &[][..]), "it is to say that again");
    let again = report_of("t1", TaskState::Running, limits::STATUSES_WAITING - 1);
    let (answer, effects) = guest.update(again);
    assert_eq!((answer, events(&effects)), (Answer::Accepted, vec![EventType::Acknowledged]));
    let (answer, _) = guest.update(report_of("t2", TaskState::Running, 1));
    assert_eq!(answer, Answer::Accepted, "other tasks have room of their own");
    guest.acknowledge("t1", 0_u128.to_be_bytes().to_vec());
    assert_eq!(guest.update(one_more).0, Answer::Accepted, "there is room again");
    let (answer, _) = guest.update(report_of("t1", TaskState::Finished, usize::MAX));
    assert_eq!(answer, Answer::Accepted);
    for number in 1..=limits::STATUSES_WAITING {
        guest.acknowledge("t1", (number as u128).to_be_bytes().to_vec());
    }
    let told = guest.acknowledge("t1", (usize::MAX as u128).to_be_bytes().to_vec());
    assert_eq!(told, [], "that was the last one");
    assert_eq!(guest.hello().1, [("t2".to_owned(), TaskState::Running)]);
}

#[test]
fn what_waits_of_a_framework_has_bounded_bytes_and_ends_are_told_without_their_data() {
    const MEBIBYTE: usize = 1024 * 1024;
    let most = limits::STATUSES_WAITING_BYTES / MEBIBYTE;
    let mut guest = Guest::new(true);
    guest.running();
    let long = |task: &str, state, number| TaskStatus {
        data: Some(vec![0; MEBIBYTE]),
        ..report_of(task, state, number)
    };
    for number in 0..most {
        let name = format!("long-{number}");
        guest.launch(task(&name, "e1"));
        let (answer, _) = guest.update(long(&name, TaskState::Running, number));
        let expected = if number + 1 < most { Answer::Accepted } else { Answer::Crowded };
        assert_eq!(answer, expected, "{number}");
    }
    let message = Some("x".repeat(MEBIBYTE));
    let wordy = TaskStatus { message, ..long("t1", TaskState::Finished, 1) };
    let (answer, effects) = guest.update(wordy);
    assert_eq!(answer, Answer::Accepted);
    let told = only_status(&effects);
    assert_eq!((told.state(), told.message().len()), (TaskState::Finished, 1024));
    assert_eq!(told.data, None);
    let (answer, _) = guest.update(report_of("long-1", TaskState::Running, 99));
    assert_eq!(answer, Answer::Accepted, "small ones find room");
    // What another framework lets wait is no matter of this one.
    let of_g = super::guest::fetched(&guest.launch_for("g", task("t1", "e1")));
    guest.begin(&of_g);
    let what = guest.subscription(Default::default());
    guest.call(key("g", "e1"), muster_agent::core::Bearer::Nobody, what);
    let status = Box::new(long("t1", TaskState::Finished, 1));
    let update = muster_agent::core::What::Update(status);
    let (_, effects) = guest.call(key("g", "e1"), muster_agent::core::Bearer::Nobody, update);
    assert!(only_status(&effects).data.is_some());
}
