//! How executors end, and what becomes of their tasks then.

use muster_agent::{
    core::{Effect, Event, Session},
    supervise::Why,
};
use muster_api::{
    limits,
    task::{self, TaskReport},
};
use muster_proto::{
    Reason, TaskState,
    agent::{AgentBody, MasterBody, ShutdownExecutor, VERSION},
};

use super::world::{World, container, framework, id, only_status, statuses, task};

/// Nothing of it runs, and its download may take long, or not end.
#[test]
fn an_executor_that_is_still_fetched_is_shut_down_at_once() {
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "1h", None));
    let effects = world.say(MasterBody::ShutdownExecutor(ShutdownExecutor {
        framework_id: framework().id,
        executor_id: Some(id("e1")),
    }));
    let status = only_status(&effects);
    assert_eq!(
        (status.state(), status.message()),
        (TaskState::Dropped, "its executor had not been started")
    );
    let is_end = |effect: &Effect| {
        matches!(effect, Effect::ToMaster { body: AgentBody::ExecutorExited(_), .. })
    };
    assert!(effects.iter().any(is_end), "{effects:?}");
    assert_eq!(world.agent.containers().count(), 0);
    // What comes of its download later is for nobody.
    assert_eq!(world.step(Event::Fetched { container: container("e1"), outcome: Ok(()) }), []);
    assert_eq!(world.restart(), []);
}

#[test]
fn how_an_executor_ended_decides_what_its_tasks_come_to() {
    use {Reason as R, TaskState as S, Why as W};
    for (why, state, reason) in [
        (W::Exited, S::Failed, R::ExecutorTerminated),
        (W::Lost, S::Failed, R::ExecutorTerminated),
        (W::Ended, S::Failed, R::ExecutorTerminated),
        (W::Deadline, S::Gone, R::ExecutorTerminated),
        (W::Unstartable, S::Failed, R::ContainerLaunchFailed),
        (W::NeverStarted, S::Dropped, R::AgentRestarted),
    ] {
        let mut world = World::new();
        world.register(true);
        world.running("1h");
        assert_eq!(world.exit(why), [], "its stream may hold reports");
        let effects = world.step(Event::Left { session: Session(1) });
        let status = only_status(&effects);
        assert_eq!((status.state(), status.reason()), (state, reason), "{why:?}");
        let report = status.data.map(|data| TaskReport::decode(&data).unwrap());
        let output = report.and_then(|report| report.output);
        assert_eq!(output.is_some(), state == S::Failed, "{why:?}: {output:?}");
        let fenced = status.labels.is_some_and(|labels| labels.get(task::LABEL_FENCED).is_some());
        assert_eq!(fenced, why == W::Deadline);
        let last = effects.last();
        let exited = |body: &AgentBody| matches!(body, AgentBody::ExecutorExited(_));
        assert!(matches!(last, Some(Effect::ToMaster { body, .. }) if exited(body)), "{last:?}");
    }
}

#[test]
fn last_words_of_a_dead_executor_are_heard() {
    let mut world = World::new();
    world.register(true);
    world.running("1h");
    world.exit(Why::Exited);
    world.update(1, TaskState::Finished, 1);
    let effects = world.step(Event::Left { session: Session(1) });
    assert_eq!(statuses(&effects), [], "it had finished");
}

#[test]
fn executors_that_do_not_subscribe_are_ended() {
    let mut world = World::new();
    world.register(true);
    world.launch(task("t1", "e1", "1h", None));
    world.step(Event::Fetched { container: container("e1"), outcome: Ok(()) });
    world.step(Event::Started { container: container("e1"), pid: 100 });
    world.step(Event::Disconnected { connection: world.connection() });
    assert_eq!(world.agent.next_wakeup(), Some(world.now.mono + limits::EXECUTOR_REGISTRATION));
    world.pass(limits::EXECUTOR_REGISTRATION);
    assert!(matches!(world.step(Event::Tick)[..], [Effect::End { .. }]));
    world.exit(Why::Ended);
    let status = only_status(&world.register(true));
    assert_eq!(status.state(), TaskState::Failed);
    assert_eq!(status.reason(), Reason::ExecutorRegistrationTimeout);
    assert_eq!(status.message(), "its executor did not subscribe within 60 s");
}

/// The master has it from the hello that the executor lives, and would launch there for ever.
#[test]
fn an_executor_that_ends_between_hello_and_welcome_is_reported_after_it() {
    let mut world = World::new();
    world.register(true);
    world.running("2m");
    let connection = world.connection();
    world.step(Event::Disconnected { connection });
    world.connections += 1;
    let connection = world.connection();
    let hello = world.step(Event::Challenged { connection, term: 7, version: VERSION });
    let [Effect::Hello { hello, .. }] = &hello[..] else { panic!("a hello") };
    assert_eq!((hello.executors.len(), hello.tasks.len()), (1, 1));
    world.step(Event::Left { session: Session(1) });
    world.exit(Why::Exited);
    let agent = "agent-1".parse().unwrap();
    let effects = world.step(Event::Welcomed { connection, term: 7, agent });
    let said = effects.iter().filter_map(|effect| match effect {
        Effect::ToMaster { body, .. } => Some(body),
        _ => None,
    });
    let said: Vec<_> = said.collect();
    let [AgentBody::Heartbeat(_), AgentBody::Status(_), AgentBody::ExecutorExited(exited)] =
        said[..]
    else {
        panic!("the end of the task, then of its executor: {said:?}")
    };
    assert_eq!(exited.executor_id, Some(id("e1")));
}
