//! Samples of what earlier versions stored. Each must still load, and lose nothing on the way
//! through today's types. `MUSTER_WRITE_SAMPLES=1` writes the sample of this version when it is
//! missing; a sample that is there is never changed.

use std::{path::PathBuf, sync::Arc};

use muster_api::{
    JobUid, Mono, Now,
    spec::{AppSpec, JobSpec},
    step::Records,
};
use muster_engine::{Engine, EngineConfig, records};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The newest version of stored records.
const VERSION: u8 = 1;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

/// A line for each record: its key, a space, its JSON. The version byte is that of the file.
fn write(stored: &Records) -> String {
    let line = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        assert_eq!(value[0], VERSION);
        let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(&value[1..]));
        format!("{key} {value}\n")
    };
    stored.iter().map(line).collect()
}

fn read(text: &str, version: u8) -> Records {
    let record = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap();
        let value = [&[version], value.as_bytes()].concat();
        (key.as_bytes().to_vec(), value)
    };
    text.lines().map(record).collect()
}

/// Reads a record as `T` and compares what `T` would write with what stands there.
fn check<T: Serialize + DeserializeOwned>(key: &str, bytes: &[u8]) {
    let record: T = records::decode(bytes).unwrap_or_else(|error| panic!("{key}: {error}"));
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(&bytes[1..]).unwrap();
    assert_eq!(json(&records::encode(&record)), json(bytes), "{key}");
}

/// How the records of each kind are read.
type Check = fn(&str, &[u8]);
const KINDS: [(&str, Check); 14] = [
    (records::APPS, check::<records::AppRecord>),
    (records::REVISIONS, check::<Arc<AppSpec>>),
    (records::JOBS, check::<records::JobRecord>),
    (records::VERSIONS, check::<Arc<JobSpec>>),
    (records::CURSORS, check::<records::CursorRecord>),
    (records::RUNS, check::<records::RunRecord>),
    (records::TASKS, check::<records::TaskRecord>),
    (records::EXECUTORS, check::<records::ExecutorRecord>),
    (records::IDEMPOTENCY, check::<records::IdempotencyRecord>),
    (records::COUNTERS, check::<records::CountersRecord>),
    (records::PAST_RUNS, check::<records::RunRecord>),
    (records::PAST_RUNS_BY_TIME, check::<JobUid>),
    (records::PAST_TASKS, check::<records::PastTaskRecord>),
    (records::FIRES, check::<records::FireRangeRecord>),
];

#[test]
fn what_earlier_versions_stored_still_loads() {
    let newest = folder().join(format!("state.v{VERSION}.txt"));
    if std::env::var_os("MUSTER_WRITE_SAMPLES").is_some() && !newest.exists() {
        let script = include_str!("../scripts/10_every_record.txt");
        let (_, stored) = super::script::play(script);
        std::fs::write(&newest, write(&stored)).unwrap();
    }
    for version in 1..=VERSION {
        let file = folder().join(format!("state.v{version}.txt"));
        let stored = read(&std::fs::read_to_string(file).unwrap(), version);
        for (prefix, check) in KINDS {
            let of_kind = stored.iter().filter(|(key, _)| key.starts_with(prefix.as_bytes()));
            let mut found = 0;
            for (key, value) in of_kind {
                check(&String::from_utf8_lossy(key), value);
                found += 1;
            }
            assert!(found > 0, "version {version} has no sample of {prefix}");
        }
        let known = |key: &[u8]| KINDS.iter().any(|(prefix, _)| key.starts_with(prefix.as_bytes()));
        assert!(stored.keys().all(|key| known(key)), "a record is of no kind that is checked");

        let now = Now { wall: "2026-02-01T00:00:00Z".parse().unwrap(), mono: Mono::default() };
        let config = EngineConfig { describe_executor: |_, _| Vec::new() };
        let (engine, _) = Engine::restore(config, 1, &stored, now).unwrap();
        engine.check();
    }
}

#[test]
fn records_of_a_newer_version_are_refused_with_their_key() {
    let stored = Records::from([(b"a/x".to_vec(), b"\x02{}".to_vec())]);
    let config = EngineConfig { describe_executor: |_, _| Vec::new() };
    let error = Engine::restore(config, 1, &stored, Now::default()).unwrap_err();
    assert_eq!(error.to_string(), "the stored record `a/x` cannot be read");
}
