//! How a process ended, in words.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

/// Names of the signals that end processes (signal(7)), and what they are called by strsignal(3).
const SIGNALS: [(i32, &str, &str); 23] = [
    (1, "SIGHUP", "Hangup"),
    (2, "SIGINT", "Interrupt"),
    (3, "SIGQUIT", "Quit"),
    (4, "SIGILL", "Illegal instruction"),
    (5, "SIGTRAP", "Trace/breakpoint trap"),
    (6, "SIGABRT", "Aborted"),
    (7, "SIGBUS", "Bus error"),
    (8, "SIGFPE", "Floating point exception"),
    (9, "SIGKILL", "Killed"),
    (10, "SIGUSR1", "User defined signal 1"),
    (11, "SIGSEGV", "Segmentation fault"),
    (12, "SIGUSR2", "User defined signal 2"),
    (13, "SIGPIPE", "Broken pipe"),
    (14, "SIGALRM", "Alarm clock"),
    (15, "SIGTERM", "Terminated"),
    (16, "SIGSTKFLT", "Stack fault"),
    (24, "SIGXCPU", "CPU time limit exceeded"),
    (25, "SIGXFSZ", "File size limit exceeded"),
    (26, "SIGVTALRM", "Virtual timer expired"),
    (27, "SIGPROF", "Profiling timer expired"),
    (29, "SIGIO", "I/O possible"),
    (30, "SIGPWR", "Power failure"),
    (31, "SIGSYS", "Bad system call"),
];

/// As in `exited with code 3` or `ended by signal 9 (SIGKILL)`.
pub(crate) fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => {
            let name = SIGNALS.into_iter().find(|(number, ..)| *number == signal);
            let name = name.map(|(_, name, _)| format!(" ({name})")).unwrap_or_default();
            format!("ended by signal {signal}{name}")
        }
        (None, None) => format!("ended with status {}", status.into_raw()),
    }
}

/// The same as Mesos says it, whose frameworks may know the words: `exited with status 3` or
/// `terminated with signal Terminated`.
pub(crate) fn in_mesos_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => {
            let known = SIGNALS.into_iter().find(|(number, ..)| *number == signal);
            let name = known.map_or_else(|| unnamed(signal), |(.., name)| name.to_owned());
            let dumped = if status.core_dumped() { " (core dumped)" } else { "" };
            format!("terminated with signal {name}{dumped}")
        }
        (None, None) => format!("ended with wait status {}", status.into_raw()),
    }
}

fn unnamed(signal: i32) -> String {
    // The first real-time signal that the C library leaves to programs.
    const FIRST: i32 = 34;
    if signal < FIRST {
        return format!("Unknown signal {signal}");
    }
    format!("Real-time signal {}", signal - FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_in_the_words_of_mesos() {
        for (status, ours, theirs) in [
            (0, "exited with code 0", "exited with status 0"),
            (3 << 8, "exited with code 3", "exited with status 3"),
            (15, "ended by signal 15 (SIGTERM)", "terminated with signal Terminated"),
            (9, "ended by signal 9 (SIGKILL)", "terminated with signal Killed"),
            (
                0x80 | 6,
                "ended by signal 6 (SIGABRT)",
                "terminated with signal Aborted (core dumped)",
            ),
            (36, "ended by signal 36", "terminated with signal Real-time signal 2"),
            (32, "ended by signal 32", "terminated with signal Unknown signal 32"),
        ] {
            let status = ExitStatus::from_raw(status);
            assert_eq!((in_words(status), in_mesos_words(status)), (ours.into(), theirs.into()));
        }
    }
}
