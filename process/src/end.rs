//! Ends processes, and waits until they are gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    time::Duration,
};

use rustix::{
    event::poll,
    io::Errno,
    process::{Pid, Signal, WaitOptions, getpid, kill_process, wait},
    time::Timespec,
};

use crate::table::{Process, Table, descendants, read, says_nothing_is_there, table};

/// Between two looks at processes that take their time to die: from this, doubling ...
const PAUSE_FIRST: Duration = Duration::from_millis(2);
/// ... to this.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Sends a signal to those descendants of this process that are `wanted`. One that is started
/// meanwhile may miss it.
pub fn signal_descendants(signal: Signal, wanted: impl Fn(&Process) -> bool) -> io::Result<()> {
    let table = table()?;
    signal_some(&under_this(&table), &table, signal, wanted);
    Ok(())
}

/// The same for the processes that have this variable in their environment, as `NAME=value`, and
/// whatever they started.
pub fn signal_marked(
    signal: Signal,
    variable: &[u8],
    wanted: impl Fn(&Process) -> bool,
) -> io::Result<()> {
    let table = table()?;
    signal_some(&marked(variable, &table)?, &table, signal, wanted);
    Ok(())
}

/// Whether a process lives that has this variable in its environment.
pub fn marked_live(variable: &[u8]) -> io::Result<bool> {
    Ok(!marked(variable, &table()?)?.is_empty())
}

/// Kills every descendant of this process, which must be a child subreaper, and reaps them.
/// `on_reaped` is told the raw wait status of each. Returns when none is left. While something is
/// lacking without which nobody can be looked for, it waits for that too.
///
/// A process whose parent dies becomes a child of the nearest subreaper. So as long as any
/// descendant lives this process has a child, and when it has none, nothing is left.
pub fn end_descendants(mut on_reaped: impl FnMut(Pid, i32)) -> io::Result<()> {
    let mut pause = PAUSE_FIRST;
    let mut told = false;
    loop {
        match table() {
            Ok(table) => signal_all(&under_this(&table), Signal::KILL),
            Err(error) if is_lack(&error) => {
                if !told {
                    tracing::warn!(%error, "cannot look for processes, and tries again");
                    told = true;
                }
            }
            Err(error) => return Err(error),
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => on_reaped(pid, status.as_raw()),
                Ok(None) => break,
                Err(Errno::CHILD) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        pause = pause_for(pause);
    }
}

/// Kills all processes that have this variable in their environment, as `NAME=value`, and whatever
/// they started, until none is left. This process is spared.
pub fn end_marked(variable: &[u8]) -> io::Result<()> {
    let me = this();
    let mut condemned: BTreeMap<i32, Process> = BTreeMap::new();
    let mut pause = PAUSE_FIRST;
    loop {
        let table = table()?;
        // A process that is dying has no environment any more, and still holds its files.
        condemned.retain(|pid, was| table.get(pid).is_some_and(|is| is.started == was.started));
        let mut found = marked(variable, &table)?;
        found.extend(condemned.keys());
        found.extend(descendants(&found, &table));
        found.remove(&me);
        if found.is_empty() {
            return Ok(());
        }
        signal_all(&found, Signal::KILL);
        condemned.extend(found.iter().filter_map(|pid| Some((*pid, *table.get(pid)?))));
        pause = pause_for(pause);
    }
}

/// The processes with this variable, and their descendants, without this process.
fn marked(variable: &[u8], table: &Table) -> io::Result<BTreeSet<i32>> {
    let mut found = BTreeSet::new();
    for pid in table.keys() {
        if has_variable(*pid, variable)? {
            found.insert(*pid);
        }
    }
    found.extend(descendants(&found, table));
    found.remove(&this());
    Ok(found)
}

/// Whether this process or this host has too little of something, which may pass.
fn is_lack(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

fn this() -> i32 {
    getpid().as_raw_nonzero().get()
}

fn under_this(table: &Table) -> BTreeSet<i32> {
    descendants(&BTreeSet::from([this()]), table)
}

/// Whether a process has this variable in its environment, which is that of any live thread.
fn has_variable(pid: i32, variable: &[u8]) -> io::Result<bool> {
    let holds = |file: &Path| -> io::Result<bool> {
        let environment = read(file)?.unwrap_or_default();
        Ok(environment.split(|byte| *byte == 0).any(|entry| entry == variable))
    };
    let process = Path::new("/proc").join(pid.to_string());
    if holds(&process.join("environ"))? {
        return Ok(true);
    }
    let threads = match fs::read_dir(process.join("task")) {
        Ok(threads) => threads,
        Err(error) if says_nothing_is_there(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    for thread in threads {
        match thread {
            Ok(thread) if holds(&thread.path().join("environ"))? => return Ok(true),
            Err(error) if !says_nothing_is_there(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(false)
}

fn signal_some(
    processes: &BTreeSet<i32>,
    table: &Table,
    signal: Signal,
    wanted: impl Fn(&Process) -> bool,
) {
    let is_wanted = |pid: &&i32| table.get(*pid).is_some_and(&wanted);
    signal_all(&processes.iter().filter(is_wanted).copied().collect(), signal);
}

fn signal_all(processes: &BTreeSet<i32>, signal: Signal) {
    for pid in processes.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that is already gone cannot be signalled, and need not be.
        let _ = kill_process(pid, signal);
    }
}

/// Waits for this long and gives the next, longer pause.
fn pause_for(pause: Duration) -> Duration {
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
    // An interrupted pause is only a shorter one.
    let _ = poll(&mut [], Some(&timeout));
    (pause * 2).min(PAUSE_MAX)
}
