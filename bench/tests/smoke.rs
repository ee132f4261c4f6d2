//! The whole of it with next to nothing to measure: it starts, measures, and leaves nothing behind.

use std::{path::Path, process::Command};

use serde_json::Value;

/// More than it takes on a busy machine; a bench that hangs must not hang the tests.
const PATIENCE: &str = "120";

#[test]
fn a_quick_run_measures_every_row() {
    let program = Path::new(env!("CARGO_BIN_EXE_muster-bench"));
    let output = Command::new("timeout")
        .args(["--kill-after=10", PATIENCE])
        .arg(program)
        .args(["--quick", "--output", "json"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "{report:#}");
    for row in rows {
        assert!(row["ratio"]["median"].as_f64().unwrap() > 0.0, "{report:#}");
    }
}
