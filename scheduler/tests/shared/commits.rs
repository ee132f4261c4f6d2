//! Commits that can be told apart, and a process that makes them until it ends.

use std::{io::Write as _, path::Path};

use muster_api::{clock, step::Write};
use muster_scheduler::store::{
    self, Commit, DiskStore, MemoryDisk, MemoryStore, Row, State, StoreKind,
};

/// The folder of the process that commits.
pub(crate) const FOLDER: &str = "MUSTER_TEST_COMMITS_FOLDER";
/// What keeps its store.
pub(crate) const KIND: &str = "MUSTER_TEST_COMMITS_KIND";
/// What it prints before the number of each commit that it made; behind it comes the time, in
/// nanoseconds since the host booted.
const COMMITTED: &str = "committed ";

/// What commit `n` changes: an own record, a history record, one of seven that are written over
/// again and again with values of every length, and the removal of older ones.
pub(crate) fn writes(n: u64) -> Vec<Write> {
    let put = |key: String, length| Write::Put { key: key.into(), value: vec![n as u8; length] };
    let shared = (n * 7_919 % 13_000) as usize;
    let mut writes = vec![
        put(format!("own/{n:08}"), 20),
        put(format!("h/{n:08}"), 300),
        put(format!("shared/{}", n % 7), shared),
    ];
    if n > 5 {
        writes.push(Write::Delete { key: format!("own/{:08}", n - 5).into() });
    }
    if n.is_multiple_of(11) {
        writes.push(Write::Delete { key: format!("shared/{}", n % 5).into() });
    }
    writes
}

/// Makes commit `n`.
pub(crate) fn commit(store: &mut dyn State, n: u64) -> Result<(), store::StoreError> {
    store.commit(&Commit { term: 1, sequence: n, writes: &writes(n) })
}

/// What a line of that process acknowledges, and when it did.
pub(crate) fn acknowledgement(line: &str) -> Option<(u64, u64)> {
    let (number, time) = line.strip_prefix(COMMITTED)?.split_once(' ')?;
    Some((number.parse().unwrap(), time.parse().unwrap()))
}

/// Commits for ever, and prints the number of each. Nothing happens in a process that was not
/// started for this.
pub(crate) fn commit_for_ever() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let kind: StoreKind = std::env::var(KIND).unwrap().parse().unwrap();
    let mut store = DiskStore::open(Path::new(&folder), Some(kind)).unwrap();
    let first = store.last().unwrap().map_or(1, |last| last.sequence + 1);
    let mut out = std::io::stdout();
    for n in first.. {
        commit(&mut store, n).unwrap();
        writeln!(out, "\n{COMMITTED}{n} {}", clock::mono_nanos()).unwrap();
    }
}

/// What a store holds after the first commits.
pub(crate) struct Model {
    store: MemoryStore,
    commits: u64,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { store: MemoryStore::open(&MemoryDisk::default()), commits: 0 }
    }

    /// All records after `commits` commits, which are never fewer than the last time.
    pub(crate) fn after(&mut self, commits: u64) -> Vec<Row> {
        assert!(commits >= self.commits, "{} commits became {commits}", self.commits);
        for n in self.commits + 1..=commits {
            commit(&mut self.store, n).unwrap();
        }
        self.commits = commits;
        all(&self.store)
    }
}

/// All records of a store, history included; and its records as a start loads them are the same.
pub(crate) fn all(store: &dyn State) -> Vec<Row> {
    let all = store.history().scan(b"", None, false, usize::MAX).unwrap();
    let state: Vec<_> = store::records(store).unwrap().into_iter().collect();
    let expected: Vec<_> = all.iter().filter(|(key, _)| !key.starts_with(b"h/")).cloned().collect();
    assert!(state == expected, "what is loaded is not what is stored");
    all
}
