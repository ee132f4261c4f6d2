//! One server process: a scheduler, an agent, or `muster dev`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Namespace, wait_for};

/// The real binary, with nothing of the environment of whoever runs the tests.
pub(crate) fn muster() -> Command {
    without_ours(Command::new(env!("CARGO_BIN_EXE_muster")))
}

fn without_ours(mut command: Command) -> Command {
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
    variables: BTreeMap<String, String>,
    namespace: Option<Namespace>,
    log: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// A server that is yet to be started; its folder is the last argument.
    pub(crate) fn new(folder: &Path, arguments: &[&str]) -> Self {
        let mut arguments: Vec<_> = arguments.iter().map(|word| (*word).to_owned()).collect();
        arguments.push(folder.to_str().unwrap().to_owned());
        fs::create_dir_all(folder).unwrap();
        Self {
            folder: folder.to_owned(),
            arguments,
            variables: BTreeMap::new(),
            namespace: None,
            log: folder.with_extension("log"),
            child: None,
        }
    }

    /// Gives it one more argument, from the next start on.
    pub(crate) fn add_argument(&mut self, word: &str) {
        self.arguments.push(word.to_owned());
    }

    /// Sets a variable of its environment, from the next start on.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Has it run in a network namespace, from the next start on.
    pub(crate) fn move_into(&mut self, namespace: &Namespace) {
        self.namespace = Some(namespace.clone());
    }

    /// Has it log to another file, from the next start on.
    pub(crate) fn log_to(&mut self, file: &str) {
        self.log = file.into();
    }

    /// The network namespace that it runs in, if it is another one than the test's.
    pub(crate) fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives it another folder, for the next start.
    pub(crate) fn move_to(&mut self, folder: &Path) {
        let last = self.arguments.last_mut().expect("the folder is the last argument");
        folder.to_str().unwrap().clone_into(last);
        folder.clone_into(&mut self.folder);
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
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = muster();
        command.args(&self.arguments);
        if let Some(namespace) = &self.namespace {
            command = without_ours(namespace.command(&command));
        }
        let child = command
            .envs(&self.variables)
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

    /// Whether it was started and not yet ended by the test.
    pub(crate) fn is_started(&self) -> bool {
        self.child.is_some()
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

    /// All that it has logged.
    pub(crate) fn read_log(&self) -> String {
        // A device gives as much as one likes to read.
        let log = if self.log.is_file() { fs::read(&self.log).unwrap() } else { Vec::new() };
        String::from_utf8_lossy(&log).into_owned()
    }

    /// What it said last to whoever started it; what still ends may log more.
    pub(crate) fn last_words(&self) -> String {
        let log = self.read_log();
        let words = log.lines().rfind(|line| line.starts_with("muster: "));
        words.unwrap_or_else(|| panic!("it ended without a word: {log}")).to_owned()
    }

    /// Prints the end of its log.
    pub(crate) fn show_log(&self) {
        let log = self.read_log();
        let lines: Vec<_> = log.lines().collect();
        let from = lines.len().saturating_sub(60);
        eprintln!("--- {}\n{}", self.log.display(), lines[from..].join("\n"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}
