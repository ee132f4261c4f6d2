//! Offers, filters, suppression.

use std::time::Duration;

use muster_api::limits;
use muster_proto::{FrameworkId, Offer, TaskState, scheduler::CallType};

use crate::world::*;

#[test]
fn the_rest_of_an_accepted_offer_is_offered_in_the_same_step() {
    let mut cluster = Cluster::new();
    let step = cluster.launch(vec![cluster.task("t1", "e1")]);
    let offers = offers(&step);
    assert_eq!(offers.len(), 1);
    assert_eq!(offered(&offers[0]), "cpus:2.9;mem:4000");
    assert_eq!(offers[0].executor_ids.len(), 1);
}

#[test]
fn what_becomes_free_beside_an_offer_is_offered_in_addition_and_both_serve_one_accept() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let first = cluster.offer.clone();
    let step = cluster.status("t1", TaskState::Finished);
    let second = offers(&step).pop().unwrap();
    assert_eq!(
        (offered(&first), offered(&second)),
        ("cpus:2.9;mem:4000".into(), "cpus:1;mem:64".into())
    );

    let tasks = ["t2", "t3", "t4"].map(|id| cluster.task(id, "e1")).to_vec();
    let step = cluster.accept(&[&first, &second], tasks, 0.0);
    assert_eq!(launched(&step), ["t2", "t3", "t4"]);
    assert_eq!(offered(&offers(&step)[0]), "cpus:0.9;mem:3872");
}

#[test]
fn one_event_carries_all_offers_of_a_step() {
    let mut world = World::new();
    world.agent("h1", "cpus:1");
    world.agent("h2", "cpus:2");
    let step = world.call(subscribe(None));
    let events = to_framework(&step);
    assert_eq!(events.len(), 2, "SUBSCRIBED and OFFERS");
    let mut all: Vec<_> = offers(&step).iter().map(offered).collect();
    all.sort();
    assert_eq!(all, ["cpus:1", "cpus:2"]);
}

#[test]
fn operators_see_what_is_offered_to_whom_and_since_when() {
    let mut world = World::new();
    world.agent("h1", "cpus:1");
    world.agent("h2", "cpus:2");
    assert_eq!(world.master.offers(world.now, 0, 10), [], "nobody is there to take any");
    let framework = world.subscribe();
    world.wait(Duration::from_secs(3));
    let all = world.master.offers(world.now, 0, 10);
    let hosts: Vec<_> =
        all.iter().map(|offer| (offer.hostname.as_str(), &offer.framework)).collect();
    assert_eq!(hosts, [("h1", &framework.value), ("h2", &framework.value)]);
    assert_eq!(all[0].held_for, muster_api::Span::from_secs(3));
    assert_eq!(all[0].since + Duration::from_secs(3), world.now.wall);
    assert_eq!(world.master.offers(world.now, 1, 10), all[1..]);
    assert_eq!(world.master.offers(world.now, 0, 1), all[..1]);
}

#[test]
fn a_decline_filters_what_lies_within_until_its_time_is_over() {
    let mut cluster = Cluster::new();
    let id = cluster.offer.id.clone().unwrap();
    let step = cluster.decline(&[&id], Some(30.0));
    assert_eq!(step.effects, []);
    let heartbeats = |cluster: &mut Cluster, seconds: u64| {
        let mut all = Vec::new();
        for _ in 0..seconds {
            all.extend(offers(&cluster.world.wait(Duration::from_secs(1))));
            all.extend(offers(&cluster.world.beat(cluster.connection, 2)));
        }
        all
    };
    assert_eq!(heartbeats(&mut cluster, 29), []);
    assert_eq!(offered(&heartbeats(&mut cluster, 1)[0]), "cpus:4;mem:4096");
}

#[test]
fn more_than_what_was_declined_passes_the_filter() {
    let mut cluster = Cluster::new();
    cluster.launch(vec![cluster.task("t1", "e1")]);
    let id = cluster.offer.id.clone().unwrap();
    cluster.decline(&[&id], Some(1000.0));
    let step = cluster.status("t1", TaskState::Finished);
    assert_eq!(offered(&offers(&step)[0]), "cpus:3.9;mem:4064");
}

