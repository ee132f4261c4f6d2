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
    let mut pause = PAUSE_FIRST;
    loop {
        let table = process_table()?;
        let marked = table.keys().copied().filter(|pid| has_variable(*pid, &variable));
        let mut condemned: BTreeSet<i32> = marked.collect();
        condemned.extend(under(&condemned, &table));
        condemned.remove(&getpid().as_raw_nonzero().get());
        if condemned.is_empty() {
            return Ok(());
        }
        kill_all(&condemned);
        pause = pause_for(pause);
    }
}

/// All live processes: each with its parent. Zombies are left out.
fn process_table() -> io::Result<BTreeMap<i32, i32>> {
    let mut table = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end at any moment; then there is nothing to read.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if let Some(parent) = live_parent(&stat) {
            table.insert(pid, parent);
        }
    }
    Ok(table)
}

/// The parent in a line of `/proc/PID/stat`, unless the process is dead.
///
/// The state is that of the first thread. When that one has ended and others go on, the process
/// looks like a zombie and lives: it is known by the number of its threads (proc_pid_stat(5)).
/// The second field is the program's name in brackets and may itself hold brackets and spaces.
fn live_parent(stat: &str) -> Option<i32> {
    const PARENT: usize = 1;
    const THREADS: usize = 17;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let threads = fields.get(THREADS).and_then(|threads| threads.parse::<u32>().ok());
    let is_dead = match *fields.first()? {
        "X" => true,
        "Z" => threads.is_none_or(|threads| threads < 2),
        _ => false,
    };
    if is_dead { None } else { fields.get(PARENT)?.parse().ok() }
}

/// The processes of `table` that descend from `roots`, without the roots.
fn under(roots: &BTreeSet<i32>, table: &BTreeMap<i32, i32>) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    loop {
        let before = found.len();
        for (pid, parent) in table {
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

    #[test]
    fn names_of_programs_cannot_confuse_the_table() {
        assert_eq!(live_parent("12 (a) b (c) S 7 12 12 0 -1"), Some(7));
        assert_eq!(live_parent("12 (sh) Z 7 12 12 0 -1"), None);
        let zombie = "12 (sh) Z 7 12 12 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 99";
        assert_eq!(live_parent(zombie), None);
        // Its first thread has ended, and another one goes on.
        assert_eq!(live_parent(&zombie.replace("20 0 1", "20 0 2")), Some(7));
        assert_eq!(live_parent("12 (sh"), None);
    }

    #[test]
    fn descendants_are_found_whatever_the_order_of_pids() {
        let table = BTreeMap::from([(2, 9), (3, 2), (9, 5), (5, 1), (7, 1)]);
        assert_eq!(under(&BTreeSet::from([5]), &table), BTreeSet::from([2, 3, 9]));
    }
}
