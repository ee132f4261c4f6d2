//! Live processes, by way of `/proc`.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};

/// A process, as it was when it was looked at.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: i32,
    /// Its parent's.
    pub(crate) parent: i32,
    /// Its command line.
    pub(crate) words: Vec<String>,
    /// Where it runs.
    folder: PathBuf,
}

impl Process {
    /// A live process; `None` if there is no such, or it is dead and only not yet reaped.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // The state is that of the first thread; field 17 is the number of threads.
        let (state, parent, threads) = (fields.first()?, fields.get(1)?, fields.get(17)?);
        if *state == "X" || (*state == "Z" && threads.parse::<u32>().is_ok_and(|count| count < 2)) {
            return None;
        }
        let parent = parent.parse().ok()?;
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into());
        let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        Some(Self { pid, parent, words: words.collect(), folder })
    }

    /// Whether it is the parent of an executor.
    pub(crate) fn is_supervisor(&self) -> bool {
        self.words.get(1).is_some_and(|word| word == "supervise")
    }

    /// Whether it is an executor, if it is the child of a supervisor.
    pub(crate) fn is_executor(&self) -> bool {
        self.folder.ends_with("sandbox")
    }

    /// Whether it is a `sleep` of a script, of which there is a new one each moment.
    pub(crate) fn is_sleep(&self) -> bool {
        self.words.first().is_some_and(|word| word == "sleep")
    }

    /// Whether its environment has this variable with this value.
    pub(crate) fn has_variable(&self, name: &str, value: &str) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        let entry = format!("{name}={value}");
        environment.split(|byte| *byte == 0).any(|found| found == entry.as_bytes())
    }

    /// Whether it has to do with a folder: runs there, is told about it, or has it in its
    /// environment.
    pub(crate) fn mentions(&self, folder: &Path) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten();
        let mut environments =
            tasks.flatten().map(|task| fs::read(task.path().join("environ")).unwrap_or_default());
        self.folder.starts_with(folder)
            || self.words.iter().any(|word| word.contains(&*folder.to_string_lossy()))
            || environments.any(|environment| contains(&environment, folder))
    }

    /// Sends it a signal, if it still lives.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Whether it still lives.
    pub(crate) fn is_alive(&self) -> bool {
        Self::read(self.pid).is_some_and(|now| now.words == self.words)
    }
}

fn contains(bytes: &[u8], folder: &Path) -> bool {
    let folder = folder.as_os_str().as_bytes();
    bytes.windows(folder.len()).any(|window| window == folder)
}

/// All live processes that have to do with a folder, but for this one.
pub(crate) fn processes_under(folder: &Path) -> Vec<Process> {
    let own = std::process::id().cast_signed();
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let pids = entries.filter_map(|name| OsStr::to_str(&name).and_then(|name| name.parse().ok()));
    let all = pids.filter(|pid| *pid != own).filter_map(Process::read);
    all.filter(|process| process.mentions(folder)).collect()
}
