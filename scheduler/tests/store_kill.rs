//! Commits that were acknowledged survive `kill -9`, and no commit is torn.
//!
//! The test binary starts itself as the process that is killed.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use muster_api::step::Write;
use muster_scheduler::store::{Commit, MemoryDisk, MemoryStore, SledStore, State};

const FOLDER: &str = "MUSTER_TEST_KILL_FOLDER";
const ROUNDS: u64 = 10;

/// What commit `n` changes: an own record, a history record, one of seven that are written over
/// again and again with values of every length, and the removal of older ones.
fn writes(n: u64) -> Vec<Write> {
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

/// The process that is killed: commits for ever, and prints the number of each.
#[test]
fn committer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut store = SledStore::open(Path::new(&folder)).unwrap();
    let first = store.last().unwrap().map_or(1, |last| last.sequence + 1);
    let mut out = std::io::stdout();
    for n in first.. {
        store.commit(&Commit { term: 1, sequence: n, writes: &writes(n) }).unwrap();
        writeln!(out, "\ncommitted {n}").unwrap();
    }
}

/// Runs the committer, kills it after some commits, and answers the last acknowledged one.
fn run_and_kill(folder: &Path, commits: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "committer", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = 0;
    let mut last = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some(n) = line.unwrap().strip_prefix("committed ") {
            last = n.parse().unwrap();
            seen += 1;
            if seen == commits {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(seen >= commits, "the committer ended by itself after {seen} commits");
    last
}

#[test]
fn acknowledged_commits_survive_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let disk = MemoryDisk::default();
    let mut expected = MemoryStore::open(&disk);
    let mut known = 0;
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(&path, 1 + round * 37 % 101);
        let store = SledStore::open(&path).unwrap();
        let stored = store.last().unwrap().unwrap().sequence;
        assert!(stored >= acknowledged, "{acknowledged} acknowledged, {stored} stored");
        for n in known + 1..=stored {
            expected.commit(&Commit { term: 1, sequence: n, writes: &writes(n) }).unwrap();
        }
        known = stored;
        assert_eq!(store.load().unwrap(), expected.load().unwrap(), "round {round}");
        let all = |store: &dyn State| store.history().scan(b"", None, false, usize::MAX).unwrap();
        assert_eq!(all(&store), all(&expected), "round {round}");
    }
}
