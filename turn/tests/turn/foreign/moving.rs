//! A data folder that is started with `--mesos`, and later without it, or the reverse.

use muster_api::{step::Records, views::ShardState};
use muster_engine::query::{Answer, Query};
use muster_proto::{self as mesos, TaskState, scheduler::EventType};
use muster_session::MasterKind;
use muster_turn::{OtherMaster, RestoreError};

use super::world::{ASKED, SECOND, Said, WAIT, World, foreign, has, kind, load};
use crate::world::World as Own;

fn refused(stored: &Records, world: &World, to: MasterKind) -> OtherMaster {
    let to = (to == MasterKind::Foreign).then(foreign);
    match load(9, stored, world.now, to) {
        Err(RestoreError::OtherMaster(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A scheduler with a master of its own, and a task on its host.
fn own_with_a_task() -> Own {
    let mut own = Own::new();
    own.hello(1, None, Vec::new());
    own.job(1, "cpus", 1.0);
    own.trigger("j");
    own.settle();
    assert_eq!(own.launched.len(), 1);
    own
}

#[test]
fn the_kind_of_master_is_stored_in_the_first_commit() {
    let world = World::new();
    assert_eq!(world.stored[&b"S/master"[..]], b"foreign");
    assert_eq!(Own::new().stored[&b"S/master"[..]], b"own");
    // And once only.
    let (_, first) = load(2, &world.stored, world.now, Some(foreign())).unwrap();
    assert!(!has(&first, "S/master"));
}

#[test]
fn what_lives_on_the_hosts_of_another_master_is_not_started_a_second_time_on_our_own() {
    let (mut world, run, task) = World::with_a_running_task();
    let why = refused(&world.stored, &world, MasterKind::Own);
    assert_eq!(why, OtherMaster { former: MasterKind::Foreign, guessed: false, tasks: 1 });
    let words = why.to_string();
    for part in ["1 task(s)", "with `--mesos` as before", "muster cancel"] {
        assert!(words.contains(part), "{words}");
    }
    // Nothing of that was stored, and the master of before has it as ever.
    world.restart();
    world.subscribe("f");
    world.status(&task, TaskState::Finished, Said::Executor);
    assert!(world.is_over(&run));
    // Its executor idles there, which is nothing to the master of this process.
    assert!(world.stored.keys().any(|key| key.starts_with(b"e/")));
    world.restart_with(None).unwrap();
    assert_eq!(world.stored[&b"S/master"[..]], b"own");
    assert!(!world.stored.keys().any(|key| key.starts_with(b"e/")));
    let Answer::Agents(agents) = world.query(Query::Agents) else { panic!("they are agents") };
    assert_eq!(agents, []);
    // And back, for nothing lives here.
    world.restart();
    assert_eq!(world.stored[&b"S/master"[..]], b"foreign");
}

#[test]
fn what_lives_on_our_own_hosts_is_not_started_a_second_time_on_those_of_another_master() {
    let world = World::new();
    let own = own_with_a_task();
    let why = refused(&own.stored, &world, MasterKind::Foreign);
    assert_eq!(why, OtherMaster { former: MasterKind::Own, guessed: false, tasks: 1 });
    assert!(why.to_string().contains("without `--mesos`"), "{why}");
    load(9, &own.stored, own.now, None).unwrap();
}

/// A master that has never heard of the tasks stands for the one that is gone.
#[test]
fn a_cluster_that_is_gone_for_good_is_left_by_way_of_a_master_that_knows_nothing() {
    let (mut world, run, task) = World::with_a_running_task();
    world.restart();
    let words = refused(&world.stored, &world, MasterKind::Own).to_string();
    assert!(words.contains("gone for good"), "{words}");
    world.subscribe("f");
    world.status(&task, TaskState::Unknown, ASKED);
    world.wait(WAIT - SECOND);
    refused(&world.stored, &world, MasterKind::Own);
    world.wait(SECOND * 2);
    world.restart_with(None).unwrap();
    assert_eq!(world.stored[&b"S/master"[..]], b"own");
    // The shard waits for a host of here.
    assert_eq!(world.state_of(&run, 0), ShardState::Pending);
    assert!(!world.is_over(&run));
}

/// As a version before the record of the kind left it.
fn forget_kind(stored: &mut Records) {
    stored.remove(&b"S/master"[..]).unwrap();
}

#[test]
fn a_folder_of_before_is_that_of_the_master_whose_hosts_have_its_tasks() {
    let mut world = World::new();
    world.subscribe("f");
    world.run(1, true);
    world.offer("s1", &[]);
    forget_kind(&mut world.stored);
    let why = refused(&world.stored, &world, MasterKind::Own);
    assert_eq!(why, OtherMaster { former: MasterKind::Foreign, guessed: true, tasks: 1 });
    world.restart();
    assert_eq!(world.stored[&b"S/master"[..]], b"foreign");

    let mut own = own_with_a_task();
    forget_kind(&mut own.stored);
    let why = refused(&own.stored, &world, MasterKind::Foreign);
    assert_eq!(why, OtherMaster { former: MasterKind::Own, guessed: true, tasks: 1 });
    // It may be told wrong, and then that would be the very way to run shards twice.
    let words = why.to_string();
    assert!(!words.contains("without `--mesos`"), "{words}");
    assert!(words.contains("as it was last"), "{words}");
    let (_, first) = load(9, &own.stored, own.now, None).unwrap();
    assert!(has(&first, "S/master"));
}

/// A folder of before on another master, with a task there, which was on a master of its own first:
/// that one knows hosts, and our framework by the id that it has kept.
fn folder_of_both() -> World {
    let mut own = Own::new();
    own.hello(1, None, Vec::new());
    let mut world = World::new();
    let id = String::from_utf8(own.stored[&b"S/framework"[..]].clone()).unwrap();
    world.subscribe(&id);
    world.run(1, true);
    world.offer("s1", &[]);
    let of_master = |key: &[u8]| key.starts_with(b"A/") || key.starts_with(b"F/");
    let of_master: Vec<_> = own.stored.into_iter().filter(|(key, _)| of_master(key)).collect();
    assert_eq!(of_master.len(), 2, "an agent and our framework");
    world.stored.extend(of_master);
    forget_kind(&mut world.stored);
    world
}

#[test]
fn a_folder_of_before_that_once_was_on_its_own_master_is_that_of_the_other_one() {
    let mut world = folder_of_both();
    let why = refused(&world.stored, &world, MasterKind::Own);
    assert_eq!(why, OtherMaster { former: MasterKind::Foreign, guessed: true, tasks: 1 });
    world.restart();
    assert_eq!(world.stored[&b"S/master"[..]], b"foreign");
}

/// The id is deleted then, so that it says nothing any more.
#[test]
fn a_folder_whose_framework_was_removed_is_still_that_of_the_other_master() {
    let mut world = folder_of_both();
    let message = "Framework has been removed".to_owned();
    let error = Some(mesos::scheduler::Error { message });
    world.says(mesos::scheduler::Event { error, ..kind(EventType::Error) });
    assert!(!world.stored.contains_key(&b"S/framework"[..]));
    let why = refused(&world.stored, &world, MasterKind::Own);
    assert_eq!(why, OtherMaster { former: MasterKind::Foreign, guessed: true, tasks: 1 });
}

#[test]
fn a_folder_of_before_whose_hosts_do_not_agree_is_what_it_is_started_as() {
    let mut own = Own::new();
    own.hello(1, None, Vec::new());
    own.hello(2, None, Vec::new());
    own.job(2, "cpus", 40.0);
    own.trigger("j");
    own.settle();
    assert_eq!(own.launched.len(), 2);
    forget_kind(&mut own.stored);
    let hosts = own.stored.keys().filter(|key| key.starts_with(b"A/"));
    let hosts: Vec<_> = hosts.cloned().collect();
    assert_eq!(hosts.len(), 2);
    own.stored.remove(&hosts[0]);
    load(9, &own.stored, own.now, None).unwrap();
    load(9, &own.stored, own.now, Some(foreign())).unwrap();
}

/// It is of a newer version.
#[test]
fn a_kind_that_is_not_known_is_not_guessed() {
    let mut world = World::new();
    world.stored.insert(b"S/master".to_vec(), b"borrowed".to_vec());
    let refused = world.restart_with(None);
    assert!(matches!(refused, Err(RestoreError::MasterKind(_))), "{refused:?}");
}
