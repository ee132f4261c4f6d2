//! A whole Muster on this machine: scheduler, agent and executors as processes of their own.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{programs::Programs, rest::Client, rows};

/// How long all of it may take to be there, and to be gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks for `ready.json`.
const LOOK: Duration = Duration::from_millis(10);
/// How much of the log is shown when something fails.
const LOG_LINES: usize = 20;

/// A running `muster dev` or `muster scheduler`.
#[derive(Debug)]
pub(crate) struct Cluster {
    process: Child,
    data: PathBuf,
    log: PathBuf,
}

/// Where it can be reached.
#[derive(Deserialize)]
struct Ready {
    http: SocketAddr,
}

impl Cluster {
    /// Starts `muster dev` with all that it keeps in `folder`.
    pub(crate) fn start(programs: &Programs, folder: &Path) -> anyhow::Result<Self> {
        Self::spawn(programs, folder, "dev", &["--agents", "1", "--resources", &rows::resources()])
    }

    /// Starts `muster scheduler` on the store in `folder`, without agents.
    pub(crate) fn scheduler(
        programs: &Programs,
        folder: &Path,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        Self::spawn(programs, folder, "scheduler", flags)
    }

    fn spawn(
        programs: &Programs,
        folder: &Path,
        what: &str,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        let (data, log) = (folder.join("data"), folder.join("muster.log"));
        let output = File::create(&log).context("cannot make the log of muster")?;
        let mut command = Command::new(programs.muster());
        for (variable, _) in std::env::vars_os() {
            // What the environment says was meant for others.
            if variable.as_encoded_bytes().starts_with(b"MUSTER_") {
                command.env_remove(variable);
            }
        }
        let process = command
            .args([what, "--http", "127.0.0.1:0", "--master-listen", "127.0.0.1:0"])
            .args(flags)
            .arg("--data-dir")
            .arg(&data)
            // The command line would otherwise talk to this one by default.
            .env("XDG_STATE_HOME", folder.join("state"))
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start `muster {what}`"))?;
        Ok(Self { process, data, log })
    }

    /// Waits until it can run tasks, and connects.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<Client> {
        let mut client = self.listening().await?;
        client.await_agent().await?;
        Ok(client)
    }

    /// Waits until it listens, and connects.
    pub(crate) async fn listening(&mut self) -> anyhow::Result<Client> {
        let file = self.data.join("ready.json");
        let ready = async {
            while !file.exists() {
                if let Some(status) = self.process.try_wait()? {
                    bail!("muster has ended: {status}");
                }
                sleep(LOOK).await;
            }
            // It comes by rename, so it is there as a whole or not at all.
            Ok(serde_json::from_slice::<Ready>(&fs::read(&file)?)?)
        };
        let ready = timeout(PATIENCE, ready).await.context("muster does not get ready")??;
        let token = fs::read_to_string(self.data.join("admin.token"))?;
        Client::connect(ready.http, &token).await
    }

    /// Its process, until it has ended.
    pub(crate) fn process(&self) -> Option<u32> {
        self.process.id()
    }

    /// Ends it and all that it started; gives the end of its log.
    pub(crate) async fn end(mut self) -> anyhow::Result<String> {
        self.ask_to_end();
        if timeout(PATIENCE, self.process.wait()).await.is_err() {
            self.process.kill().await.context("cannot kill muster")?;
            bail!("muster had to be killed; its agent and executors, if any, may still run");
        }
        let log = fs::read_to_string(&self.log).context("cannot read the log of muster")?;
        let lines: Vec<_> = log.lines().collect();
        Ok(lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"))
    }

    fn ask_to_end(&self) {
        // There is an id until it was waited for, so it is still its own.
        if let Some(pid) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Cluster {
    /// After a panic nobody waits for its end, but it ends.
    fn drop(&mut self) {
        self.ask_to_end();
    }
}
