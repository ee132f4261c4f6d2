//! The agents of `muster dev`, as child processes.

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use muster_api::clock;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

/// From asking an agent to end to killing it.
const END_GRACE: Duration = Duration::from_secs(10);
/// The same for the kernel.
const END_GRACE_TIMESPEC: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// Between the death of an agent and its next start: from this, doubling ...
const RESTART_FIRST: Duration = Duration::from_millis(200);
/// ... to this.
const RESTART_MAX: Duration = Duration::from_secs(10);
/// An agent that lived so long starts again without much waiting.
const LIVED_WELL: Duration = Duration::from_secs(30);

/// How agents are started.
#[derive(Debug, Clone)]
pub(super) struct AgentCommand {
    /// This program.
    pub(super) program: PathBuf,
    /// The master, as host and port.
    pub(super) master: String,
    /// Where the join token is.
    pub(super) join_token_file: PathBuf,
    /// What each may use; absent: what it finds.
    pub(super) resources: Option<String>,
}

/// Keeps the agent of one folder running until `ending` says that it is to end.
pub(super) async fn keep_running(
    command: AgentCommand,
    folder: PathBuf,
    mut ending: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    end_former(&folder).await?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut wait = RESTART_FIRST;
    loop {
        let started = clock::mono();
        let mut child = command.start(&folder, &name)?;
        tokio::select! {
            status = child.wait() => {
                let status = status.context("cannot wait for an agent")?;
                let log = log_file(&folder);
                warn!(agent = name, %status, log = %log.display(), "an agent has ended by itself");
            }
            () = told(&mut ending) => return end_child(&mut child).await,
        }
        if clock::mono().since(started) > LIVED_WELL {
            wait = RESTART_FIRST;
        }
        tokio::select! {
            () = sleep(wait) => wait = (wait * 2).min(RESTART_MAX),
            () = told(&mut ending) => return Ok(()),
        }
    }
}

/// Returns when the agents are to end.
async fn told(ending: &mut watch::Receiver<bool>) {
    // An error means that nobody can say it any more, which says it as well.
    let _ = ending.wait_for(|ending| *ending).await;
}

impl AgentCommand {
    fn start(&self, folder: &Path, name: &str) -> anyhow::Result<Child> {
        let log = log_file(folder);
        let open = || File::options().create(true).append(true).open(&log);
        let log = open().with_context(|| format!("cannot write `{}`", log.display()))?;
        let mut command = Command::new(&self.program);
        // What the environment says was meant for this process, not for its agents.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MUSTER_") {
                command.env_remove(variable);
            }
        }
        command
            .args(["agent", "--master", &self.master, "--hostname", name])
            .args(["--listen", &super::agent::LISTEN.to_string(), "--work-dir"])
            .arg(folder)
            .arg("--join-token-file")
            .arg(&self.join_token_file);
        if let Some(resources) = &self.resources {
            command.args(["--resources", resources]);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A ^C in the terminal is for `muster dev`, which ends its agents in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start `{}`", self.program.display()))
    }
}

/// Where an agent's log goes: beside its folder, which is its own.
pub(super) fn log_file(folder: &Path) -> PathBuf {
    folder.with_extension("log")
}

async fn end_child(child: &mut Child) -> anyhow::Result<()> {
    if let Some(id) = child.id() {
        let pid = Pid::from_raw(id.cast_signed()).context("the process id of an agent is odd")?;
        // It has not been waited for, so the id is still its own.
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
    if timeout(END_GRACE, child.wait()).await.is_err() {
        child.kill().await.context("cannot kill an agent")?;
    }
    Ok(())
}

/// What an agent says in its `ready.json`.
#[derive(Deserialize)]
struct Ready {
    pid: i32,
}

/// Ends the agent of a folder that a `muster dev` left behind when it was killed. Executors live
/// on.
pub(super) async fn end_former(folder: &Path) -> anyhow::Result<()> {
    let Some(process) = former(folder)? else { return Ok(()) };
    info!(folder = %folder.display(), "ending the agent that a killed `muster dev` left behind");
    tokio::task::spawn_blocking(move || end(&process)).await?.context("cannot end a former agent")
}

/// Ends a process, by force if need be.
fn end(process: &OwnedFd) -> io::Result<()> {
    for signal in [Signal::TERM, Signal::KILL] {
        // It may have ended by itself, and then there is nobody to tell.
        let _ = pidfd_send_signal(process, signal);
        let mut ended = [PollFd::new(process, PollFlags::IN)];
        if poll(&mut ended, Some(&END_GRACE_TIMESPEC))? > 0 {
            return Ok(());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The process of a folder's agent, when it is alive.
fn former(folder: &Path) -> io::Result<Option<OwnedFd>> {
    let Ok(ready) = fs::read(folder.join("ready.json")) else { return Ok(None) };
    let ready = serde_json::from_slice::<Ready>(&ready).ok();
    let Some(pid) = ready.and_then(|ready| Pid::from_raw(ready.pid)) else { return Ok(None) };
    // Whoever is looked at below is the one whom this names, or nobody: ids are used anew.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(None) };
    let words = fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())).unwrap_or_default();
    let words: Vec<_> = words.split(|byte| *byte == 0).collect();
    let is_agent = words.get(1) == Some(&b"agent".as_slice())
        && words.contains(&folder.as_os_str().as_encoded_bytes());
    Ok(is_agent.then_some(process))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the `ready.json` of a process, as soon as the kernel shows its command line: for a
    /// moment after its start it has none.
    async fn announce(folder: &Path, child: &Child) {
        let line = format!("/proc/{}/cmdline", child.id().unwrap());
        let shown = async {
            while fs::read(&line).unwrap().is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(END_GRACE, shown).await.unwrap();
        let ready = serde_json::json!({"pid": child.id(), "listen": "127.0.0.1:1"});
        fs::write(folder.join("ready.json"), ready.to_string()).unwrap();
    }

    #[tokio::test]
    async fn a_former_agent_is_ended_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        end_former(folder.path()).await.unwrap();
        // `sh agent ...` looks like an agent: it runs the script of that name, and this one waits
        // for ever.
        let fifo = folder.path().join("agent");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let start = |work_dir: &Path| {
            Command::new("sh")
                .args(["agent", "--work-dir"])
                .arg(work_dir)
                .current_dir(folder.path())
                .kill_on_drop(true)
                .spawn()
                .unwrap()
        };
        let mut other = start(Path::new("/elsewhere"));
        announce(folder.path(), &other).await;
        end_former(folder.path()).await.unwrap();
        assert_eq!(other.try_wait().unwrap(), None);
        let mut own = start(folder.path());
        announce(folder.path(), &own).await;
        end_former(folder.path()).await.unwrap();
        assert!(!timeout(END_GRACE, own.wait()).await.unwrap().unwrap().success());
    }
}
