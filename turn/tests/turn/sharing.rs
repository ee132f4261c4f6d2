//! Our framework and another one on the embedded master.

use std::time::Duration;

use muster_api::limits;
use muster_engine::event::Command;
use muster_master::core::Event as MasterEvent;
use muster_proto::{Offer, TaskState};
use muster_turn::Event;
use serde_json::json;

use crate::world::*;

const SECOND: Duration = Duration::from_secs(1);

/// The sum of cpus in offers.
fn cpus(offers: &[Offer]) -> f64 {
    let all = offers.iter().flat_map(|offer| &offer.resources);
    all.filter(|one| one.name == "cpus").map(|one| one.scalar.unwrap().value).sum()
}

#[test]
fn where_nothing_waits_the_other_one_has_all_and_ours_gets_what_it_gives_back_at_once() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    let (turn, offers) = world.subscribe_another();
    assert_eq!(cpus(&offers), 64.0);
    assert!(turn.passed_over.is_empty(), "what is for the other one is not for our session");

    // It holds everything, so ours has to wait for what it gives back.
    world.job(1, "cpus", 1.0);
    world.trigger("j");
    assert!(world.launched.is_empty());
    let back = offers.iter().filter_map(|offer| offer.id.clone()).collect();
    let (turn, offers) = world.other_declines(back, 60.0);
    assert_eq!(world.launched.len(), 1, "in the turn in which it was given back");
    assert!(turn.writes.iter().any(|write| write.key().starts_with(b"t/")), "and in its commit");
    assert_eq!(cpus(&offers), 0.0, "it has refused what lies within that");

    // The next run wants offers and starts in the turn in which it was asked for.
    let (_, launch) = world.launched.pop().unwrap();
    world.agent_says(1, status(&launch, 1, TaskState::Running));
    world.agent_says(1, status(&launch, 2, TaskState::Finished));
    world.trigger("j");
    assert_eq!(world.launched.len(), 1);
}

#[test]
fn what_nothing_can_use_goes_to_the_other_one_at_once() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    let (_, offers) = world.subscribe_another();
    world.job(1, "cpus", 100.0);
    world.trigger("j");
    let back = offers.iter().filter_map(|offer| offer.id.clone()).collect();
    world.other_declines(back, 1.0);
    let (mut ours, mut theirs) = (0, 0);
    for quarter in 0..240 {
        world.wait(limits::OFFER_USELESS_MAX);
        world.beat(1, 10 + quarter);
        let offers = world.settle_and_see_offers();
        theirs += usize::from(!offers.is_empty());
        // The other one uses nothing either, and gives back what it gets.
        let back: Vec<_> = offers.into_iter().filter_map(|offer| offer.id).collect();
        if !back.is_empty() {
            world.other_declines(back, 5.0);
        }
        ours += usize::from(world.we_hold_offers());
    }
    assert!(theirs >= 4, "it had its turn {theirs} times");
    assert!((4..=24).contains(&ours), "ours held them {ours} of 240 times");
}

/// Two hosts of which the other one gives back first one and, so much later, the other: all that is
/// offered to ours. Whether a run that starts all at once has started there within a quarter of a
/// minute.
fn gathers(later: Duration) -> bool {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.hello(2, None, Vec::new());
    let (_, offers) = world.subscribe_another();
    let mut back = offers.into_iter().filter_map(|offer| offer.id);
    world.job_of(40.0, &json!({"launch": "all_at_once", "sharding": {"count": 2}}));
    world.trigger("j");
    world.other_declines(back.next().into_iter().collect(), 60.0);
    let step = Duration::from_millis(250);
    for at in 0..60 {
        if step * at == later {
            world.other_declines(back.next().into_iter().collect(), 60.0);
        }
        world.wait(step);
        world.beat(1, 10 + u64::from(at));
        world.beat(2, 10 + u64::from(at));
        world.settle();
    }
    !world.launched.is_empty()
}

#[test]
fn hosts_that_come_one_after_the_other_are_gathered_for_a_run_that_starts_all_at_once() {
    for seconds in [0, 1, 3, 4, 6, 8] {
        assert!(gathers(SECOND * seconds), "{seconds} s later");
    }
}

#[test]
fn when_the_other_one_leaves_ours_keeps_its_offers_again() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.subscribe_another();
    assert!(!world.we_hold_offers());
    world.turn(Event::Master(MasterEvent::Left { stream: STREAM }));
    assert!(world.we_hold_offers());
    world.wait(limits::OFFER_UNUSED_MAX * 3);
    world.beat(1, 20);
    world.settle();
    assert!(world.we_hold_offers(), "however long");
    world.job(1, "cpus", 1.0);
    world.trigger("j");
    assert_eq!(world.launched.len(), 1);
}

/// A drained host is offered to nobody, whoever asks.
#[test]
fn a_drained_host_is_no_host_of_the_other_one_either() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    let agent = world.view(1).id;
    world.command(Command::DrainAgent { agent: agent.clone(), deadline: None }).1.unwrap();
    let (_, offers) = world.subscribe_another();
    assert_eq!(offers, []);
    let (turn, reply) = world.command(Command::ActivateAgent { agent });
    assert!(reply.is_ok());
    assert_eq!(cpus(&offers_to_others(&turn)), 64.0);
}
