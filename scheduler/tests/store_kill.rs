//! Commits that were acknowledged survive `kill -9`, and no commit is torn.
//!
//! The test binary starts itself as the process that is killed.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "shared/commits.rs"]
mod commits;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use commits::{FOLDER, KIND, Model, acknowledgement, all, commit_for_ever};
use muster_scheduler::store::{DiskStore, State, StoreKind};

const ROUNDS: u64 = 10;

/// The process that is killed.
#[test]
fn committer() {
    commit_for_ever();
}

/// Runs the committer, kills it after some commits, and answers the last acknowledged one.
fn run_and_kill(folder: &Path, kind: StoreKind, commits: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "committer", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(KIND, kind.name())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = 0;
    let mut last = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some((n, _)) = acknowledgement(&line.unwrap()) {
            last = n;
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
fn acknowledged_commits_survive_kill_on_sled() {
    acknowledged_commits_survive_kill(StoreKind::Sled);
}

#[test]
fn acknowledged_commits_survive_kill_on_redb() {
    acknowledged_commits_survive_kill(StoreKind::Redb);
}

fn acknowledged_commits_survive_kill(kind: StoreKind) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut model = Model::new();
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(&path, kind, 1 + round * 37 % 101);
        let store = DiskStore::open(&path, None).unwrap();
        let stored = store.last().unwrap().unwrap().sequence;
        assert!(stored >= acknowledged, "{acknowledged} acknowledged, {stored} stored");
        assert!(all(&store) == model.after(stored), "round {round}: not what was committed");
    }
}
