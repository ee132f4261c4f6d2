//! What processes leave for a test to see.

use std::{fs, path::Path, time::Duration};

use tokio::time::sleep;

use crate::conversation::within;

/// Waits until a file has a whole line, and gives its content.
pub(crate) async fn content(path: &Path) -> String {
    let read = async {
        loop {
            match fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    within("file", read).await
}

/// Whether the process of this id runs.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("X", |(_, rest)| &rest[..1]).to_owned();
    !matches!(state.as_str(), "X" | "Z")
}

/// Waits until the process of this id is dead.
pub(crate) async fn is_gone(pid: &str) {
    let gone = async {
        while lives(pid) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    within("end of a process", gone).await;
}
