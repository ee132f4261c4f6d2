//! What an agent says of itself when it comes back, and who wants something of it.

use muster_proto::{
    CommandInfo, ExecutorInfo, TaskInfo, TaskState,
    agent::{Expected, Hello, Launcher, MasterBody, executor_digest},
};

use crate::world::*;

/// What an agent says that says of its executors and tasks only what its master counts.
fn outlined(mut hello: Hello, launched: &ExecutorInfo) -> Hello {
    for here in &mut hello.executors {
        let whole = here.executor.take().unwrap();
        here.digest = executor_digest(launched);
        here.executor = Some(ExecutorInfo {
            executor_id: whole.executor_id,
            resources: whole.resources,
            ..ExecutorInfo::default()
        });
    }
    for here in &mut hello.tasks {
        let whole = here.task.take().unwrap();
        let executor = whole.executor.map(|executor| ExecutorInfo {
            executor_id: executor.executor_id,
            ..ExecutorInfo::default()
        });
        here.task = Some(TaskInfo {
            task_id: whole.task_id,
            resources: whole.resources,
            executor,
            command: whole.command.map(|_| CommandInfo::default()),
            ..TaskInfo::default()
        });
    }
    hello
}

/// Agents of the version before told all of each executor; those of today tell its digest.
#[test]
fn an_executor_of_a_hello_must_be_described_as_it_was_launched() {
    for is_outlined in [false, true] {
        let mut cluster = Cluster::new();
        let step = cluster.launch(vec![cluster.task("t1", "e1")]);
        let [(_, MasterBody::Launch(launch))] = &to_agent(&step)[..] else { panic!("{step:?}") };
        let launched_as = launch.task.as_ref().unwrap().executor.clone().unwrap();
        let mut hello = cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]);
        if is_outlined {
            hello = outlined(hello, &launched_as);
        }
        cluster.come_back(hello);
        assert_eq!(cluster.world.used(), "cpus:1.1;mem:96", "outlined: {is_outlined}");
        let mut other = cluster.task("t3", "e1");
        other.executor.as_mut().unwrap().data = Some(b"other".to_vec());
        let step = cluster.launch(vec![cluster.task("t2", "e1"), other]);
        assert_eq!(launched(&step), ["t2"], "outlined: {is_outlined}");
        let said = updates(&step)[0].message.clone().unwrap();
        assert!(said.starts_with("ExecutorInfo is not compatible with existing"), "{said}");
    }
}

/// Labels are anybody's to write, so the agent is told.
#[test]
fn agents_are_told_who_wants_a_task() {
    let mut cluster = Cluster::new();
    let step = cluster.launch(vec![cluster.task("t1", "e1")]);
    let [(_, MasterBody::Launch(ours))] = &to_agent(&step)[..] else { panic!("{step:?}") };
    assert_eq!((ours.launcher(), ours.expected()), (Launcher::Engine, Expected::New));
    let step = cluster.launch(vec![cluster.task("t2", "e1")]);
    let [(_, MasterBody::Launch(further))] = &to_agent(&step)[..] else { panic!("{step:?}") };
    assert_eq!(further.expected(), Expected::Alive, "its executor is charged once");
    let mut world = World::new();
    world.foreign(subscribe_as("guest", |_| {}), None);
    let (agent, connection, _) = world.agent("h1", "cpus:4;mem:4096");
    let offers = world.offers_of(&muster_proto::FrameworkId::new("guest"));
    let launches = vec![launch(vec![command("t1", &agent)])];
    let accept = accept_of("guest", &[&offers[0]], launches, None);
    let step = world.foreign(accept, None);
    let [(to, MasterBody::Launch(theirs))] = &to_agent(&step)[..] else { panic!("{step:?}") };
    assert_eq!((*to, theirs.launcher()), (connection, Launcher::Framework));
}
