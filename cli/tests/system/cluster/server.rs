//! One server process: a scheduler, an agent, or `muster dev`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::wait_for;

/// The real binary, with nothing of the environment of whoever runs the tests.
pub(crate) fn muster() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MUSTER_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A server process that can be ended and started again on its folder.
pub(crate) struct Server {
    folder: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// A server that is yet to be started; its folder is the last argument.
    pub(crate) fn new(folder: &Path, arguments: &[&str]) -> Self {
        let mut arguments: Vec<_> = arguments.iter().map(|word| (*word).to_owned()).collect();
        arguments.push(folder.to_str().unwrap().to_owned());
        fs::create_dir_all(folder).unwrap();
        Self { folder: folder.to_owned(), arguments, child: None }
    }

    /// The value of a flag.
    pub(crate) fn flag(&self, flag: &str) -> &str {
        let at = self.arguments.iter().position(|word| word == flag).expect("it was given");
        &self.arguments[at + 1]
    }

    /// Changes the value of a flag, for the next start.
    pub(crate) fn set_flag(&mut self, flag: &str, value: &str) {
        let at = self.arguments.iter().position(|word| word == flag).expect("it was given");
        value.clone_into(&mut self.arguments[at + 1]);
    }

    /// Starts the process. Its log goes to a file beside its folder.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        // A killed process leaves its own, which says nothing about the next.
        let _ = fs::remove_file(self.folder.join("ready.json"));
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let child = muster()
            .args(&self.arguments)
            // Pointers to running servers are kept there, and are nobody else's business.
            .env("XDG_STATE_HOME", self.folder.join("state"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// What it says when it is ready.
    pub(crate) fn wait_until_ready(&mut self) -> Value {
        let file = self.folder.join("ready.json");
        wait_for("ready.json", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "it has ended ({ended:?}); log: {}", self.read_log());
            serde_json::from_slice(&fs::read(&file).ok()?).ok()
        })
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// Sends it a signal that ends it, and waits for the end. Nothing happens if it does not run.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let _ = kill_process(Pid::from_child(&child), signal);
        // It may have been stopped.
        let _ = kill_process(Pid::from_child(&child), Signal::CONT);
        Some(wait_for("the end of a server", || child.try_wait().unwrap()))
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("it runs");
        let status = wait_for("the end of a server", || child.try_wait().unwrap());
        self.child = None;
        status
    }

    fn log(&self) -> PathBuf {
        self.folder.with_extension("log")
    }

    /// All that it has logged.
    pub(crate) fn read_log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    /// Prints the end of its log.
    pub(crate) fn show_log(&self) {
        let log = self.read_log();
        let lines: Vec<_> = log.lines().collect();
        let from = lines.len().saturating_sub(60);
        eprintln!("--- {}\n{}", self.log().display(), lines[from..].join("\n"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}
