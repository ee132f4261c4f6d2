//! Subscription, teardown, shutdown, and calls that are void.

use muster_api::limits;
use muster_master::core::{AgentNews, Answer, Effect, Note};
use muster_proto::{
    ExecutorId, FrameworkId, TaskState,
    agent::MasterBody,
    scheduler::{Call, CallType, EventType, Shutdown},
};

use crate::world::*;

#[test]
fn a_first_subscription_gets_an_id_that_is_stored() {
    let mut world = World::new();
    let step = world.call(subscribe(None));
    let event = &to_framework(&step)[0];
    assert_eq!(event.r#type, Some(EventType::Subscribed as i32));
    let id = event.subscribed.clone().unwrap().framework_id.unwrap();
    assert_eq!(step.writes[0].key(), format!("F/{id}").as_bytes());
    let mut world = world.restart();
    let step = world.call(subscribe(Some(&id)));
    assert_eq!(to_framework(&step)[0].subscribed.clone().unwrap().framework_id, Some(id));
    assert_eq!(step.writes, []);
}

#[test]
fn an_id_that_nobody_knows_is_adopted() {
    let mut world = World::new();
    let id = FrameworkId::new("from-elsewhere");
    let step = world.call(subscribe(Some(&id)));
    assert_eq!(to_framework(&step)[0].subscribed.clone().unwrap().framework_id, Some(id));
}

#[test]
fn a_new_subscription_forgets_offers_and_tells_where_agents_stand() {
    let mut cluster = Cluster::new();
    let framework = cluster.framework.clone();
    let step = cluster.world.call(subscribe(Some(&framework)));
    assert_eq!(rescinded(&step), []);
    assert!(matches!(news(&step)[..], [AgentNews::Registered { .. }]));
    let again = offers(&step).pop().unwrap();
    assert_ne!(again.id, cluster.offer.id);

    cluster.world.disconnect(cluster.connection);
    let step = cluster.world.call(subscribe(Some(&framework)));
    assert!(matches!(news(&step)[..], [AgentNews::Registered { .. }, AgentNews::Silent { .. }]));
}

#[test]
fn only_the_framework_that_subscribed_first_is_told_of_agents() {
    let mut cluster = Cluster::new();
    let step = cluster.world.call(subscribe(None));
    assert_eq!(news(&step), []);
    let step = cluster.world.disconnect(cluster.connection);
    assert_eq!(news(&step).len(), 1);
}

#[test]
fn subscriptions_that_contradict_themselves_are_refused() {
    let mut world = World::new();
    let mut call = subscribe(Some(&FrameworkId::new("a")));
    call.framework_id = Some(FrameworkId::new("b"));
    for call in [call, subscribe(Some(&FrameworkId::new("a/b")))] {
        let step = world.call(call);
        assert!(to_framework(&step)[0].error.is_some());
        assert_eq!(step.writes, []);
    }
}

#[test]
fn teardown_ends_executors_for_ever_and_frees_what_they_used_when_they_are_gone() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    cluster.status("t1", TaskState::Running);
    let call = cluster.call(CallType::Teardown);
    let step = cluster.world.call(call.clone());
    assert!(matches!(to_agent(&step)[..], [(_, MasterBody::ShutdownExecutor(_))]));
    assert_eq!(cluster.world.used(), "cpus:1.1;mem:96");

    // A later framework gets what is free, and nobody else acknowledges for the removed one.
    let step = cluster.world.call(subscribe(None));
    assert_eq!(offered(&offers(&step)[0]), "cpus:2.9;mem:4000");
    let step = cluster.status("t1", TaskState::Killed);
    assert!(matches!(to_agent(&step)[..], [(_, MasterBody::Acknowledge(_))]));
    assert_eq!(updates(&step), []);
    let framework = cluster.framework.clone();
    cluster.world.exited(cluster.connection, &framework, "e1");
    assert_eq!(cluster.world.used(), "");

    let mut world = cluster.world.restart();
    let step = world.call(subscribe(Some(&framework)));
    assert_eq!(to_framework(&step)[0].error.clone().unwrap().message, "Framework has been removed");
    assert_eq!(answers(&world.call(call)), [Answer::Invalid("Framework cannot be found".into())]);
}

