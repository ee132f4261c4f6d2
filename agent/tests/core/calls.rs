//! Calls of foreign executors: which are taken, and what follows.

use muster_agent::core::{
    Agent, Answer, Bearer, Config, Container, Effect, Event, Identity, Session, What,
};
use muster_api::{limits, task::LABEL_LEASE};
use muster_proto::{
    ContainerId, Labels, TaskState,
    agent::{AgentBody, FrameworkMessage, MasterBody},
    executor::{EventType, Subscribe},
};

use super::{
    guest::{Guest, fetched, key, status, task, with_updates},
    world::{SECOND, config, events, only_status, statuses},
};

fn message() -> What {
    What::Message(b"news".to_vec())
}

#[test]
fn calls_are_judged_in_the_order_of_the_mesos_agent() {
    let mut guest = Guest::new(true);
    let nobody = |guest: &mut Guest, by, what| guest.call(by, Bearer::Nobody, what).0;
    let what = guest.subscription(Subscribe::default());
    let effects = guest.call(key("f", "e1"), Bearer::Nobody, what);
    let session = guest.session();
    assert_eq!(effects, (Answer::NoFramework, vec![Effect::CloseSession { session }]));
    let container = fetched(&guest.launch(task("t1", "e1")));
    guest.begin(&container);
    for (by, what, answer) in [
        (key("g", "e1"), message(), Answer::NoFramework),
        (key("", ""), message(), Answer::NoFramework),
        (key("f", "e2"), message(), Answer::NoExecutor),
        (key("f", "e1"), message(), Answer::NotSubscribed),
        (key("f", "e1"), What::Unknown, Answer::NotSubscribed),
    ] {
        assert_eq!(nobody(&mut guest, by, what), answer);
    }
    assert_eq!(guest.subscribe(Subscribe::default()).0, Answer::Accepted);
    assert_eq!(nobody(&mut guest, key("f", "e1"), What::Unknown), Answer::Unsupported);
    assert_eq!(nobody(&mut guest, key("f", "e1"), message()), Answer::Accepted);
    // Its stream ends, and it may make calls all the same.
    let session = guest.session();
    guest.world.step(Event::Left { session });
    assert_eq!(nobody(&mut guest, key("f", "e1"), message()), Answer::Accepted);
    guest.exit(&container, 0);
    assert_eq!(nobody(&mut guest, key("f", "e1"), message()), Answer::NoFramework);
}

#[test]
fn a_token_that_is_shown_must_be_right_and_ours_must_show_theirs() {
    let mut guest = Guest::new(true);
    let foreign = fetched(&guest.launch(task("t1", "foreign")));
    let mut of_ours = task("t2", "ours");
    of_ours.executor.as_mut().unwrap().labels = Some(Labels::of([(LABEL_LEASE, "off")]));
    let ours = fetched(&guest.launch(of_ours));
    let bearers = [
        (Bearer::Nobody, Answer::NotSubscribed, Answer::Unauthenticated),
        (Bearer::Stranger, Answer::Unauthenticated, Answer::Unauthenticated),
        (Bearer::Of(foreign), Answer::NotSubscribed, Answer::Forbidden),
        (Bearer::Of(ours), Answer::Forbidden, Answer::NotSubscribed),
    ];
    for (bearer, to_foreign, to_ours) in bearers {
        let foreign = guest.call(key("f", "foreign"), bearer.clone(), message());
        assert_eq!(foreign, (to_foreign, Vec::new()), "{bearer:?}");
        assert_eq!(guest.call(key("f", "ours"), bearer, message()), (to_ours, Vec::new()));
    }
}

#[test]
fn all_must_show_a_token_where_the_agent_wants_it() {
    let mut guest = Guest::new(true);
    let config = Config { authenticate_executors: true, ..config() };
    let restored = Agent::restore(config, Identity::default(), 1, [], guest.world.now);
    guest.world.agent = restored.unwrap().0;
    guest.world.register(true);
    let container = fetched(&guest.launch(task("t1", "e1")));
    let (answer, _) = guest.call(key("no", "such"), Bearer::Nobody, message());
    assert_eq!(answer, Answer::Unauthenticated, "nobody learns who is here");
    let (answer, _) = guest.call(key("f", "e1"), Bearer::Of(container), message());
    assert_eq!(answer, Answer::NotSubscribed);
}

#[test]
fn a_subscriber_is_told_who_is_who_and_its_reports_are_completed() {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch(task("t1", "e1")));
    guest.begin(&container);
    let (_, effects) = guest.subscribe(Subscribe::default());
    let Some(Effect::ToExecutor { event, .. }) = effects.first() else { panic!("{effects:?}") };
    let subscribed = event.subscribed.clone().unwrap();
    let id = ContainerId::from(&container);
    assert_eq!(subscribed.container_id, Some(id.clone()));
    let info = subscribed.executor_info.unwrap();
    assert_eq!(info.framework_id, subscribed.framework_info.unwrap().id);
    assert_eq!(subscribed.agent_info.unwrap().id.unwrap().value, "agent-1");
    let (answer, effects) = guest.update(status("t1", TaskState::Running, 1));
    assert_eq!(answer, Answer::Accepted);
    assert_eq!(events(&effects), [EventType::Acknowledged]);
    let told = only_status(&effects);
    let of = told.container_status.unwrap();
    assert_eq!((of.container_id, of.executor_pid), (Some(id), Some(100)));
    assert_eq!(of.network_infos[0].ip_addresses[0].ip_address.as_deref(), Some("127.0.0.1"));
    assert_eq!(told.executor_id, None, "Mesos leaves that to the executor");
    assert_eq!(told.agent_id.unwrap().value, "agent-1");
    assert!(told.timestamp.is_some());
    let (_, again) = guest.update(status("t1", TaskState::Running, 1));
    assert_eq!((statuses(&again).len(), events(&again).len()), (0, 1), "known by its uuid");
}

