//! Who has launched an executor, which decides what its agent owes it.

use muster_agent::core::{Effect, Event, Origin};
use muster_api::task::{EXPECT_ALIVE, LABEL_EXPECT, LABEL_LEASE};
use muster_proto::{
    Labels, Reason, TaskInfo, TaskState,
    agent::{Expected, HeartbeatAnswer, Launch, LaunchGroup, Launcher, MasterBody},
};

use super::{
    guest::{Guest, fetched, framework, task},
    world::{container, only_status, statuses},
};

/// A task that says of itself, and of its executor, what only our engine may say.
fn labelled(lease: &str) -> TaskInfo {
    let mut labelled = task("t1", "e1");
    labelled.labels = Some(Labels::of([(LABEL_EXPECT, EXPECT_ALIVE)]));
    labelled.executor.as_mut().unwrap().labels = Some(Labels::of([(LABEL_LEASE, lease)]));
    labelled
}

fn launch(guest: &mut Guest, launcher: Launcher, task: TaskInfo) -> Vec<Effect> {
    let (framework, task) = (Some(framework("f", guest.checkpoint)), Some(task));
    let launcher = launcher as i32;
    let launch = Launch { framework, task, heartbeat: 1, launcher, ..Launch::default() };
    guest.world.say(MasterBody::Launch(launch))
}

fn origin_of(effects: &[Effect]) -> (Origin, bool) {
    let start = effects.iter().find_map(|effect| match effect {
        Effect::Start { origin, deadline, .. } => Some((*origin, deadline.is_some())),
        _ => None,
    });
    start.unwrap()
}

#[test]
fn a_framework_gets_nothing_of_ours_by_our_labels() {
    for checkpoint in [true, false] {
        let mut guest = Guest::new(checkpoint);
        let effects = launch(&mut guest, Launcher::Framework, labelled("15s"));
        assert_eq!(statuses(&effects), [], "what it expects of its executor is not asked");
        let container = fetched(&effects);
        assert_ne!(container.as_str(), "e1", "no framework takes an id from ours");
        let effects =
            guest.world.step(Event::Fetched { container: container.clone(), outcome: Ok(()) });
        assert_eq!(origin_of(&effects), (Origin::Foreign, false), "and no lease");
        guest.world.step(Event::Started { container: container.clone(), pid: 100 });
        guest.world.pass(std::time::Duration::from_secs(5));
        guest.world.step(Event::Tick);
        let answer = MasterBody::HeartbeatAnswer(HeartbeatAnswer { number: 2 });
        assert_eq!(guest.world.say(answer), []);
        // After a restart it is what it was: it goes on only if its framework wants that.
        guest.world.restart();
        let effects = guest.world.step(Event::Started { container, pid: 100 });
        let ended = effects.iter().any(|effect| matches!(effect, Effect::End { .. }));
        assert_eq!(ended, !checkpoint);
    }
}

#[test]
fn what_the_engine_launches_is_ours_with_and_without_a_lease() {
    for (lease, has_deadline) in [(Some("15s"), true), (Some("off"), false), (None, false)] {
        let mut guest = Guest::new(true);
        let mut task = task("t1", "e1");
        task.executor.as_mut().unwrap().labels =
            lease.map(|lease| Labels::of([(LABEL_LEASE, lease)]));
        let named = fetched(&launch(&mut guest, Launcher::Engine, task));
        assert_eq!(named, container("e1"));
        let effects = guest.world.step(Event::Fetched { container: named, outcome: Ok(()) });
        assert_eq!(origin_of(&effects), (Origin::Ours, has_deadline));
    }
}

/// It has crossed the end of the executor that its master knew, and has counted.
#[test]
fn a_launch_that_comes_too_late_for_its_executor_starts_no_other() {
    for is_group in [false, true] {
        let mut guest = Guest::new(true);
        let container = guest.running();
        let late = |guest: &mut Guest, name: &str| {
            let (framework, task) = (Some(framework("f", true)), task(name, "e1"));
            let (heartbeat, launcher) = (1, Launcher::Framework as i32);
            let expected = Expected::Alive as i32;
            guest.world.say(if is_group {
                let (tasks, executor) = (vec![task], None);
                MasterBody::LaunchGroup(LaunchGroup {
                    framework,
                    tasks,
                    heartbeat,
                    executor,
                    launcher,
                    expected,
                })
            } else {
                let task = Some(task);
                MasterBody::Launch(Launch { framework, task, heartbeat, launcher, expected })
            })
        };
        assert_eq!(statuses(&late(&mut guest, "t2")), [], "it lives");
        guest.exit(&container, 0);
        let effects = late(&mut guest, "t3");
        let told = only_status(&effects);
        assert_eq!((told.state(), told.reason()), (TaskState::Dropped, Reason::ExecutorTerminated));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Fetch { .. })));
    }
}

/// A master of the version before says nothing of it, and serves our engine first of all.
#[test]
fn where_the_master_does_not_say_it_labels_count() {
    let mut guest = Guest::new(true);
    let mut ours = labelled("15s");
    ours.labels = None;
    assert_eq!(fetched(&launch(&mut guest, Launcher::Unsaid, ours)), container("e1"));
    let effects = launch(&mut guest, Launcher::Unsaid, task("t2", "e2"));
    assert_ne!(fetched(&effects).as_str(), "e2");
}
