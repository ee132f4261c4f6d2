//! Finds and kills processes that an executor has left behind, by way of `/proc`.

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

/// Between two looks at processes that take their time to die: from this, doubling ...
const PAUSE_FIRST: Duration = Duration::from_millis(2);
/// ... to this.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Kills every descendant of this process, which must be a child subreaper, and reaps them.
/// `on_reaped` is told the raw wait status of each. Returns when none is left.
///
/// A process whose parent dies becomes a child of the nearest subreaper. So as long as any
/// descendant lives this process has a child, and when it has none, nothing is left.
pub(super) fn end_descendants(mut on_reaped: impl FnMut(Pid, i32)) -> io::Result<()> {
    let me = BTreeSet::from([getpid().as_raw_nonzero().get()]);
    let mut pause = PAUSE_FIRST;
    loop {
        kill_all(&under(&me, &process_table()?));
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

/// Kills all processes that were started under the executor of this sandbox, and whatever they
/// started, until none is left: its supervisor can no longer do so. They are known by the
/// variable `MESOS_SANDBOX` in their environment, which names one executor of one agent.
pub(crate) fn end_leftovers(sandbox: &Path) -> io::Result<()> {
    let variable = [b"MESOS_SANDBOX=", sandbox.as_os_str().as_encoded_bytes()].concat();
    let me = getpid().as_raw_nonzero().get();
    let mut condemned: BTreeMap<i32, Live> = BTreeMap::new();
    let mut pause = PAUSE_FIRST;
    loop {
        let table = process_table()?;
        // A process that is dying has no environment any more, and still holds its files.
        condemned.retain(|pid, was| table.get(pid).is_some_and(|is| is.started == was.started));
        let marked = table.keys().copied().filter(|pid| has_variable(*pid, &variable));
        let mut found: BTreeSet<i32> = marked.chain(condemned.keys().copied()).collect();
        found.extend(under(&found, &table));
        found.remove(&me);
        if found.is_empty() {
            return Ok(());
        }
        kill_all(&found);
        condemned.extend(found.iter().filter_map(|pid| Some((*pid, *table.get(pid)?))));
        pause = pause_for(pause);
    }
}

/// A process that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Live {
    parent: i32,
    /// When it was started, in ticks since the boot: ids are used anew, and never with this.
    started: u64,
}

/// All live processes. Zombies are left out.
fn process_table() -> io::Result<BTreeMap<i32, Live>> {
    let mut table = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end at any moment; then there is nothing to read.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if let Some(process) = live(&stat) {
            table.insert(pid, process);
        }
    }
    Ok(table)
}

/// The process in a line of `/proc/PID/stat`, unless it is dead.
///
/// The state is that of the first thread. When that one has ended and others go on, the process
/// looks like a zombie and lives: it is known by the number of its threads (proc_pid_stat(5)).
/// The second field is the program's name in brackets and may itself hold brackets and spaces.
fn live(stat: &str) -> Option<Live> {
    const PARENT: usize = 1;
    const THREADS: usize = 17;
    const STARTED: usize = 19;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let threads = fields.get(THREADS).and_then(|threads| threads.parse::<u32>().ok());
    let is_dead = match *fields.first()? {
        "X" => true,
        "Z" => threads.is_none_or(|threads| threads < 2),
        _ => false,
    };
    if is_dead {
        return None;
    }
    let (parent, started) = (fields.get(PARENT)?.parse().ok()?, fields.get(STARTED)?.parse().ok()?);
    Some(Live { parent, started })
}

/// The processes of `table` that descend from `roots`, without the roots.
fn under(roots: &BTreeSet<i32>, table: &BTreeMap<i32, Live>) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    loop {
        let before = found.len();
        for (pid, Live { parent, .. }) in table {
            if !roots.contains(pid) && (roots.contains(parent) || found.contains(parent)) {
                found.insert(*pid);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Whether a process has this variable in its environment, which is that of any live thread.
fn has_variable(pid: i32, variable: &[u8]) -> bool {
    let holds = |file: &Path| {
        let environment = fs::read(file).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable)
    };
    let process = Path::new("/proc").join(pid.to_string());
    let threads = || fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    holds(&process.join("environ")) || threads().any(|thread| holds(&thread.path().join("environ")))
}

fn kill_all(processes: &BTreeSet<i32>) {
    for pid in processes.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that is already gone cannot be killed, and need not be.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Waits for this long and gives the next, longer pause.
fn pause_for(pause: Duration) -> Duration {
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
    // An interrupted pause is only a shorter one.
    let _ = poll(&mut [], Some(&timeout));
    (pause * 2).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows the state in a line of `/proc/PID/stat`, for a child of process 7.
    const REST: &str = "7 12 12 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 99 0";

    #[test]
    fn names_of_programs_cannot_confuse_the_table() {
        let child = Some(Live { parent: 7, started: 99 });
        assert_eq!(live(&format!("12 (a) b (c) S {REST}")), child);
        assert_eq!(live(&format!("12 (sh) Z {REST}")), None);
        // Its first thread has ended, and another one goes on.
        assert_eq!(live(&format!("12 (sh) Z {REST}").replace("20 0 1", "20 0 2")), child);
        assert_eq!(live("12 (sh"), None);
    }

    #[test]
    fn descendants_are_found_whatever_the_order_of_pids() {
        let table = [(2, 9), (3, 2), (9, 5), (5, 1), (7, 1)];
        let table = table.map(|(pid, parent)| (pid, Live { parent, started: 0 })).into();
        assert_eq!(under(&BTreeSet::from([5]), &table), BTreeSet::from([2, 3, 9]));
    }
}
