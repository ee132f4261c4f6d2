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
/// The samples, oldest first, with the version of their records. The first is of the layout in
/// which past runs lay by job; the scheduler moves them before it starts.
const SAMPLES: [(&str, u8); 10] = [
    ("state.v1.txt", 1),
    ("state.v1.past-runs-by-state.txt", 1),
    ("state.v1.marks.txt", 1),
    ("state.v1.reruns.txt", 1),
    ("state.v1.hosts.txt", 1),
    ("state.v1.settling.txt", 1),
    ("state.v1.notices.txt", 1),
    ("state.v1.daemons.txt", 1),
    ("state.v1.foreign.txt", 1),
    ("state.v1.restored.txt", 1),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

/// A line for each record: its key, a space, its JSON. The version byte is that of the file.
fn write(stored: &Records) -> String {
    let line = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        assert!(value.first().is_none_or(|version| *version == VERSION));
        let value = value.get(1..).unwrap_or_default();
        let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
        [format!("{key} {value}").trim_end(), "\n"].concat()
    };
    stored.iter().map(line).collect()
}

fn read(text: &str, version: u8) -> Records {
    let record = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        // Nothing but an entry of an index is empty.
        let version = Some(version).filter(|_| !value.is_empty());
        let value = version.into_iter().chain(value.bytes()).collect();
        (key.as_bytes().to_vec(), value)
    };
    text.lines().map(record).collect()
}

/// Reads a record as `T`: what `T` would write has all that stands there, and may have more, for
/// fields that came later.
fn check<T: Serialize + DeserializeOwned>(key: &str, bytes: &[u8]) {
    let record: T = records::decode(bytes).unwrap_or_else(|error| panic!("{key}: {error}"));
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(&bytes[1..]).unwrap();
    let (now, then) = (json(&records::encode(&record)), json(bytes));
    assert!(has_all(&now, &then), "{key}: of {then} is left {now}");
}

/// Whether `now` has every field of `then`, with the same value.
fn has_all(now: &Value, then: &Value) -> bool {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => then
            .iter()
            .all(|(field, value)| now.get(field).is_some_and(|other| has_all(other, value))),
        (Value::Array(now), Value::Array(then)) => {
            now.len() == then.len() && now.iter().zip(then).all(|(now, then)| has_all(now, then))
        }
        (now, then) => now == then,
    }
}

/// An entry of an index, all of which is in its key.
fn check_empty(key: &str, bytes: &[u8]) {
    assert!(bytes.is_empty(), "{key}");
}

/// How the records of each kind are read.
type Check = fn(&str, &[u8]);
const KINDS: [(&str, Check); 24] = [
    (records::APPS, check::<records::AppRecord>),
    (records::REVISIONS, check::<Arc<AppSpec>>),
    (records::JOBS, check::<records::JobRecord>),
    (records::VERSIONS, check::<Arc<JobSpec>>),
    (records::CURSORS, check::<records::CursorRecord>),
    (records::RUNS, check::<records::RunRecord>),
    (records::TASKS, check::<records::TaskRecord>),
    (records::EXECUTORS, check::<records::ExecutorRecord>),
    (records::IDEMPOTENCY, check::<records::IdempotencyRecord>),
    (records::NOTICES, check::<records::NoticeRecord>),
    (records::TOLD, check::<records::ToldRecord>),
    (records::LOST, check::<records::LostRecord>),
    (records::COUNTERS, check::<records::CountersRecord>),
    (records::HELD, check::<records::HeldRecord>),
    (records::RESUMED, check::<records::ResumedRecord>),
    (records::SETTLING, check::<records::SettlingRecord>),
    (records::ZONES, check::<records::ZonesRecord>),
    (records::DISOWNED, check::<records::DisownedRecord>),
    (records::PAST_RUNS, check::<records::RunRecord>),
    (records::PAST_RUNS_BY_JOB, check_empty),
    (records::PAST_FIRES, check::<records::PastRun>),
    (records::FORMER_PAST_RUNS_INDEX, check::<JobUid>),
    (records::PAST_TASKS, check::<records::PastTaskRecord>),
    (records::FIRES, check::<records::FireRangeRecord>),
];

#[test]
fn what_earlier_versions_stored_still_loads() {
    let newest = folder().join(SAMPLES[SAMPLES.len() - 1].0);
    if std::env::var_os("MUSTER_WRITE_SAMPLES").is_some() && !newest.exists() {
        let script = include_str!("../scripts/10_every_record.txt");
        let (_, stored) = super::script::play(script);
        std::fs::write(&newest, write(&stored)).unwrap();
    }
    let mut missing: Vec<_> = KINDS.iter().map(|(prefix, _)| *prefix).collect();
    for (file, version) in SAMPLES {
        let stored = read(&std::fs::read_to_string(folder().join(file)).unwrap(), version);
        for (key, value) in &stored {
            let key = String::from_utf8_lossy(key);
            let kind = KINDS.iter().find(|(prefix, _)| key.starts_with(prefix));
            let (prefix, check) = kind.unwrap_or_else(|| panic!("{key} is of no kind"));
            check(&key, value);
            missing.retain(|other| other != prefix);
        }

        let now = Now { wall: "2026-02-01T00:00:00Z".parse().unwrap(), mono: Mono::default() };
        let config = EngineConfig::new(|_, _| Vec::new());
        let (engine, _) = Engine::restore(config, 1, &stored, now).unwrap();
        engine.check();
    }
    assert!(missing.is_empty(), "there is no sample of {missing:?}");
}

#[test]
fn records_of_a_newer_version_are_refused_with_their_key() {
    let stored = Records::from([(b"a/x".to_vec(), b"\x02{}".to_vec())]);
    let config = EngineConfig::new(|_, _| Vec::new());
    let error = Engine::restore(config, 1, &stored, Now::default()).unwrap_err();
    assert_eq!(error.to_string(), "the stored record `a/x` cannot be read");
}
