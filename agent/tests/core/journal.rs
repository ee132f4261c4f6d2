//! What agents of before wrote down, and what is written down today.

use muster_agent::core::{Agent, Effect, Entry, Identity, Kind};
use muster_api::limits;
use muster_proto::{TaskState, agent::Launcher, recordio::Decoder};
use prost::Message;

use super::{
    guest::{Guest, command, status, task},
    world::{World, config, container},
};

fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut decoder = Decoder::new(limits::RECORD_BYTES);
    decoder.feed(bytes);
    let mut entries = Vec::new();
    while let Some(record) = decoder.next_record().unwrap() {
        entries.push(Entry::decode(record).unwrap());
    }
    entries
}

/// An agent that knew one life of each executor, by its id: `e1` runs `t1` and was given `t2`, `e2`
/// could not be started and nobody has heard of that yet, `e3` was told to end before it began.
#[test]
fn an_agent_finds_the_executors_of_the_version_before() {
    let appended = entries(include_bytes!("../samples/journal-1-appended"));
    let rewritten = entries(include_bytes!("../samples/journal-1-rewritten"));
    assert_eq!((appended.len(), rewritten.len()), (11, 10));
    for journal in [appended, rewritten] {
        let now = World::new().now;
        let identity = Identity { agent: Some("agent-1".parse().unwrap()), term: 7 };
        let (agent, step) = Agent::restore(config(), identity, 1, journal, now).unwrap();
        let names = ["e1", "e3"].map(container);
        assert_eq!(agent.containers().collect::<Vec<_>>(), [&names[0], &names[1]]);
        for name in names {
            assert!(step.effects.contains(&Effect::Attach { container: name }));
        }
        let overview = agent.overview();
        let tasks: Vec<_> = overview.executors[0].tasks.iter().map(|(_, state)| *state).collect();
        assert_eq!(tasks, [TaskState::Running, TaskState::Staging]);
        let mut world = World::new();
        world.agent = agent;
        let told = super::world::states(&world.register(true));
        assert_eq!(told.len(), 2, "t1 runs, and t3 could not be started: {told:?}");
        let late = world.launch(super::world::task("t9", "e2", "off", Some("new")));
        let late = super::world::only_status(&late);
        assert_eq!(late.message(), "executor e2 has ended", "its id is used up");
    }
}

/// An agent of the version before can read what is written down of our own executors: there is one
/// field more, which it passes over.
#[test]
fn what_is_written_down_of_our_own_executors_is_what_it_was() {
    let bytes = include_bytes!("../samples/journal-1-rewritten");
    let old = entries(bytes);
    let mut again = Vec::new();
    for entry in &old {
        muster_proto::recordio::encode_message(entry, &mut again);
    }
    assert_eq!(again, bytes);
    let now = World::new().now;
    let restored = Agent::restore(config(), Identity::default(), 1, old.clone(), now);
    let of_executors = |entries: Vec<Entry>| -> Vec<Kind> {
        let kinds = entries.into_iter().filter_map(|entry| entry.kind);
        kinds.filter(|kind| !matches!(kind, Kind::Task(_) | Kind::Status(_))).collect()
    };
    let mut written = of_executors(restored.unwrap().0.snapshot());
    for kind in &mut written {
        if let Kind::Executor(known) = kind {
            assert_eq!(std::mem::take(&mut known.launcher), Launcher::Engine as i32);
        }
    }
    assert_eq!(written, of_executors(old));
}

#[test]
fn what_is_written_down_says_all_there_is_to_know() {
    let mut guest = Guest::new(true);
    guest.running();
    guest.update(status("t1", TaskState::Running, 1));
    guest.update(status("t1", TaskState::Finished, 2));
    guest.update(status("stray", TaskState::Running, 3));
    guest.launch(task("t2", "e2"));
    guest.launch(command("t3", Default::default()));
    guest.launch_for("g", task("t1", "e1"));
    let restored = |journal: Vec<Entry>| {
        let now = guest.world.now;
        Agent::restore(config(), Identity::default(), 1, journal, now).unwrap().0.snapshot()
    };
    let snapshot = restored(guest.world.journal.clone());
    assert_eq!(snapshot, guest.world.agent.snapshot());
    assert_eq!(restored(snapshot.clone()), snapshot);
}
