//! The embedded scheduler and other frameworks on one master.

use std::time::Duration;

use muster_master::core::{Effect, Step};
use muster_proto::{FrameworkId, scheduler::CallType};

use crate::world::*;

/// What the embedded scheduler is told of others.
fn told(step: &Step) -> Vec<bool> {
    let pick = |effect: &Effect| match effect {
        Effect::Shared(shared) => Some(*shared),
        _ => None,
    };
    step.effects.iter().filter_map(pick).collect()
}

fn name(id: &str) -> FrameworkId {
    FrameworkId::new(id)
}

/// A cluster whose embedded framework is called `m`, between others of lower and higher ids.
fn cluster() -> Cluster {
    let mut world = World::new();
    world.call(subscribe(Some(&name("m"))));
    let (agent, connection, step) = world.agent("h1", "cpus:4;mem:4096");
    let offer = offers(&step).pop().unwrap();
    Cluster { world, framework: name("m"), agent, connection, offer }
}

#[test]
fn alone_it_keeps_its_offers_and_with_another_it_is_told_and_they_are_withdrawn() {
    let mut cluster = cluster();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let held = cluster.offer.id.clone().unwrap();
    cluster.world.wait(Duration::from_secs(5));
    let step = cluster.world.call(subscribe(Some(&name("a"))));
    assert_eq!((rescinded(&step), told(&step)), (vec![held], vec![true]));
    let [offer] = &offers(&step)[..] else { panic!("one offer of what is free: {step:?}") };
    assert_eq!(offer.framework_id, Some(name("a")));
    assert_eq!(offered(offer), "cpus:2.9;mem:4000");

    let step = cluster.world.call(subscribe(Some(&name("z"))));
    assert_eq!((rescinded(&step), told(&step)), (vec![], vec![]), "that it is told once");
    let step = cluster.world.call(subscribe(Some(&name("a"))));
    assert_eq!(told(&step), [] as [bool; 0]);
}

#[test]
fn one_that_suppresses_leaves_all_to_the_others_until_it_revives() {
    let mut cluster = cluster();
    let step = cluster.world.call(subscribe(Some(&name("z"))));
    let [offer] = &offers(&step)[..] else { panic!("offered again: {step:?}") };
    assert_eq!(offer.framework_id, Some(name("z")), "who has had less");
    cluster.framework = name("z");
    let id = offer.id.clone().unwrap();
    let step = cluster.decline(&[&id], Some(1.0));
    let back = offers(&step).pop().unwrap();
    assert_eq!(back.framework_id, Some(name("m")));
    cluster.world.wait(Duration::from_secs(1));
    cluster.framework = name("m");
    let suppress = cluster.call(CallType::Suppress);
    cluster.world.call(suppress);
    let step = cluster.decline(&[&back.id.unwrap()], Some(0.0));
    assert_eq!(offers(&step)[0].framework_id, Some(name("z")));
    // What nobody else wants is there at once when it is wanted.
    let z = cluster.world.offers_of(&name("z"));
    cluster.framework = name("z");
    let step = cluster.decline(&[z[0].id.as_ref().unwrap()], Some(60.0));
    assert_eq!(offers(&step), []);
    cluster.framework = name("m");
    let revive = cluster.call(CallType::Revive);
    let step = cluster.world.call(revive);
    assert_eq!(offers(&step)[0].framework_id, Some(name("m")));
}

#[test]
fn what_is_given_back_for_a_while_goes_to_the_other_and_comes_again() {
    let mut cluster = cluster();
    let step = cluster.world.call(subscribe(Some(&name("z"))));
    let theirs = offers(&step).pop().unwrap();
    assert_eq!(theirs.framework_id, Some(name("z")));
    cluster.framework = name("z");
    let step = cluster.decline(&[theirs.id.as_ref().unwrap()], Some(60.0));
    let ours = offers(&step).pop().unwrap();
    assert_eq!(ours.framework_id, Some(name("m")));
    cluster.framework = name("m");
    let step = cluster.decline(&[ours.id.as_ref().unwrap()], Some(5.0));
    assert_eq!(offers(&step), [], "both have refused it");
    cluster.world.wait(Duration::from_secs(4));
    cluster.world.beat(cluster.connection, 2);
    let step = cluster.world.wait(Duration::from_secs(1));
    assert_eq!(offers(&step)[0].framework_id, Some(name("m")));
}

#[test]
fn when_the_last_of_the_others_leaves_it_is_alone_again() {
    let mut cluster = cluster();
    for other in ["a", "z"] {
        cluster.world.call(subscribe(Some(&name(other))));
    }
    let step = cluster.world.leave(&name("a"));
    assert_eq!(told(&step), [] as [bool; 0]);
    assert_eq!(offers(&step)[0].framework_id, Some(name("z")), "what it held is offered");
    let teardown = muster_proto::scheduler::Call {
        framework_id: Some(name("z")),
        ..cluster.call(CallType::Teardown)
    };
    assert_eq!(told(&cluster.world.call(teardown)), [false]);
    assert_eq!(told(&cluster.world.call(subscribe(Some(&name("a"))))), [true]);
    assert_eq!(told(&cluster.world.leave(&name("a"))), [false]);
    let step = cluster.world.leave(&name("a"));
    assert_eq!((step.effects, step.notes), (vec![], vec![]), "it is away already");
}

/// Its tasks go on, and it takes them up when it is back.
#[test]
fn a_framework_that_leaves_loses_its_offers_only() {
    let mut cluster = cluster();
    let step = cluster.world.call(subscribe(Some(&name("a"))));
    cluster.framework = name("a");
    cluster.offer = offers(&step).pop().unwrap();
    let suppress = muster_proto::scheduler::Call {
        framework_id: Some(name("m")),
        ..cluster.call(CallType::Suppress)
    };
    cluster.world.call(suppress);
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let step = cluster.world.leave(&name("a"));
    assert_eq!(to_agent(&step), []);
    assert_eq!(cluster.world.used(), "cpus:1.1;mem:96");
    let step = cluster.world.call(subscribe(Some(&name("a"))));
    assert_eq!(offered(&offers(&step)[0]), "cpus:2.9;mem:4000");
}
