//! One script task: its command, its environment, its process group.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use muster_api::{
    spec::ScriptSpec,
    task::{ShardContext, TaskReport},
};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group,
};
use tokio::{io::unix::AsyncFd, sync::watch, task::spawn_blocking, time::sleep};

use crate::{
    core::End, environment::TOKEN_VARIABLE, exit_words::in_words, folder::TaskFolder, process_table,
};

/// How far the end of a script is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Not at all.
    No,
    /// It is asked to end.
    Ask,
    /// It is ended.
    Force,
}

/// Between two looks at what is left of a process group, at first ...
const LOOK_FIRST: Duration = Duration::from_millis(2);
/// ... and at last.
const LOOK_LAST: Duration = Duration::from_millis(100);

/// Why a script was not started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("failed to prepare the folder of the task")]
    Folder(#[source] io::Error),
    #[error("failed to start `{program}`")]
    Spawn { program: String, source: io::Error },
    #[error("the script has neither a command nor an interpreter with a text")]
    NoCommand,
    #[error("failed to watch the process of the script")]
    Watch(#[source] io::Error),
}

/// Runs a script to its end; nothing of its process group is left then. `started` is called when
/// its process has begun.
pub(crate) async fn run(
    folder: TaskFolder,
    spec: ScriptSpec,
    context: ShardContext,
    mut stop: watch::Receiver<Stop>,
    started: impl Future<Output = ()>,
) -> End {
    if *stop.borrow() != Stop::No {
        return failed("ended before it was started".to_owned());
    }
    let prepared = folder.clone();
    let spawned = spawn_blocking(move || spawn(&prepared, &spec, &context)).await;
    let group = match spawned.map(|spawned| spawned.and_then(Group::watch)) {
        Ok(Ok(group)) => group,
        Ok(Err(error)) => return failed(with_causes(&error)),
        Err(_) => return failed("the executor is shutting down".to_owned()),
    };
    started.await;
    match group.run_to_end(&mut stop).await {
        Ok(status) => end(&folder, status),
        Err(error) => failed(format!("failed to wait for the script: {error}")),
    }
}

fn failed(message: String) -> End {
    End { success: false, message: Some(message), report: TaskReport::default() }
}

fn end(folder: &TaskFolder, status: ExitStatus) -> End {
    let success = status.success();
    let output = if success { None } else { folder.read_tail() };
    let result = folder.read_result();
    let report = TaskReport { exit_code: status.code(), result, output, ..TaskReport::default() };
    End { success, message: (!success).then(|| in_words(status)), report }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Prepares the folder of a task and starts its process, as the leader of a group of its own.
fn spawn(
    folder: &TaskFolder,
    spec: &ScriptSpec,
    context: &ShardContext,
) -> Result<Child, StartError> {
    let json = serde_json::to_string(context).expect("a context always becomes JSON");
    folder.create().map_err(StartError::Folder)?;
    fs::write(folder.context(), &json).map_err(StartError::Folder)?;
    let mut command = command(folder, spec, context, &json)?;
    command
        .current_dir(folder.work())
        .stdin(Stdio::null())
        .stdout(folder.open_stdout().map_err(StartError::Folder)?)
        .stderr(folder.open_stderr().map_err(StartError::Folder)?)
        .process_group(0)
        .env_remove(TOKEN_VARIABLE)
        .env("MUSTER_RESULT", folder.result());
    for (name, value) in variables(context) {
        command.env(name, value);
    }
    command.env("MUSTER_CONTEXT", json);
    command.spawn().map_err(|source| {
        let program = command.get_program().to_string_lossy().into_owned();
        StartError::Spawn { program, source }
    })
}

/// The command of a script: `/bin/sh -c LINE TASK CONTEXT`, or `INTERPRETER FILE CONTEXT`.
fn command(
    folder: &TaskFolder,
    spec: &ScriptSpec,
    context: &ShardContext,
    json: &str,
) -> Result<Command, StartError> {
    if let Some(line) = &spec.command {
        let mut command = Command::new("/bin/sh");
        command.arg("-c");
        if spec.append_context {
            command.arg(format!("{line} {}", shell_quoted(json)));
        } else {
            command.arg(line);
        }
        command.arg(context.task.to_string()).arg(json);
        return Ok(command);
    }
    let (Some(interpreter), Some(text)) = (&spec.interpreter, &spec.inline) else {
        return Err(StartError::NoCommand);
    };
    // An interpreter may have options, as in `python3 -u`.
    let mut words = interpreter.split_whitespace();
    let mut command = Command::new(words.next().ok_or(StartError::NoCommand)?);
    fs::write(folder.inline(), text).map_err(StartError::Folder)?;
    command.args(words).arg(folder.inline()).arg(json);
    Ok(command)
}

/// A text as one word of a shell command.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What user code finds in its environment, beside the whole context and the file for its result.
fn variables(context: &ShardContext) -> [(&'static str, String); 11] {
    [
        ("MUSTER_JOB", context.job.to_string()),
        ("MUSTER_RUN", context.run.to_string()),
        ("MUSTER_TASK", context.task.to_string()),
        ("MUSTER_ATTEMPT", context.attempt.to_string()),
        ("MUSTER_EPOCH", context.epoch.to_string()),
        ("MUSTER_SHARD_COUNT", context.shard_count.to_string()),
        ("MUSTER_SHARD_ITEM", context.shard_item.to_string()),
        ("MUSTER_SHARD_PARAMETER", context.shard_parameter.clone()),
        ("MUSTER_JOB_PARAMETER", context.job_parameter.clone()),
        ("MUSTER_PLANNED_TIME", context.planned_time.to_string()),
        ("MUSTER_FIRE_TIME", context.fire_time.to_string()),
    ]
}

/// The process group of a script. Its leader is not reaped before the group is killed, so that
/// its id cannot have become that of somebody else.
#[derive(Debug)]
struct Group {
    leader: Child,
    id: Pid,
    ended: AsyncFd<OwnedFd>,
    reaped: bool,
}

impl Group {
    fn watch(mut leader: Child) -> Result<Self, StartError> {
        let id = Pid::from_child(&leader);
        let watched = pidfd_open(id, PidfdFlags::NONBLOCK)
            .map_err(io::Error::from)
            .and_then(register)
            .map_err(StartError::Watch);
        match watched {
            Ok(ended) => Ok(Self { leader, id, ended, reaped: false }),
            Err(error) => {
                // The group is not known to be gone when this fails, but then it never existed.
                let _ = kill_process_group(id, Signal::KILL);
                let _ = leader.wait();
                Err(error)
            }
        }
    }

    /// Waits for the leader, passing on what is wanted meanwhile; then ends what it left behind.
    async fn run_to_end(mut self, stop: &mut watch::Receiver<Stop>) -> io::Result<ExitStatus> {
        if self.leader_ends(stop).await? == Stop::Ask {
            self.others_end(stop).await;
        }
        self.signal(Signal::KILL);
        let status = self.leader.wait()?;
        self.reaped = true;
        self.is_gone().await;
        Ok(status)
    }

    /// Gives how far the group was made to end before its leader did.
    async fn leader_ends(&self, stop: &mut watch::Receiver<Stop>) -> io::Result<Stop> {
        let mut wanted = Stop::No;
        loop {
            wanted = tokio::select! {
                ended = self.ended.readable() => return ended.map(|_| wanted),
                wanted = next(stop) => wanted,
            };
            match wanted {
                Stop::No => {}
                Stop::Ask => self.signal(Signal::TERM),
                Stop::Force => self.signal(Signal::KILL),
            }
        }
    }

    /// Gives the others of the group their grace too: a shell ends at once when asked, and what
    /// it runs may need its time.
    async fn others_end(&self, stop: &mut watch::Receiver<Stop>) {
        let mut pause = LOOK_FIRST;
        while process_table::has_living(self.id).await {
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(LOOK_LAST),
                wanted = next(stop) => if wanted == Stop::Force { return },
            }
        }
    }

    /// Waits until no process of the killed group is left. One that hangs in the kernel is still
    /// running, and must not be reported as over.
    async fn is_gone(&self) {
        let mut pause = LOOK_FIRST;
        while test_kill_process_group(self.id).is_ok() && process_table::has_living(self.id).await {
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_LAST);
        }
    }

    fn signal(&self, signal: Signal) {
        // It fails when the whole group has ended, and then nothing is to be done.
        let _ = kill_process_group(self.id, signal);
    }
}

impl Drop for Group {
    /// An executor that ends leaves no script behind.
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
        }
    }
}

#[allow(deprecated, reason = "an `OwnedFd` is all that the unsafe constructor asks the caller for")]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

/// What is wanted next.
async fn next(stop: &mut watch::Receiver<Stop>) -> Stop {
    match stop.changed().await {
        Ok(()) => *stop.borrow_and_update(),
        // Nobody is left who could want anything.
        Err(_) => std::future::pending().await,
    }
}
