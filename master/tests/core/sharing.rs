//! The embedded scheduler and other frameworks on one master.

use std::time::Duration;

use muster_master::core::{Effect, Event, Step};
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
    assert_eq!(offer.framework_id, Some(name("m")), "the first by id");
    let suppress = cluster.call(CallType::Suppress);
    cluster.world.call(suppress);
    let id = offer.id.clone().unwrap();
    let step = cluster.decline(&[&id], Some(0.0));
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
    let id = offers(&step)[0].id.clone().unwrap();
    let step = cluster.decline(&[&id], Some(5.0));
    let other = offers(&step).pop().unwrap();
    assert_eq!(other.framework_id, Some(name("z")));
    cluster.framework = name("z");
    let step = cluster.decline(&[other.id.as_ref().unwrap()], Some(60.0));
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
    let left = |id: &str| Event::Left { framework: name(id) };
    let step = cluster.world.step(left("a"));
    assert_eq!(told(&step), [] as [bool; 0]);
    assert_eq!(offers(&step)[0].framework_id, Some(name("m")), "what it held is offered");
    let teardown = muster_proto::scheduler::Call {
        framework_id: Some(name("z")),
        ..cluster.call(CallType::Teardown)
    };
    assert_eq!(told(&cluster.world.call(teardown)), [false]);
    assert_eq!(told(&cluster.world.call(subscribe(Some(&name("a"))))), [true]);
    assert_eq!(told(&cluster.world.step(left("a"))), [false]);
    let step = cluster.world.step(left("a"));
    assert_eq!((step.effects, step.notes.len()), (vec![], 1), "it is away already");
}

/// Its tasks go on, and it takes them up when it is back.
#[test]
fn a_framework_that_leaves_loses_its_offers_only() {
    let mut cluster = cluster();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let step = cluster.world.step(Event::Left { framework: name("m") });
    assert_eq!(to_agent(&step), []);
    assert_eq!(cluster.world.used(), "cpus:1.1;mem:96");
    let step = cluster.world.call(subscribe(Some(&name("m"))));
    assert_eq!(offered(&offers(&step)[0]), "cpus:2.9;mem:4000");
}
