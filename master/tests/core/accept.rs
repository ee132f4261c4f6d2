//! ACCEPT: which tasks are launched, and what the others are told.

use muster_proto::{
    CommandInfo, DurationInfo, ExecutorId, ExecutorType, FrameworkId, KillPolicy, Offer, OfferId,
    Reason, Resource, TaskId, TaskInfo, TaskState, ValueType,
    agent::MasterBody,
    scheduler::{Accept, Call, CallType},
};

use crate::world::*;

#[test]
fn a_launch_carries_the_filled_in_executor_and_the_newest_answered_heartbeat() {
    let mut cluster = Cluster::new();
    cluster.world.beat(cluster.connection, 2);
    let step = cluster.launch(vec![cluster.task("t1", "e1")]);
    let [(connection, MasterBody::Launch(launch))] = &to_agent(&step)[..] else { panic!() };
    assert_eq!((*connection, launch.heartbeat), (cluster.connection, 2));
    assert_eq!(launch.framework.as_ref().unwrap().id, Some(cluster.framework.clone()));
    let executor = launch.task.as_ref().unwrap().executor.as_ref().unwrap();
    assert_eq!(executor.framework_id, Some(cluster.framework.clone()));
}

#[test]
fn an_executor_is_charged_once() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1"), cluster.task("t2", "e1")]);
    assert_eq!(cluster.world.used(), "cpus:2.1;mem:160");
    cluster.launch(vec![cluster.task("t3", "e1")]);
    assert_eq!(cluster.world.used(), "cpus:3.1;mem:224");
    let view = &cluster.world.agents()[0];
    assert_eq!((view.tasks, view.executors), (3, 1));
}

#[test]
fn invalid_offers_drop_every_task_and_free_the_offers_that_live() {
    let mut cluster = Cluster::new();
    let dead = Offer { id: Some(OfferId::new("dead")), ..Offer::default() };
    let offer = cluster.offer.clone();
    for offers_named in [vec![&offer, &dead], vec![&offer, &offer], vec![]] {
        let mut cluster = Cluster::new();
        let tasks = vec![cluster.task("t1", "e1"), cluster.task("t2", "e1")];
        let named = offers_named.len();
        let step = cluster.accept(&offers_named, tasks, 0.0);
        let dropped = |id: &str| (id.into(), TaskState::Dropped, Some(Reason::InvalidOffers));
        assert_eq!(verdicts(&step), [dropped("t1"), dropped("t2")]);
        assert!(updates(&step).iter().all(|status| status.uuid.is_none()));
        assert_eq!(rescinded(&step), []);
        assert_eq!(offers(&step).len(), usize::from(named > 0), "it is free again, unfiltered");
        assert_eq!(launched(&step), [""; 0]);
    }
    // Offers of two agents in one call.
    let (_, _, step) = cluster.world.agent("h2", "cpus:1");
    let second = offers(&step).pop().unwrap();
    let tasks = vec![cluster.task("t1", "e1")];
    let step = cluster.accept(&[&offer, &second], tasks, 0.0);
    assert_eq!(verdicts(&step)[0].2, Some(Reason::InvalidOffers));
    assert_eq!(offers(&step).len(), 2);
}

#[test]
fn a_framework_that_knows_no_partitions_is_told_lost() {
    let mut world = World::new();
    let mut call = subscribe(None);
    call.subscribe.as_mut().unwrap().framework_info.as_mut().unwrap().capabilities.clear();
    let step = world.call(call);
    let framework = to_framework(&step)[0].subscribed.clone().unwrap().framework_id.unwrap();
    let accept = Accept {
        offer_ids: vec![OfferId::new("dead")],
        operations: vec![launch(vec![task("t1", &"a".parse().unwrap(), "e1")])],
        filters: None,
    };
    let step = world.call(Call {
        framework_id: Some(framework),
        r#type: Some(CallType::Accept as i32),
        accept: Some(accept),
        ..Call::default()
    });
    assert_eq!(verdicts(&step), [("t1".into(), TaskState::Lost, Some(Reason::InvalidOffers))]);
}

