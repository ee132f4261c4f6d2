//! One script task: its command, its environment, its process group.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
};

use muster_api::{
    spec::ScriptSpec,
    task::{ShardContext, TaskReport},
};
use tokio::{sync::watch, task::spawn_blocking};

use crate::{
    core::End,
    environment::TOKEN_VARIABLE,
    exit_words::in_words,
    folder::TaskFolder,
    group::{Group, Mark, Stop},
};

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

/// Runs a script to its end; nothing of its process group is left then. What has left the group is
/// ended when this process ends if that is `supervised`, else with the script. `started` is called
/// when its process has begun.
pub(crate) async fn run(
    folder: TaskFolder,
    spec: ScriptSpec,
    context: ShardContext,
    supervised: bool,
    mut stop: watch::Receiver<Stop>,
    started: impl Future<Output = ()>,
) -> End {
    if *stop.borrow() != Stop::No {
        return failed("ended before it was started".to_owned());
    }
    let prepared = folder.clone();
    let mark = (!supervised).then(|| Mark::of(context.task));
    let spawned = spawn_blocking(move || spawn(&prepared, &spec, &context)).await;
    let watched = spawned
        .map(|child| child.and_then(|child| Group::watch(child, mark).map_err(StartError::Watch)));
    let group = match watched {
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

/// The end of a task of which nothing ran.
pub(crate) fn failed(message: String) -> End {
    End { success: false, message: Some(message), report: TaskReport::default() }
}

fn end(folder: &TaskFolder, status: ExitStatus) -> End {
    let success = status.success();
    let output = if success { None } else { folder.read_tail() };
    let result = folder.read_result();
    let report = TaskReport { exit_code: status.code(), result, output, ..TaskReport::default() };
    End { success, message: (!success).then(|| in_words(status)), report }
}

/// An error and what brought it about, as one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
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
    folder.write_context(&json).map_err(StartError::Folder)?;
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
    let file = folder.write_inline(text).map_err(StartError::Folder)?;
    command.args(words).arg(file).arg(json);
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
        (Mark::VARIABLE, context.task.to_string()),
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
