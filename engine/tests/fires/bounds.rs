//! What is bounded: runs that wait in all, runs that one step makes, records of the ledger.

use std::time::Duration;

use muster_api::{Timestamp, limits, spec::MisfirePolicy};
use muster_engine::event::{Accepted, CommandReply, Rejected};
use serde_json::json;

use super::world::{Outcome, WIDE, World};

fn every(policy: MisfirePolicy, cap: u32) -> serde_json::Value {
    json!({"schedule": {"every": "10s"}, "misfire": {"policy": policy, "cap": cap}})
}

fn at(world: &World, seconds: u64) -> Timestamp {
    world.job("j").created_at + Duration::from_secs(seconds)
}

fn is_full(reply: &CommandReply) -> bool {
    matches!(reply, Err(Rejected::QueueFull { .. }))
}

#[test]
fn where_too_many_runs_wait_nothing_fires_and_nothing_is_lost() {
    let mut world = World::new(3);
    world.put_job("j", &every(MisfirePolicy::Replay, 100)).unwrap();
    let uid = world.job("j").uid;
    world.put_job("other", &json!({})).unwrap();
    let Ok(Accepted::Run(first)) = world.trigger("other", Some("key")) else { panic!("a run") };
    world.wait(Duration::from_secs(60));
    world.settle();
    // The trigger and two fires wait, which is all that may.
    assert_eq!(world.ledger(&uid).len(), 2);
    assert_eq!(world.settled(&uid), at(&world, 20));
    assert_eq!(
        world.next_wakeup(),
        None,
        "it waits for an event, and does not turn round and round"
    );
    assert!(is_full(&world.trigger("other", None)) && is_full(&world.trigger("j", None)));
    // One that was accepted before is answered as before.
    let Ok(Accepted::Run(again)) = world.trigger("other", Some("key")) else { panic!("a run") };
    assert_eq!(again.id, first.id);
    // A restart is no way round the bound, nor one to lose what is due.
    world.wait(Duration::from_secs(5));
    world.restart();
    world.settle();
    assert_eq!(world.settled(&uid), at(&world, 20));

    // Runs start and end one by one, and all that was due has its turn.
    for _ in 0..8 {
        world.offer();
        world.settle();
        world.finish();
        world.settle();
    }
    world.offer();
    world.settle();
    let ledger = world.ledger(&uid);
    let planned: Vec<_> = (1..=6).map(|n| at(&world, n * 10)).collect();
    assert_eq!(ledger.keys().copied().collect::<Vec<_>>(), planned);
    assert!(ledger.values().all(|outcome| *outcome == Outcome::Ran), "{ledger:?}");
    assert!(world.trigger("other", None).is_ok());
}

#[test]
fn a_change_settles_what_is_due_with_room_or_without() {
    let mut world = World::new(1);
    world.put_job("j", &every(MisfirePolicy::Replay, 100)).unwrap();
    world.wait(Duration::from_secs(35));
    world.settle();
    let uid = world.job("j").uid;
    assert_eq!(world.ledger(&uid).len(), 1);
    world.put_job("j", &json!({"misfire": {"policy": "replay"}})).unwrap();
    let waiting = world.ledger(&uid);
    assert_eq!(waiting.len(), 3);
    assert!(waiting.values().all(|outcome| *outcome == Outcome::Waiting), "{waiting:?}");
}

#[test]
fn a_long_downtime_is_replayed_in_bounded_steps() {
    let cap = limits::MISFIRE_CAP_MAX;
    let mut world = World::new(WIDE);
    world.put_job("j", &every(MisfirePolicy::Replay, cap)).unwrap();
    let uid = world.job("j").uid;
    world.wait(Duration::from_secs(10 * 1_500));
    world.restart();
    world.most_writes = 0;
    assert!(world.settle() > 1, "it takes more than one step");
    assert!(world.most_writes <= limits::COMMIT_RECORDS, "{} writes", world.most_writes);
    let ledger = world.ledger(&uid);
    assert_eq!(ledger.len(), 1_500);
    // The oldest wait, and what is beyond the cap is one range.
    let waiting = ledger.values().take_while(|outcome| **outcome == Outcome::Waiting).count();
    assert_eq!(waiting, cap as usize);
    assert!(ledger.values().skip(waiting).all(|outcome| *outcome == Outcome::Dropped));
    assert_eq!(world.ranges(&uid), 1);

    // At once, if the schedule is changed before there was time for more than one step.
    world.put_job("k", &every(MisfirePolicy::Replay, cap)).unwrap();
    let uid = world.job("k").uid;
    world.wait(Duration::from_secs(10 * 1_500));
    world.put_job("k", &json!({"misfire": {"policy": "replay", "cap": cap}})).unwrap();
    let ledger = world.ledger(&uid);
    assert_eq!((ledger.len(), world.ranges(&uid)), (1_500, 1));
}

#[test]
fn more_than_a_step_can_count_is_not_counted() {
    let long = limits::INSTANTS_PER_STEP as u64 + 5;
    for policy in [MisfirePolicy::Skip, MisfirePolicy::Coalesce] {
        let mut world = World::new(WIDE);
        world.put_job("j", &every(policy, 1)).unwrap();
        let uid = world.job("j").uid;
        world.wait(Duration::from_secs(10 * long));
        world.restart();
        world.settle();
        let ledger = world.ledger(&uid);
        assert_eq!((ledger.len() as u64, world.ranges(&uid)), (long, 1));
        assert_eq!(world.tally.fires.uncounted_ranges, 1);
        let fires: Vec<_> = world.live_runs(&uid).into_values().map(|run| run.fires).collect();
        let expected = if policy == MisfirePolicy::Skip { Some(1) } else { None };
        assert_eq!(fires, [expected]);
    }
}

#[test]
fn a_row_of_like_instants_is_one_record() {
    for (policy, cap) in
        [(MisfirePolicy::Skip, 1), (MisfirePolicy::Coalesce, 1), (MisfirePolicy::Replay, 2)]
    {
        let mut world = World::new(WIDE);
        world.put_job("j", &every(policy, cap)).unwrap();
        world.offer();
        let uid = world.job("j").uid;
        for _ in 0..50 {
            world.wait(Duration::from_secs(10));
            world.settle();
        }
        assert_eq!((world.ledger(&uid).len(), world.ranges(&uid)), (50, 1), "{policy:?}");
        // A restart forgets where the range began; what follows is another one.
        world.restart();
        for _ in 0..50 {
            world.wait(Duration::from_secs(10));
            world.settle();
        }
        assert_eq!((world.ledger(&uid).len(), world.ranges(&uid)), (100, 2), "{policy:?}");
        // So does a change of the job, for its version is another one.
        let mut changed = every(policy, cap);
        changed["description"] = json!("changed");
        world.put_job("j", &changed).unwrap();
        for _ in 0..5 {
            world.wait(Duration::from_secs(10));
            world.settle();
        }
        assert_eq!((world.ledger(&uid).len(), world.ranges(&uid)), (105, 3), "{policy:?}");
    }
}