/// A task that is spoilt in one way is refused; its neighbours are launched.
#[test]
fn each_invalid_task_is_an_error_and_the_next_one_goes_on() {
    type Spoil = fn(&mut TaskInfo);
    let spoil: Vec<(&str, Spoil)> = vec![
        ("'a/b' contains invalid characters", |task| task.task_id = Some(TaskId::new("a/b"))),
        ("Task has duplicate ID: first", |task| task.task_id = Some(TaskId::new("first"))),
        ("Task uses invalid agent other", |task| {
            task.agent_id = Some(muster_proto::AgentId::new("other"));
        }),
        ("uses no resources", |task| task.resources.clear()),
        ("is more than available", |task| task.resources[0].r#type = ValueType::Ranges as i32),
        ("reserved for role", |task| task.resources[0].role = Some("prod".into())),
        ("at least one (but not both)", |task| task.command = Some(CommandInfo::default())),
        ("at least one (but not both)", |task| task.executor = None),
        ("Executor has an invalid ID: '..' is disallowed", |task| {
            task.executor.as_mut().unwrap().executor_id = Some(ExecutorId::new(".."));
        }),
        ("must be of type 'CUSTOM'", |task| {
            task.executor.as_mut().unwrap().r#type = Some(ExecutorType::Default as i32);
        }),
        ("'ExecutorInfo.command' must be set", |task| {
            task.executor.as_mut().unwrap().command = None;
        }),
        ("ExecutorInfo has an invalid FrameworkID", |task| {
            task.executor.as_mut().unwrap().framework_id = Some(FrameworkId::new("other"));
        }),
        ("ExecutorInfo is not compatible with existing ExecutorInfo", |task| {
            task.executor.as_mut().unwrap().data = Some(b"other".to_vec());
        }),
        ("must be non-negative", |task| {
            let grace_period = Some(DurationInfo { nanoseconds: -1 });
            task.kill_policy = Some(KillPolicy { grace_period });
        }),
        ("is more than available", |task| task.resources = resources("cpus:1;mem:4001")),
        ("is more than available", |task| task.resources = resources("gpus:1")),
    ];
    for (message, spoil) in spoil {
        let mut cluster = Cluster::new();
        let mut bad = cluster.task("bad", "e1");
        spoil(&mut bad);
        let tasks = vec![cluster.task("first", "e1"), bad, cluster.task("last", "e1")];
        let step = cluster.launch(tasks);
        assert_eq!(launched(&step), ["first", "last"], "{message}");
        let told = updates(&step);
        let (_, state, reason) = verdict(&told[0]);
        assert_eq!((state, reason), (TaskState::Error, Some(Reason::TaskInvalid)), "{message}");
        assert!(told[0].uuid.is_none());
        let said = told[0].message.clone().unwrap();
        assert!(said.contains(message), "`{said}` does not say `{message}`");
    }
}

#[test]
fn a_resource_that_is_not_over_zero_refuses_the_whole_launch() {
    for value in [0.0, -1.0, 0.0004] {
        let mut cluster = Cluster::new();
        let mut bad = cluster.task("bad", "e1");
        bad.resources.push(Resource::scalar("disk", value));
        let step = cluster.launch(vec![cluster.task("good", "e1"), bad]);
        assert_eq!(launched(&step), [""; 0]);
        assert_eq!(verdicts(&step).len(), 2);
        assert_eq!(offered(&cluster.offer), "cpus:4;mem:4096");
    }
}

#[test]
fn a_nonsensical_number_refuses_its_task() {
    for value in [f64::NAN, f64::INFINITY, 1e18] {
        let mut cluster = Cluster::new();
        let mut bad = cluster.task("bad", "e1");
        bad.resources[0] = Resource::scalar("cpus", value);
        let step = cluster.launch(vec![cluster.task("good", "e1"), bad]);
        assert_eq!(launched(&step), ["good"]);
        assert_eq!(verdicts(&step)[0].1, TaskState::Error);
    }
}

#[test]
fn a_task_id_is_free_again_once_its_end_is_acknowledged() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    cluster.status("t1", TaskState::Finished);
    let step = cluster.launch(vec![cluster.task("t1", "e1")]);
    assert_eq!(verdicts(&step)[0].1, TaskState::Error);
    cluster.acknowledge("t1", &uuid("t1"));
    let step = cluster.launch(vec![cluster.task("t1", "e1")]);
    assert_eq!(launched(&step), ["t1"]);
}

#[test]
fn after_the_agent_is_lost_its_offers_are_invalid() {
    let mut cluster = Cluster::new();
    cluster.world.disconnect(cluster.connection);
    let step = cluster.launch(vec![cluster.task("t1", "e1")]);
    assert_eq!(verdicts(&step), [("t1".into(), TaskState::Dropped, Some(Reason::InvalidOffers))]);
}

#[test]
fn an_executor_that_came_with_the_agent_is_matched_and_not_charged() {
    let mut cluster = Cluster::new();
    cluster.come_back(cluster.hello_again(&[], &["e1"]));
    assert_eq!(cluster.world.used(), "cpus:0.1;mem:32");
    let step = cluster.launch(vec![cluster.task("t1", "e1")]);
    assert_eq!(launched(&step), ["t1"]);
    assert_eq!(cluster.world.used(), "cpus:1.1;mem:96");
}
