//! The whole of it with next to nothing to measure: it starts, measures, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

/// How long it may take, in seconds; one that hangs must not hang the tests.
const PATIENCE: &str = "60";
/// What some row of each kind begins with.
const ROWS: [&str; 9] = [
    "durable no-op shards",
    "puts per shard",
    "trigger by REST to code",
    "durable script shards",
    "commits of one record, redb",
    "runs by job and rare state, redb",
    "fires from and to somewhere, sled",
    "place shards",
    "many jobs: start to ready",
];

#[test]
fn a_quick_run_measures_every_row_and_leaves_nothing() {
    let bench = Path::new(env!("CARGO_BIN_EXE_muster-bench"));
    build();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .args(["--kill-after=5", PATIENCE])
        .arg(bench)
        .args(["--quick", "--output", "json", "--bin-dir"])
        .arg(bench.parent().unwrap())
        .arg("--dir")
        .arg(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);

    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    for what in ROWS {
        let is_it = |row: &Value| row["muster"]["what"].as_str().unwrap().starts_with(what);
        assert!(rows.iter().any(is_it), "there is no row `{what}`: {report:#}");
    }
    for row in rows {
        assert!(row["ratio"]["median"].as_f64().unwrap() > 0.0, "{report:#}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(processes_that_name(folder.path()), Vec::<String>::new());
}

/// Builds the programs that are measured, which may be older than this test.
fn build() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", "muster"]);
    cargo.args(["--package", "muster-examples"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success());
}

/// The command lines of processes that have to do with a folder.
fn processes_that_name(folder: &Path) -> Vec<String> {
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(folder.to_str().unwrap())).collect()
}
