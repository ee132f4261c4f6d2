//! Statuses, acknowledgements, and the end of executors.

use muster_proto::{
    ContainerId, ContainerStatus, ExecutorId, FrameworkId, TaskState, TaskStatus,
    agent::{Acknowledge, AgentBody, ExecutorMessage, MasterBody, MessageTaken, Status},
    scheduler::{CallType, EventType},
};

use crate::world::*;

#[test]
fn a_status_is_forwarded_with_its_uuid_and_its_acknowledgement_goes_to_the_agent() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let step = cluster.status("t1", TaskState::Running);
    let told = &updates(&step)[0];
    assert_eq!(
        (told.uuid.clone(), told.agent_id.clone()),
        (Some(uuid("t1")), Some(wire(&cluster.agent)))
    );
    let step = cluster.acknowledge("t1", &uuid("t1"));
    let acknowledge = MasterBody::Acknowledge(Acknowledge {
        framework_id: Some(cluster.framework.clone()),
        task_id: Some(muster_proto::TaskId::new("t1")),
        uuid: uuid("t1"),
    });
    assert_eq!(to_agent(&step), [(cluster.connection, acknowledge)]);
    assert_eq!(cluster.world.agents()[0].tasks, 1);
}

#[test]
fn resources_are_free_at_the_first_word_of_the_end() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    // RUNNING is still unacknowledged when the agent knows that the task has finished.
    let framework_id = Some(cluster.framework.clone());
    let status = Some(status("t1", TaskState::Running));
    let latest_state = TaskState::Finished as i32;
    let report = AgentBody::Status(Status { framework_id, status, latest_state });
    let step = cluster.world.from(cluster.connection, report);
    assert_eq!(verdicts(&step)[0].1, TaskState::Running);
    assert_eq!(offered(&offers(&step)[0]), "cpus:1;mem:64");

    cluster.acknowledge("t1", &uuid("t1"));
    assert_eq!(verdict(&cluster.reconcile(&[])[0]).1, TaskState::Running, "what it was told");
    let step = cluster.status("t1", TaskState::Finished);
    assert_eq!(verdicts(&step)[0].1, TaskState::Finished);
    assert_eq!(offers(&step), [], "nothing is freed twice");
    cluster.acknowledge("t1", b"another uuid....");
    assert_eq!(cluster.reconcile(&[]).len(), 1);
    cluster.acknowledge("t1", &uuid("t1"));
    assert_eq!(cluster.reconcile(&[]).len(), 0, "the task is forgotten");
}

#[test]
fn the_status_of_an_unknown_task_is_forwarded_all_the_same() {
    let mut cluster = Cluster::new();
    let step = cluster.status("who", TaskState::Finished);
    assert_eq!(verdicts(&step)[0].1, TaskState::Finished);
    let step = cluster.acknowledge("who", &uuid("who"));
    assert_eq!(to_agent(&step).len(), 1);
}

#[test]
fn an_acknowledgement_for_a_lost_agent_is_void_and_the_task_stays() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    cluster.status("t1", TaskState::Finished);
    cluster.world.disconnect(cluster.connection);
    assert_eq!(cluster.acknowledge("t1", &uuid("t1")).effects, []);
    assert_eq!(verdict(&cluster.reconcile(&[])[0]).1, TaskState::Finished);

    cluster.come_back(cluster.hello_again(&[("t1", TaskState::Finished)], &["e1"]));
    assert_eq!(to_agent(&cluster.acknowledge("t1", &uuid("t1"))).len(), 1);
    assert_eq!(cluster.reconcile(&[]), []);
}

#[test]
fn an_executor_that_ends_is_a_failure_and_its_tasks_stay_until_their_end_comes() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    cluster.status("t1", TaskState::Running);
    let framework = cluster.framework.clone();
    let step = cluster.world.exited(cluster.connection, &framework, "e1");
    let failure = to_framework(&step)[0].failure.clone().unwrap();
    assert_eq!(failure.agent_id, Some(wire(&cluster.agent)));
    assert_eq!((failure.executor_id.unwrap().value, failure.status), ("e1".into(), Some(9)));
    assert_eq!(cluster.world.used(), "cpus:1;mem:64");
    assert_eq!(offered(&offers(&step)[0]), "cpus:0.1;mem:32");
    cluster.status("t1", TaskState::Failed);
    assert_eq!(cluster.world.used(), "");
}

