//! How a process ended, in words.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

/// Names of the signals that end processes, for people (signal(7)).
const SIGNALS: [(i32, &str); 15] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
];

/// As in `exited with code 3` or `ended by signal 9 (SIGKILL)`.
pub(crate) fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => {
            let name = SIGNALS.into_iter().find(|(number, _)| *number == signal);
            let name = name.map(|(_, name)| format!(" ({name})")).unwrap_or_default();
            format!("ended by signal {signal}{name}")
        }
        (None, None) => format!("ended with status {}", status.into_raw()),
    }
}
