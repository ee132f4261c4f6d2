//! The command of one task: its process, and all that descends from it.
//!
//! This process runs nothing else and is a child subreaper: whatever the command starts stays below
//! this process until it is reaped here, also what leaves the group and the session of the command. So
//! when this process has no child, nothing of the command is left.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
};

use muster_api::task::TaskReport;
use muster_process::{end_descendants, signal_descendants};
use muster_proto::CommandInfo;
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, getpid, kill_process_group, set_child_subreaper, wait},
};
use tokio::{
    signal::unix::{self, SignalKind},
    sync::watch,
    task::spawn_blocking,
};

use crate::{
    core::End,
    environment::TOKEN_VARIABLE,
    exit_words::in_mesos_words,
    group::{Stop, next},
    script::{failed, with_causes},
};

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("the command is empty")]
    Empty,
    #[error("failed to open `{file}` in the sandbox")]
    Output { file: &'static str, source: io::Error },
    #[error("failed to watch the processes of the command")]
    Watch(#[source] io::Error),
    #[error("failed to start `{program}`")]
    Spawn { program: String, source: io::Error },
}

/// Makes this process one that can run a command: all that is started below it stays below it.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Runs a command to its end; nothing that it has started is left then. `started` is called when its
/// process has begun.
pub(crate) async fn run(
    sandbox: Arc<Path>,
    info: CommandInfo,
    mut stop: watch::Receiver<Stop>,
    started: impl Future<Output = ()>,
) -> End {
    if *stop.borrow() != Stop::No {
        return failed("Command was killed before it was started".to_owned());
    }
    let mut processes = match Processes::start(&sandbox, &info) {
        Ok(processes) => processes,
        Err(error) => return failed(with_causes(&error)),
    };
    started.await;
    match processes.run_to_end(&mut stop).await {
        Ok(Some(status)) => End {
            success: status.success(),
            message: Some(format!("Command {}", in_mesos_words(status))),
            report: TaskReport::default(),
        },
        Ok(None) => failed("Failed to get exit status for Command".to_owned()),
        Err(error) => failed(format!("failed to wait for the command: {error}")),
    }
}

/// The process of the command and all below it.
struct Processes {
    leader: Pid,
    /// How the leader ended, once it has.
    status: Option<ExitStatus>,
    /// Says that a child may be dead.
    deaths: unix::Signal,
}

impl Processes {
    fn start(sandbox: &Path, info: &CommandInfo) -> Result<Self, StartError> {
        // Watched from before the first death.
        let deaths = unix::signal(SignalKind::child()).map_err(StartError::Watch)?;
        let mut command = command(info)?;
        command
            .current_dir(sandbox)
            .stdin(Stdio::null())
            .stdout(open_output(sandbox, "stdout")?)
            .stderr(open_output(sandbox, "stderr")?)
            .process_group(0)
            .env_remove(TOKEN_VARIABLE);
        for variable in info.environment.iter().flat_map(|environment| &environment.variables) {
            command.env(&variable.name, variable.value());
        }
        let child = command.spawn().map_err(|source| {
            let program = command.get_program().to_string_lossy().into_owned();
            StartError::Spawn { program, source }
        })?;
        Ok(Self { leader: Pid::from_child(&child), status: None, deaths })
    }

    /// Waits for the end of the command, passing on what is wanted meanwhile; then ends what it left
    /// behind. Whoever was asked to end has its grace, also when the command itself ends at once.
    async fn run_to_end(
        &mut self,
        stop: &mut watch::Receiver<Stop>,
    ) -> io::Result<Option<ExitStatus>> {
        let mut wanted = Stop::No;
        loop {
            let none_left = self.reap()?;
            if none_left || (self.status.is_some() && wanted != Stop::Ask) {
                break;
            }
            tokio::select! {
                _ = self.deaths.recv() => {}
                now_wanted = next(stop) => {
                    wanted = now_wanted;
                    match wanted {
                        Stop::No => {}
                        Stop::Ask => {
                            if let Err(error) = self.signal(Signal::TERM) {
                                // Who is not asked is ended at the end of the grace.
                                tracing::warn!(%error, "cannot look for the processes to ask");
                            }
                        }
                        Stop::Force => self.signal(Signal::KILL)?,
                    }
                }
            }
        }
        // It is not waited for when the executor shuts down.
        let _ = spawn_blocking(|| end_descendants(|_, _| {})).await;
        Ok(self.status)
    }

    /// Takes note of the children that are dead; says whether there are none left at all.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.leader => {
                    self.status = Some(ExitStatus::from_raw(status.as_raw()));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Ok(false),
                Err(Errno::CHILD) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Signals each process once: the group of the command in one go, so that none that is just being
    /// started is missed, and the others one by one.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.status.is_some() {
            // Its id may be that of another group by now.
            return signal_descendants(signal, |_| true);
        }
        // It fails when the whole group is dead, and then nothing is to be done.
        let _ = kill_process_group(self.leader, signal);
        let group = self.leader.as_raw_nonzero().get();
        signal_descendants(signal, |process| process.group != group)
    }
}

impl Drop for Processes {
    /// An executor that ends leaves nothing of its command behind.
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = end_descendants(|_, _| {});
    }
}

fn command(info: &CommandInfo) -> Result<Command, StartError> {
    let value = info.value();
    if value.is_empty() {
        return Err(StartError::Empty);
    }
    if info.shell.unwrap_or(true) {
        let mut command = Command::new("/bin/sh");
        command.arg0("sh").arg("-c").arg(value);
        return Ok(command);
    }
    let mut command = Command::new(value);
    if let Some((name, rest)) = info.arguments.split_first() {
        command.arg0(name).args(rest);
    }
    Ok(command)
}

fn open_output(sandbox: &Path, file: &'static str) -> Result<File, StartError> {
    let opened = OpenOptions::new().create(true).append(true).open(sandbox.join(file));
    opened.map_err(|source| StartError::Output { file, source })
}
