//! Which processes live, and whose children they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use rustix::io::Errno;

/// A process that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// The id of its parent.
    pub parent: i32,
    /// The id of its process group.
    pub group: i32,
    /// When it was started, in ticks since the boot: ids are used anew, and never with this.
    pub started: u64,
}

/// Processes by their ids.
pub type Table = BTreeMap<i32, Process>;

/// All live processes. Zombies are left out. It fails when one cannot be looked at that may live, for
/// this process has no room for another open file, say.
pub fn table() -> io::Result<Table> {
    live_processes()?.collect()
}

/// Whether a process of this group lives. It fails as [`table`] does.
pub fn group_lives(group: i32) -> io::Result<bool> {
    for process in live_processes()? {
        if process?.1.group == group {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The processes of `table` that descend from `roots`, without the roots.
pub fn descendants(roots: &BTreeSet<i32>, table: &Table) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    loop {
        let before = found.len();
        for (pid, Process { parent, .. }) in table {
            if !roots.contains(pid) && (roots.contains(parent) || found.contains(parent)) {
                found.insert(*pid);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// What a file of `/proc/PID` holds; `None` where the process has ended, or is not for us to look at.
/// That something is lacking here says nothing of the process, and is an error.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if says_nothing_is_there(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error of reading in `/proc/PID` is about the process. Those of other users may be hidden
/// from us, and one may have unmapped its own environment.
pub(crate) fn says_nothing_is_there(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::NOENT | Errno::SRCH | Errno::ACCESS | Errno::PERM | Errno::IO | Errno::FAULT)
    )
}

fn live_processes() -> io::Result<impl Iterator<Item = io::Result<(i32, Process)>>> {
    let process = |entry: io::Result<fs::DirEntry>| {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // A process may end at any moment; then there is nothing to read.
        let stat = read(&entry.path().join("stat")).transpose()?;
        stat.map(|stat| Some((pid, live(&stat)?))).transpose()
    };
    Ok(fs::read_dir("/proc")?.filter_map(process))
}

/// The process in a line of `/proc/PID/stat`, unless it is dead.
///
/// The state is that of the first thread. When that one has ended and others go on, the process
/// looks like a zombie and lives: it is known by the number of its threads (proc_pid_stat(5)).
/// The second field is the program's name in brackets and may itself hold brackets and spaces. It is
/// cut after 15 bytes, and so perhaps within a character.
fn live(stat: &[u8]) -> Option<Process> {
    const PARENT: usize = 1;
    const GROUP: usize = 2;
    const THREADS: usize = 17;
    const STARTED: usize = 19;
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = str::from_utf8(&stat[name_ends + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let is_dead = match *fields.first()? {
        "X" | "x" => true,
        "Z" => number(THREADS).is_none_or(|threads| threads < 2),
        _ => false,
    };
    if is_dead {
        return None;
    }
    let id = |at: usize| fields.get(at)?.parse().ok();
    Some(Process { parent: id(PARENT)?, group: id(GROUP)?, started: number(STARTED)? })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        os::fd::AsRawFd as _,
        process::{Command, Stdio},
    };

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    /// What follows the state in a line of `/proc/PID/stat`, for a child of process 7.
    const REST: &str = "7 12 12 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 99 0";

    #[test]
    fn names_of_programs_cannot_confuse_the_table() {
        let child = Some(Process { parent: 7, group: 12, started: 99 });
        let live = |stat: &str| live(stat.as_bytes());
        assert_eq!(live(&format!("12 (a) b (c) S {REST}")), child);
        assert_eq!(live(&format!("12 (a) Z 1 77) S {REST}")), child);
        assert_eq!(live(&format!("12 (sh) Z {REST}")), None);
        // Its first thread has ended, and another one goes on.
        assert_eq!(live(&format!("12 (sh) Z {REST}").replace("20 0 1", "20 0 2")), child);
        assert_eq!(live("12 (sh"), None);
    }

    #[test]
    fn a_process_is_found_whose_name_is_cut_within_a_character() {
        // It takes the name itself, and says when it has it. The kernel keeps 15 of the 16 bytes.
        let script = "printf абвгдежз > /proc/$$/comm; echo; read line";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let pid = child.id().cast_signed();
        let name = fs::read(format!("/proc/{pid}/comm")).unwrap();
        assert!(str::from_utf8(&name).is_err(), "{name:?}");
        let table = table().unwrap();
        let me = std::process::id().cast_signed();
        assert_eq!(table.get(&pid).map(|process| process.parent), Some(me));
        assert!(group_lives(table[&pid].group).unwrap());
        // It ends when it has read the end of its standard input.
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    /// In a process of its own, which has room for one more open file: the folder of processes.
    #[test]
    fn without_room_to_look_nobody_is_taken_for_ended() {
        const STARVED: &str = "MUSTER_TEST_STARVED";
        if std::env::var_os(STARVED).is_none() {
            let mut starved = Command::new(std::env::current_exe().unwrap());
            let name = "table::tests::without_room_to_look_nobody_is_taken_for_ended";
            assert!(starved.args(["--exact", name]).env(STARVED, "1").status().unwrap().success());
            return;
        }
        let next = fs::File::open("/dev/null").unwrap().as_raw_fd();
        let limit = getrlimit(Resource::Nofile);
        let low = Rlimit { current: Some(u64::try_from(next).unwrap() + 1), ..limit };
        setrlimit(Resource::Nofile, low).unwrap();
        let (found, lives) = (table(), group_lives(0));
        setrlimit(Resource::Nofile, limit).unwrap();
        let errno = |error: io::Error| Errno::from_raw_os_error(error.raw_os_error().unwrap());
        assert_eq!(found.map_err(errno), Err(Errno::MFILE));
        assert_eq!(lives.map_err(errno), Err(Errno::MFILE));
    }

    #[test]
    fn only_what_is_said_of_a_process_reads_as_its_end() {
        let says = |errno: Errno| says_nothing_is_there(&errno.into());
        assert!([Errno::NOENT, Errno::SRCH, Errno::ACCESS, Errno::PERM].into_iter().all(says));
        assert!(![Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR].into_iter().any(says));
    }

    #[test]
    fn descendants_are_found_whatever_the_order_of_pids() {
        let table = [(2, 9), (3, 2), (9, 5), (5, 1), (7, 1)];
        let table =
            table.map(|(pid, parent)| (pid, Process { parent, group: 0, started: 0 })).into();
        assert_eq!(descendants(&BTreeSet::from([5]), &table), BTreeSet::from([2, 3, 9]));
    }

    #[test]
    fn our_own_group_lives() {
        // Not from getpgrp(2): in a container our leader may be out of sight, and the group 0.
        let ours = table().unwrap()[&std::process::id().cast_signed()].group;
        assert!(group_lives(ours).unwrap());
    }
}