#[test]
fn an_executor_whose_every_launch_was_dropped_never_was() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1"), cluster.task("t2", "e1")]);
    cluster.status("t1", TaskState::Dropped);
    assert_eq!(cluster.world.used(), "cpus:1.1;mem:96");
    cluster.status("t2", TaskState::Dropped);
    assert_eq!(cluster.world.used(), "");

    cluster.launch(vec![cluster.task("t3", "e2")]);
    cluster.status("t3", TaskState::Running);
    cluster.launch(vec![cluster.task("t4", "e2")]);
    cluster.status("t4", TaskState::Dropped);
    cluster.status("t3", TaskState::Finished);
    assert_eq!(cluster.world.used(), "cpus:0.1;mem:32", "one that ran something lives on");
}

#[test]
fn an_executor_that_lives_stays_though_its_first_launch_was_dropped() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let container_id = Some(ContainerId { value: "c1".to_owned(), parent: None });
    let lives = ContainerStatus { container_id, ..ContainerStatus::default() };
    let dropped =
        TaskStatus { container_status: Some(Box::new(lives)), ..status("t1", TaskState::Dropped) };
    let framework = cluster.framework.clone();
    cluster.world.status(cluster.connection, &framework, dropped);
    assert_eq!(cluster.world.used(), "cpus:0.1;mem:32");
}

#[test]
fn a_framework_that_is_away_is_told_nothing() {
    let cluster = Cluster::new();
    let hello = cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]);
    let framework = cluster.framework.clone();
    let mut world = cluster.world.restart();
    let (connection, _) = world.hello(hello);
    world.beat(connection, 1);
    let step = world.status(connection, &framework, status("t1", TaskState::Finished));
    assert_eq!(step.effects, []);
    assert_eq!(world.used(), "cpus:0.1;mem:32");
    let step = world.call(subscribe(Some(&framework)));
    assert_eq!(offered(&offers(&step)[0]), "cpus:3.9;mem:4064");
    let step = world.status(connection, &framework, status("t1", TaskState::Finished));
    assert_eq!(updates(&step).len(), 1);
}

/// A message of executor `e1` of a framework.
fn message(framework: Option<&FrameworkId>, number: Option<u64>) -> AgentBody {
    AgentBody::ExecutorMessage(ExecutorMessage {
        framework_id: framework.cloned(),
        executor_id: Some(ExecutorId::new("e1")),
        data: b"news".to_vec(),
        number,
    })
}

#[test]
fn a_message_goes_to_the_framework_that_is_there_and_only_then_counts_as_taken() {
    let mut cluster = Cluster::new();
    let (connection, framework) = (cluster.connection, cluster.framework.clone());
    let step = cluster.world.from(connection, message(Some(&framework), Some(3)));
    let told = to_framework(&step)[0].message.clone().unwrap();
    assert_eq!(to_framework(&step)[0].r#type, Some(EventType::Message as i32));
    assert_eq!(told.agent_id, Some(wire(&cluster.agent)));
    assert_eq!((told.executor_id.unwrap().value, told.data), ("e1".into(), b"news".to_vec()));
    let taken = MasterBody::MessageTaken(MessageTaken {
        framework_id: Some(framework.clone()),
        executor_id: Some(ExecutorId::new("e1")),
        number: 3,
    });
    assert_eq!(to_agent(&step), [(connection, taken)]);
    assert_eq!(step.writes, [], "nobody keeps it");

    let step = cluster.world.from(connection, message(Some(&framework), None));
    assert_eq!((to_framework(&step).len(), to_agent(&step).len()), (1, 0), "nobody asks");
    let unknown = FrameworkId::new("unknown");
    for nobody in [None, Some(&unknown)] {
        let step = cluster.world.from(connection, message(nobody, Some(4)));
        assert_eq!((step.effects.len(), step.notes.len()), (0, 1));
    }

    // A master that has just started knows the framework, which has not come back yet.
    cluster.world = cluster.world.restart();
    let hello = cluster.hello_again(&[], &["e1"]);
    let (connection, _) = cluster.world.hello(hello);
    let step = cluster.world.from(connection, message(Some(&framework), Some(5)));
    assert_eq!(step.effects, [], "it comes again");
    cluster.world.call(subscribe(Some(&framework)));
    let step = cluster.world.from(connection, message(Some(&framework), Some(5)));
    assert_eq!((to_framework(&step).len(), to_agent(&step).len()), (1, 1));
    let teardown = cluster.call(CallType::Teardown);
    cluster.world.call(teardown);
    let step = cluster.world.from(connection, message(Some(&framework), Some(6)));
    assert_eq!((to_framework(&step).len(), to_agent(&step).len()), (0, 1), "it stops then");
}