#[test]
fn refuse_seconds_follow_the_rules_of_mesos() {
    for (refuse, wait) in [
        (None, limits::REFUSE_DEFAULT),
        (Some(-1.0), limits::REFUSE_DEFAULT),
        (Some(f64::NAN), limits::REFUSE_DEFAULT),
        (Some(0.5), Duration::from_millis(500)),
        (Some(1e300), limits::REFUSE_MAX),
        (Some(f64::INFINITY), limits::REFUSE_MAX),
    ] {
        let mut world = World::new();
        let framework = world.subscribe();
        let (agent, connection, step) = world.agent("h1", "cpus:4");
        let offer = offers(&step).pop().unwrap();
        let mut cluster = Cluster { world, framework, agent, connection, offer };
        let id = cluster.offer.id.clone().unwrap();
        cluster.decline(&[&id], refuse);
        let start = cluster.world.now.mono;
        let silence = start + limits::SILENT_AFTER;
        let wakeup = cluster.world.master.next_wakeup();
        assert_eq!(wakeup, Some(silence.min(start + wait)), "{refuse:?}");
    }
    let mut cluster = Cluster::new();
    let id = cluster.offer.id.clone().unwrap();
    assert_eq!(offers(&cluster.decline(&[&id], Some(0.0))).len(), 1, "no filter at all");
}

#[test]
fn leftovers_of_an_accept_are_declined_with_its_filter() {
    let mut cluster = Cluster::new();
    let offer = cluster.offer.clone();
    let tasks = vec![cluster.task("t1", "e1")];
    let step = cluster.accept(&[&offer], tasks, 10.0);
    assert_eq!(launched(&step), ["t1"]);
    assert_eq!(offers(&step), []);
    assert_eq!(offers(&cluster.world.wait(Duration::from_secs(10))).len(), 1);
}

#[test]
fn an_accept_without_operations_is_a_decline() {
    let mut cluster = Cluster::new();
    let accept = muster_proto::scheduler::Accept {
        offer_ids: vec![cluster.offer.id.clone().unwrap()],
        ..Default::default()
    };
    let mut call = cluster.call(CallType::Accept);
    call.accept = Some(accept);
    assert_eq!(cluster.world.call(call).effects, []);
    assert_eq!(offers(&cluster.world.wait(limits::REFUSE_DEFAULT)).len(), 1);
}

#[test]
fn suppress_stops_offers_and_revive_clears_filters() {
    let mut cluster = Cluster::new();
    let id = cluster.offer.id.clone().unwrap();
    let suppress = cluster.call(CallType::Suppress);
    let revive = cluster.call(CallType::Revive);
    assert_eq!(cluster.world.call(suppress).effects, [], "outstanding offers stay");
    assert_eq!(cluster.decline(&[&id], Some(1000.0)).effects, []);
    let step = cluster.world.call(revive.clone());
    assert_eq!(offers(&step).len(), 1);
    assert_eq!(cluster.world.call(revive).effects, [], "there is nothing more to offer");
}

#[test]
fn filters_end_when_an_agent_comes_with_other_attributes() {
    let mut cluster = Cluster::new();
    let id = cluster.offer.id.clone().unwrap();
    cluster.decline(&[&id], Some(1000.0));
    let (_, step) = cluster.come_back(cluster.hello_again(&[], &[]));
    assert_eq!(offers(&step), [], "the same agent is still refused");
    let mut hello = cluster.hello_again(&[], &[]);
    hello.info.as_mut().unwrap().attributes.clear();
    let (_, step) = cluster.come_back(hello);
    assert_eq!(offers(&step).len(), 1);
}

#[test]
fn offers_of_others_cannot_be_declined() {
    let mut cluster = Cluster::new();
    let other = cluster.world.subscribe();
    // What was withdrawn from the first goes to who had less.
    let id = cluster.world.offers_of(&other)[0].id.clone().unwrap();
    assert_eq!(cluster.decline(&[&id], Some(0.0)).effects, []);
    cluster.framework = other;
    assert_eq!(offers(&cluster.decline(&[&id], Some(0.0))).len(), 1);
}

#[test]
fn a_declined_agent_goes_to_another_framework() {
    let mut cluster = Cluster::new();
    let other = cluster.world.subscribe();
    let first = std::mem::replace(&mut cluster.framework, other);
    let id = cluster.world.offers_of(&cluster.framework)[0].id.clone().unwrap();
    let step = cluster.decline(&[&id], Some(60.0));
    let to: Vec<Option<FrameworkId>> =
        offers(&step).into_iter().map(|offer: Offer| offer.framework_id).collect();
    assert_eq!(to, [Some(first)]);
}
