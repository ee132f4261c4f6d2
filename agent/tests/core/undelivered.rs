//! Tasks that end before their executor is given them, and tasks that are given together.

use std::time::Duration;

use muster_agent::core::{Answer, Effect, Event};
use muster_api::limits;
use muster_proto::{
    Reason, TaskInfo, TaskState,
    executor::{EventType, Subscribe},
};

use super::{
    guest::{Guest, fetched, status, task},
    world::{events, only_status, statuses},
};

#[test]
fn a_kill_before_the_subscription_ends_the_task_and_then_its_executor() {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch(task("t1", "e1")));
    guest.launch(task("t2", "e1"));
    guest.begin(&container);
    let killed = only_status(&guest.kill("t1"));
    assert_eq!(killed.state(), TaskState::Killed);
    assert_eq!(killed.reason(), Reason::TaskKilledDuringLaunch);
    assert_eq!(killed.message(), "Killed before delivery to the executor");
    assert_eq!(only_status(&guest.kill("t2")).state(), TaskState::Killed);
    // Nothing is left for it to do, so that it hears nothing but its end.
    let (answer, effects) = guest.subscribe(Subscribe::default());
    assert_eq!((answer, events(&effects)), (Answer::Accepted, vec![EventType::Shutdown]));
    let connection = guest.world.connection();
    guest.world.step(Event::Disconnected { connection });
    let end = Effect::End { container, grace: Duration::ZERO };
    assert_eq!(guest.tick_after(limits::EXECUTOR_SHUTDOWN_GRACE), [end]);
}

#[test]
fn an_executor_with_something_left_to_do_is_not_ended() {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch(task("t1", "e1")));
    guest.launch(task("t2", "e1"));
    guest.begin(&container);
    guest.kill("t1");
    let (_, effects) = guest.subscribe(Subscribe::default());
    assert_eq!(events(&effects), [EventType::Subscribed, EventType::Launch]);
    guest.update(status("t2", TaskState::Finished, 1));
    // It was used, so that its framework decides when it ends.
    let connection = guest.world.connection();
    guest.world.step(Event::Disconnected { connection });
    assert_eq!(guest.tick_after(Duration::from_secs(3600)), []);
}

#[test]
fn an_executor_whose_sandbox_is_still_filled_is_not_started_for_nothing() {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch(task("t1", "e1")));
    guest.kill("t1");
    assert_eq!(guest.world.agent.containers().count(), 0, "its download is not waited for");
    assert_eq!(guest.world.step(Event::Fetched { container, outcome: Ok(()) }), []);
}

fn group() -> Vec<TaskInfo> {
    vec![task("b", "e1"), task("a", "e1")]
}

fn groups(effects: &[Effect]) -> Vec<Vec<String>> {
    let group = |effect: &Effect| match effect {
        Effect::ToExecutor { event, .. } => event.launch_group.clone(),
        _ => None,
    };
    let names = |group: muster_proto::executor::LaunchGroup| {
        let tasks = group.task_group.unwrap().tasks.into_iter();
        tasks.map(|task| task.task_id.unwrap().value).collect()
    };
    effects.iter().filter_map(group).map(names).collect()
}

#[test]
fn a_group_is_one_event_in_its_own_order() {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch_group(group()));
    guest.launch(task("single", "e1"));
    guest.begin(&container);
    let (_, effects) = guest.subscribe(Subscribe::default());
    use EventType as E;
    assert_eq!(events(&effects), [E::Subscribed, E::LaunchGroup, E::Launch]);
    assert_eq!(groups(&effects), [["b", "a"]]);
    let another = guest.launch_group(vec![task("c", "e1"), task("d", "e1")]);
    assert_eq!(groups(&another), [["c", "d"]], "at once, for it is subscribed");
    guest.update(status("b", TaskState::Running, 1));
    let again = guest.launch_group(group());
    assert_eq!(groups(&again), Vec::<Vec<String>>::new());
    assert_eq!(only_status(&again).state(), TaskState::Running, "it hears how they stand");
    assert_eq!(events(&guest.kill("a")), [E::Kill], "each is killed on its own from then on");
}

#[test]
fn one_of_a_group_that_is_killed_before_all_got_it_takes_the_others_along() {
    let mut guest = Guest::new(true);
    let container = fetched(&guest.launch_group(group()));
    guest.begin(&container);
    let effects = guest.kill("a");
    let told: Vec<_> = statuses(&effects).into_iter().map(|s| s.status.unwrap()).collect();
    assert_eq!(told.len(), 2);
    for status in told {
        assert_eq!(status.reason(), Reason::TaskKilledDuringLaunch);
    }
    let (_, effects) = guest.subscribe(Subscribe::default());
    assert_eq!(events(&effects), [EventType::Shutdown]);
}

#[test]
fn what_is_in_the_way_of_one_is_in_the_way_of_all() {
    let mut guest = Guest::new(true);
    guest.world.pass(Duration::from_secs(31));
    let effects = guest.launch_group(group());
    let told = statuses(&effects);
    assert_eq!(told.len(), 2, "{effects:?}");
    for status in told {
        assert_eq!(status.latest_state(), TaskState::Dropped);
    }
    assert_eq!(guest.world.agent.containers().count(), 0);
    // These are no group, and nothing is made of them.
    for tasks in [Vec::new(), vec![task("x", "e1"), task("y", "e2")], vec![task("", "e1")]] {
        assert_eq!(guest.launch_group(tasks), []);
    }
}
