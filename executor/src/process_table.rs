//! Which processes of a group live, from `/proc`.

use std::fs;

use rustix::process::Pid;
use tokio::task::spawn_blocking;

/// Whether a process of the group runs. One that is dead and not yet reaped does not.
pub(crate) async fn has_living(group: Pid) -> bool {
    let group = group.as_raw_nonzero().get();
    // The table cannot be read when the executor shuts down; then it is not waited for.
    spawn_blocking(move || scan(group)).await.unwrap_or(false)
}

fn scan(group: i32) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    let names = entries.flatten().map(|entry| entry.file_name());
    let processes = names.filter(|name| name.as_encoded_bytes()[0].is_ascii_digit());
    processes
        .filter_map(|pid| fs::read_to_string(format!("/proc/{}/stat", pid.display())).ok())
        .any(|stat| group_and_life(&stat) == Some((group, true)))
}

/// What a line of `/proc/PID/stat` (proc_pid_stat(5)) says of a process. The name in it may hold
/// anything, so the fields are looked for after its end.
fn group_and_life(stat: &str) -> Option<(i32, bool)> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    let threads: u32 = fields.nth(14)?.parse().ok()?;
    // One whose first thread has ended looks like a zombie while others of its threads go on.
    let lives = match state {
        "Z" => threads > 1,
        state => !matches!(state, "X" | "x"),
    };
    Some((group, lives))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_mislead() {
        let stat = |state, threads: u32| {
            format!("123 (a) Z 1 77) {state} 1 99 99 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 {threads} 0")
        };
        assert_eq!(group_and_life(&stat("S", 1)), Some((99, true)));
        assert_eq!(group_and_life(&stat("Z", 1)), Some((99, false)));
        assert_eq!(group_and_life(&stat("Z", 2)), Some((99, true)));
        assert_eq!(group_and_life("123 (x"), None);
    }

    #[test]
    fn our_own_group_lives() {
        assert!(scan(rustix::process::getpgrp().as_raw_nonzero().get()));
    }
}
