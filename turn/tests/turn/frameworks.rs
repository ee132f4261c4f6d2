//! What operators order of frameworks: credentials and weights.

use std::collections::BTreeMap;

use muster_api::{Mono, Now, Timestamp};
use muster_engine::{
    event::{Accepted, Change, Command, CommandReply, Event as EngineEvent, Rejected, RequestId},
    query::{Answer, Query},
};
use muster_session::Identity;
use muster_turn::{Core, Effect, Event, Foreign, Loader, Turn};

use crate::world::*;

const DIGEST: [u8; 32] = [7; 32];

fn create(principal: &str) -> Command {
    Command::CreateCredential { principal: principal.to_owned(), digest: DIGEST }
}

fn revoke(principal: &str) -> Command {
    Command::RevokeCredential { principal: principal.to_owned() }
}

fn remove(framework: &str) -> Command {
    Command::RemoveFramework { framework: framework.to_owned() }
}

fn weigh(role: &str, thousandths: u32) -> Command {
    Command::SetWeight { role: role.to_owned(), thousandths }
}

/// Who may call from now on, if that was told.
fn told(turn: &Turn) -> Option<BTreeMap<String, [u8; 32]>> {
    turn.effects.iter().find_map(|effect| match effect {
        Effect::Credentials(principals) => Some(principals.clone()),
        _ => None,
    })
}

fn answer(core: &mut Core, now: Now, query: Query) -> Answer {
    let event = Event::Engine(EngineEvent::Query { request: RequestId(9), query });
    let effects = core.turn(now, event).effects;
    let answer = effects.into_iter().find_map(|effect| match effect {
        Effect::Answer { answer, .. } => Some(answer),
        _ => None,
    });
    answer.unwrap()
}

#[test]
fn a_credential_is_stored_with_its_answer_and_told_to_the_door_also_after_a_restart() {
    let mut world = World::new();
    let (turn, reply) = world.command(create("fw"));
    assert!(matches!(reply, Ok(Accepted::Credential(made)) if made.principal == "fw"));
    assert_eq!(turn.writes.len(), 1, "{:?}", turn.writes);
    let one = BTreeMap::from([("fw".to_owned(), DIGEST)]);
    assert_eq!(told(&turn), Some(one.clone()));

    let (turn, again) = world.command(create("fw"));
    assert!(matches!(again, Err(Rejected::Conflict { .. })), "a secret in use is not replaced");
    assert_eq!(told(&turn), None);
    let (_, wrong) = world.command(create("a:b"));
    assert!(matches!(wrong, Err(Rejected::Invalid { faults }) if faults[0].field == "principal"));

    let (mut core, first) = Core::restore(2, &world.stored, world.now).unwrap();
    assert_eq!(told(&first), Some(one));
    let Answer::Credentials(rows) = answer(&mut core, world.now, Query::Credentials) else {
        panic!()
    };
    assert_eq!(rows.iter().map(|row| row.principal.as_str()).collect::<Vec<_>>(), ["fw"]);

    let (turn, reply) = world.command(revoke("fw"));
    assert!(matches!(reply, Ok(Accepted::Revoked)));
    assert_eq!((told(&turn), turn.writes.len()), (Some(BTreeMap::new()), 1));
    let (_, reply) = world.command(revoke("fw"));
    assert!(matches!(reply, Err(Rejected::NotFound { kind: "credential", .. })), "{reply:?}");
}

#[test]
fn this_scheduler_itself_and_what_is_not_known_are_not_removed() {
    let mut world = World::new();
    let Answer::Frameworks(rows) = answer(&mut world.core, world.now, Query::Frameworks) else {
        panic!()
    };
    let (turn, reply) = world.command(remove(&rows[0].id));
    assert!(matches!(reply, Err(Rejected::Conflict { .. })), "{reply:?}");
    assert_eq!(turn.writes, []);
    let (_, reply) = world.command(remove("nobody"));
    assert!(matches!(reply, Err(Rejected::NotFound { kind: "framework", .. })), "{reply:?}");
}

#[test]
fn the_weight_of_a_role_is_stored_and_shown() {
    let mut world = World::new();
    let (turn, reply) = world.command(weigh("teams/red", 2_500));
    let Ok(Accepted::Role(role, Change::Updated)) = reply else { panic!("{reply:?}") };
    assert_eq!((role.role.as_str(), role.weight_thousandths), ("teams/red", 2_500));
    assert_eq!(turn.writes.len(), 1);
    let (_, again) = world.command(weigh("teams/red", 2_500));
    assert!(matches!(again, Ok(Accepted::Role(_, Change::Unchanged))), "{again:?}");
    let (mut core, _) = Core::restore(2, &world.stored, world.now).unwrap();
    let Answer::Roles(roles) = answer(&mut core, world.now, Query::Roles) else { panic!() };
    assert!(roles.contains(&role), "{roles:?}");

    for (role, thousandths, field) in
        [("a", 0, "weight"), ("a", u32::MAX, "weight"), ("a//b", 1, "role"), ("", 1, "role")]
    {
        let (_, reply) = world.command(weigh(role, thousandths));
        let Err(Rejected::Invalid { faults }) = reply else { panic!("{role}: {reply:?}") };
        assert_eq!(faults[0].field, field, "{role}");
    }
}

#[test]
fn of_what_the_master_has_no_more_is_told_than_was_asked_for() {
    let mut world = World::new();
    world.hello(1, None, Vec::new());
    world.run(3);
    for (rows, tasks) in [(2, 2), (10, 3)] {
        let answer = answer(&mut world.core, world.now, Query::Cluster { rows });
        let Answer::Cluster(cluster) = answer else { panic!("{answer:?}") };
        assert_eq!((cluster.tasks.len(), cluster.agents.len()), (tasks, 1));
        assert!(cluster.offers.len() <= rows);
        assert!(cluster.frameworks[0].embedded);
    }
}

#[test]
fn where_the_master_is_another_one_it_is_said_to_turn_to_that() {
    let now = Now { wall: Timestamp::from_millis(1_700_000_000_000), mono: Mono::default() };
    let mut loader = Loader::default();
    loader.foreign(Foreign {
        masters: "http://m:5050".parse().unwrap(),
        identity: Identity { user: "u".to_owned(), ..Identity::default() },
        unreachable_wait: std::time::Duration::from_secs(300),
        program: "http://here/muster".to_owned(),
    });
    let (mut core, _) = loader.finish(1, now).unwrap();
    for command in [create("fw"), revoke("fw"), weigh("a", 1_000), remove("f")] {
        let event = Event::Engine(EngineEvent::Command { request: RequestId(1), command });
        let effects = core.turn(now, event).effects;
        let reply: Option<CommandReply> = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { reply, .. } => Some(reply),
            _ => None,
        });
        let Some(Err(Rejected::Conflict { detail })) = reply else { panic!("{reply:?}") };
        assert_eq!(detail, "the frameworks are those of another master; turn to that");
    }
    let Answer::Frameworks(rows) = answer(&mut core, now, Query::Frameworks) else { panic!() };
    assert!(rows.is_empty());
}
