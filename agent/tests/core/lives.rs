//! Ids that frameworks choose, and use again.

use muster_agent::{
    core::{Answer, Bearer, Effect, Event, Session, What},
    supervise::{Exit, Why},
};
use muster_api::task::LABEL_LEASE;
use muster_proto::{
    FrameworkId, Labels, TaskState,
    agent::{FrameworkMessage, MasterBody},
    executor::{EventType, Subscribe},
};

use super::{
    guest::{Guest, ended, fetched, key, status, task},
    world::{events, only_status},
};

#[test]
fn an_id_that_is_used_again_is_another_life_in_another_container() {
    let mut guest = Guest::new(true);
    let first = guest.running();
    assert_ne!(first.as_str(), "e1");
    let again = only_status(&guest.exit(&first, 0));
    assert_eq!(again.state(), TaskState::Failed, "it was running");
    let second = fetched(&guest.launch(task("t2", "e1")));
    assert_ne!(first, second);
    // What is heard late of the first one changes nothing.
    let exit = Exit::unknown(Why::Exited);
    let late = [
        Event::Exited { container: first.clone(), exit },
        Event::Started { container: first.clone(), pid: 1 },
        Event::Fetched { container: first, outcome: Ok(()) },
    ];
    for event in late {
        assert_eq!(guest.world.step(event), []);
    }
    guest.begin(&second);
    let (_, effects) = guest.subscribe(Subscribe::default());
    assert_eq!(events(&effects), [EventType::Subscribed, EventType::Launch]);
    assert_eq!(guest.world.agent.containers().collect::<Vec<_>>(), [&second]);
}

#[test]
fn while_one_life_ends_no_other_begins() {
    let mut guest = Guest::new(true);
    let container = guest.running();
    let shutdown = muster_proto::agent::ShutdownExecutor {
        framework_id: Some(FrameworkId::new("f")),
        executor_id: Some(key("f", "e1").executor),
    };
    guest.world.say(MasterBody::ShutdownExecutor(shutdown));
    let effects = guest.launch(task("t2", "e1"));
    assert_eq!(only_status(&effects).state(), TaskState::Dropped);
    assert_eq!(ended(&effects), [], "it expected nothing");
    guest.exit(&container, 0);
    fetched(&guest.launch(task("t3", "e1")));
}

#[test]
fn two_frameworks_may_choose_the_same_ids() {
    let mut guest = Guest::new(true);
    let of_f = fetched(&guest.launch_for("f", task("t1", "e1")));
    let of_g = fetched(&guest.launch_for("g", task("t1", "e1")));
    assert_ne!(of_f, of_g);
    for (by, container) in [("f", &of_f), ("g", &of_g)] {
        guest.begin(container);
        let what = guest.subscription(Subscribe::default());
        let (answer, effects) = guest.call(key(by, "e1"), Bearer::Nobody, what);
        assert_eq!(answer, Answer::Accepted);
        assert_eq!(events(&effects), [EventType::Subscribed, EventType::Launch]);
    }
    let update = What::Update(Box::new(status("t1", TaskState::Running, 1)));
    let (_, effects) = guest.call(key("g", "e1"), Bearer::Nobody, update);
    let told = super::world::statuses(&effects);
    assert_eq!(told[0].framework_id, Some(FrameworkId::new("g")));
    let message = FrameworkMessage {
        framework_id: Some(FrameworkId::new("f")),
        executor_id: Some(key("f", "e1").executor),
        data: b"to f".to_vec(),
    };
    let effects = guest.world.say(MasterBody::FrameworkMessage(message));
    let [Effect::ToExecutor { session: Session(1), event }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(event.message.as_ref().unwrap().data, b"to f");
    let exit = Exit::unknown(Why::Exited);
    guest.world.step(Event::Left { session: Session(2) });
    let effects = guest.world.step(Event::Exited { container: of_g, exit });
    assert_eq!(ended(&effects)[0].framework_id, Some(FrameworkId::new("g")));
    assert_eq!(guest.hello().0, ["e1"], "the other one lives");
}

#[test]
fn nobody_takes_the_container_of_one_of_ours() {
    let mut guest = Guest::new(true);
    let ours = |name: &str| {
        let mut task = task(name, "e1");
        task.executor.as_mut().unwrap().labels = Some(Labels::of([(LABEL_LEASE, "off")]));
        task
    };
    assert_eq!(fetched(&guest.launch_for("f", ours("t1"))).as_str(), "e1");
    let effects = guest.launch_for("g", ours("t1"));
    let status = only_status(&effects);
    assert_eq!(status.state(), TaskState::Dropped);
    assert_eq!(status.message(), "executor e1 belongs to another framework");
    // One that is described otherwise is in nobody's way.
    assert_ne!(fetched(&guest.launch_for("g", task("t2", "e1"))).as_str(), "e1");
}