#[test]
fn an_agent_that_comes_after_the_teardown_is_told_to_end_the_executors() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    cluster.world.disconnect(cluster.connection);
    let call = cluster.call(CallType::Teardown);
    assert_eq!(to_agent(&cluster.world.call(call)), []);
    let hello = cluster.hello_again(&[("t1", TaskState::Running)], &["e1"]);
    let (step, _) = cluster.come_back(hello);
    assert!(
        to_agent(&step).iter().any(|(_, body)| matches!(body, MasterBody::ShutdownExecutor(_)))
    );
}

#[test]
fn a_bounded_number_of_removed_frameworks_is_remembered() {
    let mut world = World::new();
    for _ in 0..limits::FRAMEWORKS_REMOVED + 3 {
        let id = world.subscribe();
        let teardown = Call {
            framework_id: Some(id),
            r#type: Some(CallType::Teardown as i32),
            ..Call::default()
        };
        world.call(teardown);
        world.advance_to(world.now.mono + std::time::Duration::from_millis(1));
    }
    let kept = world.records.keys().filter(|key| key.starts_with(b"F/")).count();
    assert_eq!(kept, limits::FRAMEWORKS_REMOVED);
}

#[test]
fn shutdown_goes_to_the_agent_of_the_executor() {
    let mut cluster = Cluster::new();
    let shutdown =
        Shutdown { executor_id: Some(ExecutorId::new("e1")), agent_id: Some(wire(&cluster.agent)) };
    let call = Call { shutdown: Some(shutdown), ..cluster.call(CallType::Shutdown) };
    let step = cluster.world.call(call.clone());
    assert!(matches!(to_agent(&step)[..], [(_, MasterBody::ShutdownExecutor(_))]));
    cluster.world.disconnect(cluster.connection);
    assert_eq!(cluster.world.call(call).effects, []);
}

#[test]
fn to_end_an_executor_that_is_not_there_does_nothing_to_one_that_will_be() {
    let mut world = World::new();
    let (agent, _, _) = world.agent("h1", "cpus:4;mem:4096");
    let offer = offers(&world.foreign(subscribe_as("f", |_| ()), None)).pop().unwrap();
    let (executor_id, agent_id) = (Some(ExecutorId::new("e1")), Some(wire(&agent)));
    let shutdown = Some(Shutdown { executor_id, agent_id });
    let call = Call { shutdown, ..call_of("f", CallType::Shutdown) };
    assert_eq!(to_agent(&world.call(call.clone())).len(), 0);
    let tasks = vec![task("t1", &agent, "e1")];
    world.call(accept_of("f", &[&offer], vec![launch(tasks)], None));
    assert!(matches!(to_agent(&world.call(call))[..], [(_, MasterBody::ShutdownExecutor(_))]));
}

#[test]
fn void_calls_are_notes() {
    let mut cluster = Cluster::new();
    let kinds = [
        CallType::Accept,
        CallType::Decline,
        CallType::Kill,
        CallType::Shutdown,
        CallType::Acknowledge,
        CallType::Reconcile,
        CallType::Message,
        CallType::Unknown,
    ];
    for kind in kinds {
        let call = cluster.call(kind);
        let step = cluster.world.call(call);
        assert_eq!(step.effects, [] as [Effect; 0], "{kind:?}");
        assert!(matches!(step.notes[..], [Note::CallIgnored { .. }]), "{kind:?}");
        assert!(step.notes[0].to_string().contains(&cluster.framework.value));
    }
    let stranger = Call {
        framework_id: Some(FrameworkId::new("stranger")),
        r#type: Some(CallType::Revive as i32),
        ..Call::default()
    };
    let refused = Answer::Invalid("Framework cannot be found".into());
    assert_eq!(answers(&cluster.world.call(stranger)), [refused]);
}
