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
        .any(|stat| state_and_group(&stat).is_some_and(|(state, of)| of == group && lives(state)))
}

fn lives(state: &str) -> bool {
    !matches!(state, "Z" | "X" | "x")
}

/// The state and the process group in a line of `/proc/PID/stat` (proc_pid_stat(5)). The name
/// before them may hold anything, so they are looked for after its end.
fn state_and_group(stat: &str) -> Option<(&str, i32)> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    Some((state, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_mislead() {
        let stat = "123 (a) Z 1 77) S 1 99 99 0 -1 4194560";
        assert_eq!(state_and_group(stat), Some(("S", 99)));
        assert_eq!(state_and_group("123 (x"), None);
    }

    #[test]
    fn our_own_group_lives() {
        assert!(scan(rustix::process::getpgrp().as_raw_nonzero().get()));
    }
}
