//! What is stored, and that what was stored by older versions still loads.

use std::{fs, path::PathBuf};

use muster_api::{
    Now, Timestamp,
    step::Records,
    views::{AgentState, DrainView, FrameworkState},
};
use muster_master::core::{Master, RestoreError};
use muster_proto::{FrameworkId, Labels};

use crate::world::*;

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

/// The records of a master that has met an agent, one that is gone, one that is drained, a framework,
/// one that was torn down and one that is away, and that knows a weight and a credential.
fn lived() -> World {
    let mut cluster = Cluster::new();
    let (gone, on, _) = cluster.world.agent("h2", "cpus:1");
    cluster.world.disconnect(on);
    cluster.world.mark_gone(&gone).unwrap();
    let (drained, ..) = cluster.world.agent("h3", "cpus:2");
    cluster.world.drain(&drained, Some("10m".parse().unwrap())).unwrap();
    let removed = cluster.world.subscribe();
    let teardown = muster_proto::scheduler::Call {
        framework_id: Some(removed),
        r#type: Some(muster_proto::scheduler::CallType::Teardown as i32),
        ..Default::default()
    };
    cluster.world.call(teardown);
    cluster.world.foreign(foreign(), Some("pymesos"));
    cluster.world.leave(&FrameworkId::new("foreign"));
    let master = &mut cluster.world.master;
    let steps = [
        master.set_weight(cluster.world.now, "web", 3_000).unwrap(),
        master.set_credential(cluster.world.now, "pymesos", [7; 32]).unwrap(),
    ];
    steps.iter().for_each(|step| cluster.world.store(step));
    cluster.world
}

/// A framework with all that one can say of itself.
fn foreign() -> muster_proto::scheduler::Call {
    subscribe_as("foreign", |info| {
        in_roles(info, &["web", "eng/db"]);
        info.hostname = Some("host".to_owned());
        info.webui_url = Some("http://host/".to_owned());
        info.principal = Some("pymesos".to_owned());
        info.labels = Some(Labels::of([("a", "b")]));
    })
}

#[test]
fn a_restart_finds_what_was_stored_and_another_term() {
    let world = lived();
    let (before, term) = (world.agents(), world.master.term());
    let records = world.records.clone();
    let world = world.restart();
    assert_eq!(world.master.term(), term + 1);
    let after = world.agents();
    assert_eq!(after[0].state, AgentState::Unreachable);
    assert_eq!((&after[0].id, &after[0].resources), (&before[0].id, &before[0].resources));
    assert_eq!(after[0].attributes, before[0].attributes);
    for (key, value) in records.iter().filter(|(key, _)| key[0] != b'T') {
        assert_eq!(world.records.get(key), Some(value));
    }
}

#[test]
fn the_term_grows_with_the_wall_clock_and_over_a_clock_that_went_back() {
    let later = Now { wall: Timestamp::from_millis(1_800_000_000_000), ..START };
    let world = World::restored(Records::new(), later);
    assert_eq!(world.master.term(), 1_800_000_000_000);
    let world = World::restored(world.records, START);
    assert_eq!(world.master.term(), 1_800_000_000_001);
}

#[test]
fn keys_of_others_are_passed_over() {
    let records: Records = [(b"j/x".to_vec(), b"?".to_vec()), (b"TX".to_vec(), vec![])].into();
    assert!(Master::restore(1, &records, START).is_ok());
}

#[test]
fn damaged_records_are_refused_by_name() {
    let restore = |key: &[u8], value: &[u8]| {
        Master::restore(1, &[(key.to_vec(), value.to_vec())].into(), START).unwrap_err()
    };
    assert!(matches!(restore(b"A/a", b""), RestoreError::Version { key } if key == "A/a"));
    assert!(matches!(restore(b"F/f", b"\x02{}"), RestoreError::Version { .. }));
    assert!(matches!(restore(b"T", b"\x01{"), RestoreError::Damaged { .. }));
    assert!(matches!(restore(b"A/", b"\x01{}"), RestoreError::Key { .. }));
    assert!(matches!(restore(b"A/\xff", b"\x01{}"), RestoreError::Key { .. }));
    assert!(matches!(restore(b"W/a//b", b"\x01{}"), RestoreError::Key { .. }));
    let short = b"\x01{\"digest\":\"07\",\"created_at\":\"2026-01-01T00:00:00Z\"}";
    assert!(matches!(restore(b"C/p", short), RestoreError::Key { .. }));
}

/// `MUSTER_WRITE_SAMPLES=1` writes the samples of this version; they are committed and stay.
#[test]
fn samples_of_each_version_load() {
    if std::env::var_os("MUSTER_WRITE_SAMPLES").is_some() {
        for (key, value) in &lived().records {
            let (kind, id) = key.split_at(key.len().min(2));
            let name = format!("v1-{}-{}", char::from(kind[0]), String::from_utf8_lossy(id));
            // What older versions wrote stays as they wrote it.
            let path = sample(name.trim_end_matches('-'));
            if !path.exists() {
                fs::write(path, value).unwrap();
            }
        }
    }
    let mut records = Records::new();
    for entry in fs::read_dir(sample("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut parts = name.splitn(3, '-').skip(1);
        let key = match (parts.next().unwrap(), parts.next()) {
            (kind, Some(id)) => format!("{kind}/{id}"),
            (kind, None) => kind.to_owned(),
        };
        records.insert(key.into_bytes(), fs::read(&path).unwrap());
    }
    assert!(records.len() >= 6, "three agents, two frameworks and the term");
    let world = World::restored(records, START);
    let agents = world.agents();
    let agent = agents.iter().find(|agent| agent.hostname == "h1").unwrap();
    assert_eq!(agent.drain, None);
    assert_eq!(
        (agent.hostname.as_str(), agent.resources.to_string()),
        ("h1", "cpus:4;mem:4096".into())
    );
    let gone: Vec<_> = world.agents().into_iter().filter_map(|agent| agent.gone_at).collect();
    assert_eq!(gone, [START.wall]);
    let drained: Vec<_> = agents.iter().filter_map(|agent| agent.drain).collect();
    let deadline = Some(START.wall + std::time::Duration::from_secs(600));
    assert_eq!(drained, [DrainView { since: START.wall, deadline }]);
    let away = world.master.frameworks(START);
    let away = away.iter().find(|framework| framework.id == "foreign").unwrap();
    assert_eq!((away.state, away.since), (FrameworkState::Away, Some(START.wall)));
    assert_eq!(away.roles, ["eng/db", "web"]);
    assert_eq!(away.webui_url.as_deref(), Some("http://host/"));
    let weights = world.master.roles();
    let weight = weights.iter().find(|role| role.role == "web").unwrap();
    assert_eq!(weight.weight_thousandths, 3_000);
    assert_eq!(world.master.credentials()[0].principal, "pymesos");
    assert!(world.master.term() > 1_700_000_000_000);
}