#[test]
fn a_second_subscription_ends_the_first_stream() {
    let mut guest = Guest::new(true);
    guest.running();
    let held = Subscribe {
        unacknowledged_tasks: vec![task("t1", "e1")],
        ..with_updates(vec![status("t1", TaskState::Starting, 1)])
    };
    let (_, effects) = guest.subscribe(held);
    assert_eq!(effects[0], Effect::CloseSession { session: Session(1) });
    assert_eq!(events(&effects), [EventType::Subscribed, EventType::Acknowledged]);
    assert_eq!(only_status(&effects).state(), TaskState::Starting);
    let left = Event::Left { session: Session(1) };
    assert_eq!(guest.world.step(left), [], "it is there all the same");
    assert_eq!(events(&guest.kill("t1")), [EventType::Kill]);
}

#[test]
fn one_that_is_to_end_hears_nothing_else() {
    let mut guest = Guest::new(true);
    guest.running();
    let shutdown = muster_proto::agent::ShutdownExecutor {
        framework_id: Some(key("f", "e1").framework),
        executor_id: Some(key("f", "e1").executor),
    };
    let effects = guest.world.say(MasterBody::ShutdownExecutor(shutdown));
    assert_eq!(events(&effects), [EventType::Shutdown]);
    let (answer, effects) = guest.subscribe(Subscribe::default());
    let session = guest.session();
    assert_eq!((answer, events(&effects)), (Answer::Accepted, vec![EventType::Shutdown]));
    assert_eq!(effects.last(), Some(&Effect::CloseSession { session }));
    let (answer, effects) = guest.update(status("t1", TaskState::Killed, 1));
    assert_eq!(answer, Answer::Accepted, "what became of its tasks is heard");
    assert_eq!(only_status(&effects).state(), TaskState::Killed);
}

#[test]
fn messages_pass_both_ways_within_a_bound() {
    let mut guest = Guest::new(true);
    guest.running();
    let (_, effects) = guest.call(key("f", "e1"), Bearer::Nobody, message());
    let [Effect::ToMaster { body: AgentBody::ExecutorMessage(said), .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((said.data.as_slice(), said.number), (&b"news"[..], None));
    let to = |executor: &str, bytes: usize| {
        MasterBody::FrameworkMessage(FrameworkMessage {
            framework_id: Some(key("f", executor).framework),
            executor_id: Some(key("f", executor).executor),
            data: vec![0; bytes],
        })
    };
    let most = limits::EXECUTOR_MESSAGE_BYTES;
    assert_eq!(events(&guest.world.say(to("e1", most))), [EventType::Message]);
    assert_eq!(guest.world.say(to("e1", most + 1)), []);
    assert_eq!(guest.world.say(to("e2", 1)), []);
    let what = What::Message(vec![0; most + 1]);
    let (answer, effects) = guest.call(key("f", "e1"), Bearer::Nobody, what);
    assert_eq!((answer, effects), (Answer::Accepted, Vec::new()), "it may be lost, as any");
    let session = guest.session();
    guest.world.step(Event::Left { session });
    assert_eq!(guest.world.say(to("e1", 1)), [], "there is no stream");
}

/// A kill is theirs to refuse: nobody ends them for it.
#[test]
fn foreign_executors_are_not_ended_for_a_kill_that_comes_to_nothing() {
    let mut guest = Guest::new(true);
    guest.running();
    let kill = muster_proto::agent::Kill {
        framework_id: Some(key("f", "e1").framework),
        task_id: task("t1", "e1").task_id,
        kill_policy: Some(muster_proto::KillPolicy {
            grace_period: Some(muster_proto::DurationInfo { nanoseconds: 1_000_000_000 }),
        }),
    };
    let effects = guest.world.say(MasterBody::Kill(kill));
    let [Effect::ToExecutor { event, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(event.kill.as_ref().unwrap().kill_policy.is_some(), "it is passed on");
    guest.world.step(Event::Disconnected { connection: guest.world.connection() });
    assert_eq!(guest.tick_after(limits::KILL_OVERDUE + SECOND * 2), []);
}

#[test]
fn one_that_loses_its_stream_has_as_long_as_its_environment_says() {
    let mut guest = Guest::new(true);
    let container = guest.running();
    let session = guest.session();
    guest.world.step(Event::Left { session });
    let connection = guest.world.connection();
    guest.world.step(Event::Disconnected { connection });
    assert_eq!(guest.tick_after(limits::FOREIGN_RECOVERY - SECOND), []);
    let end = Effect::End { container, grace: std::time::Duration::ZERO };
    assert_eq!(guest.tick_after(SECOND), [end]);
}

#[test]
fn a_container_shown_by_a_token_is_no_container_of_another_life() {
    let mut guest = Guest::new(true);
    let first = guest.running();
    guest.exit(&first, 0);
    guest.launch(task("t2", "e1"));
    let (answer, _) = guest.call(key("f", "e1"), Bearer::Of(first), message());
    assert_eq!(answer, Answer::Forbidden);
    let (answer, _) = guest.call(key("f", "e1"), Bearer::Of(Container::new("x")), message());
    assert_eq!(answer, Answer::Forbidden);
}
