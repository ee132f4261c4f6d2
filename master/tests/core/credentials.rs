//! Who may call over HTTP.

use muster_api::limits;
use muster_master::core::{
    Answer, Effect, Event, Foreign, InvalidPrincipal, Principal, Request, Step, Stream, StreamName,
};
use muster_proto::{
    FrameworkId,
    scheduler::{Call, CallType},
};

use crate::world::*;

/// Whom the shell is to let in.
fn known(step: &Step) -> Vec<Vec<String>> {
    let pick = |effect: &Effect| match effect {
        Effect::Credentials(all) => Some(all.keys().cloned().collect()),
        _ => None,
    };
    step.effects.iter().filter_map(pick).collect()
}

#[test]
fn what_is_set_is_told_at_once_and_at_each_start() {
    let mut world = World::new();
    assert_eq!(known(&world.let_in("pymesos", 7).unwrap()), [["pymesos"]]);
    assert_eq!(known(&world.let_in("other", 8).unwrap()), [["other", "pymesos"]]);
    let (mut master, step) =
        muster_master::core::Master::restore(3, &world.records, world.now).unwrap();
    assert_eq!(known(&step), [["other", "pymesos"]]);
    let all = step.effects.iter().find_map(|effect| match effect {
        Effect::Credentials(all) => Some(all["other"]),
        _ => None,
    });
    assert_eq!(all, Some([8; 32]));
    let step = master.revoke_credential(world.now, "other").unwrap();
    assert_eq!(known(&step), [["pymesos"]]);
    assert!(master.revoke_credential(world.now, "other").is_none());
}

#[test]
fn names_that_cannot_be_sent_are_refused() {
    let mut world = World::new();
    let long = "p".repeat(limits::OPAQUE_ID_BYTES + 1);
    for name in ["", "a:b", "a\nb", long.as_str()] {
        assert!(matches!(world.let_in(name, 1), Err(InvalidPrincipal::Name { .. })), "{name}");
    }
    assert!(world.let_in(&long[1..], 1).is_ok());
}

#[test]
fn there_are_so_many_credentials_and_no_more() {
    let mut world = World::new();
    for number in 0..limits::CREDENTIALS {
        world.let_in(&format!("p{number}"), 1).unwrap();
    }
    assert_eq!(world.let_in("more", 1), Err(InvalidPrincipal::TooMany));
    assert!(world.let_in("p1", 2).is_ok(), "one that there is may get another secret");
}

#[test]
fn to_revoke_ends_the_streams_that_were_opened_with_it() {
    let mut world = World::new();
    world.subscribe();
    for (id, principal) in [("a", "one"), ("b", "one"), ("c", "two")] {
        world.let_in(principal, 1).unwrap();
        world.foreign(subscribe_as(id, |_| ()), Some(principal));
    }
    // Who only says that he is that one has not proved it.
    world.foreign(subscribe_as("d", |info| info.principal = Some("one".into())), None);
    let step = world.revoke("one").unwrap();
    let ended = step.effects.iter().filter(|effect| matches!(effect, Effect::EndStream(_)));
    assert_eq!(ended.count(), 2);
    let revive = |id: &str| call_of(id, CallType::Revive);
    assert_eq!(answers(&world.foreign(revive("a"), Some("one"))), [Answer::Unauthorized]);
    world.let_in("one", 2).unwrap();
    let gone = [Answer::Forbidden("Framework is not subscribed".into())];
    assert_eq!(answers(&world.foreign(revive("a"), Some("one"))), gone);
    assert_eq!(answers(&world.foreign(revive("c"), Some("two"))), [Answer::Accepted]);
    assert_eq!(answers(&world.foreign(revive("d"), None)), [Answer::Accepted]);
    assert_eq!(world.leave(&FrameworkId::new("a")).effects, []);
}

/// The body of a call may come long after its credentials were looked at.
#[test]
fn who_was_let_in_before_its_credentials_were_revoked_does_nothing_with_them() {
    let mut world = World::new();
    world.subscribe();
    world.foreign(subscribe_as("a", |_| ()), Some("one"));
    let late = |call: Call| Foreign {
        request: Request(99),
        principal: Some(Principal { name: "one".to_owned(), digest: [1; 32] }),
        call,
    };
    world.revoke("one").unwrap();
    // Not even where somebody has got the same name since.
    for secret in [None, Some(2)] {
        if let Some(secret) = secret {
            world.let_in("one", secret).unwrap();
        }
        for id in ["a", "new"] {
            let (by, stream) = (late(subscribe_as(id, |_| ())), Stream(99));
            let step = world.step(Event::Subscribe { by, stream });
            assert_eq!(
                step.effects,
                [Effect::Answer { request: Request(99), answer: Answer::Unauthorized }]
            );
        }
        let by = late(call_of("a", CallType::Teardown));
        let step = world.step(Event::Foreign { by, named: StreamName::Missing });
        assert_eq!(answers(&step), [Answer::Unauthorized]);
    }
    // With the secret that it has now it is let in.
    let step = world.foreign(subscribe_as("a", |_| ()), Some("one"));
    assert_eq!(subscribed(&step), Some(FrameworkId::new("a")));
}
