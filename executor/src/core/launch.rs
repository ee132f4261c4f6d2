//! Tasks that arrive: what can be started is, and the others are told why not.

use std::{collections::BTreeSet, error::Error};

use muster_api::{
    Now,
    task::{TaskPayload, Work},
};
use muster_proto::{CommandInfo, TaskId, TaskInfo, TaskState};

use super::{
    Effect, Executor, Hosted, Mode, Step,
    resident::Resident,
    task::{Signal, Task, Terms},
};

/// What a task that can be started runs.
pub(super) enum Code {
    /// The code of a shard, once.
    Once(TaskPayload),
    /// That of a resident task, again and again.
    Stays(Resident),
    /// A command.
    Command(CommandInfo),
}

/// The state and message of a task that cannot be started.
pub(super) type Refusal = (TaskState, String);

impl Executor {
    /// Takes a task in, or says at once why not. One that is known changes nothing: the agent
    /// sends a launch again when it does not know whether it arrived.
    pub(super) fn launch(&mut self, now: Now, info: TaskInfo, step: &mut Step) {
        let Some(id) = info.task_id.clone() else { return };
        if self.tasks.contains_key(&id) {
            return;
        }
        let (terms, code) = match self.check(now, &id, &info) {
            Ok((terms, code)) => (terms, Ok(code)),
            Err(refusal) => (self.terms_of_refused(), Err(refusal)),
        };
        self.tasks.insert(id.clone(), Task::new(info, terms));
        match code {
            Ok(Code::Stays(resident)) => self.settle_in(now, &id, resident, step),
            Ok(Code::Once(payload)) => {
                step.effects.push(Effect::Start { task: id, payload: Box::new(payload) });
            }
            Ok(Code::Command(command)) => self.take_command(now, id, command, step),
            Err((state, message)) => {
                self.signal(now, &id, Signal::Ended, None, step);
                self.report(now, &id, state, Some(message), None);
            }
        }
    }

    /// What a task that can be started runs, and how long.
    fn check(&self, now: Now, id: &TaskId, info: &TaskInfo) -> Result<(Terms, Code), Refusal> {
        match self.mode {
            Mode::Serving => {}
            Mode::Stuck { .. } => {
                let why = "the executor is giving itself up: a handler did not end when it had to";
                return Err((TaskState::Dropped, why.to_owned()));
            }
            Mode::ShuttingDown { .. } | Mode::Exited => {
                return Err((TaskState::Dropped, "the executor is shutting down".to_owned()));
            }
        }
        match &self.hosted {
            Hosted::Jobs { handlers } => check_payload(handlers, now, id, info),
            Hosted::Command(one) => one.check(info),
        }
    }
}

fn check_payload(
    handlers: &BTreeSet<String>,
    now: Now,
    id: &TaskId,
    info: &TaskInfo,
) -> Result<(Terms, Code), Refusal> {
    let payload = TaskPayload::decode(info.data.as_deref().unwrap_or_default())
        .map_err(|error| (TaskState::Error, unreadable(&error)))?;
    // The id in the payload becomes the name of a folder, so it must be the parsed one.
    if payload.context.task.to_string() != id.value {
        let other = payload.context.task;
        return Err((TaskState::Error, format!("the payload is that of task {other}")));
    }
    if let Work::Simple { handler } = &payload.work
        && !handlers.contains(handler)
    {
        let known: Vec<_> = handlers.iter().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let why = format!("no handler `{handler}` is registered; registered: {known}");
        return Err((TaskState::Failed, why));
    }
    let terms = Terms {
        in_process: matches!(payload.work, Work::Simple { .. }),
        resident: payload.resident.is_some(),
        timeout: payload.timeout.duration(),
        grace: payload.kill_grace.duration(),
        foreign: false,
    };
    let resident =
        Resident::of(&payload, now.wall).map_err(|error| (TaskState::Error, unreadable(&error)))?;
    Ok((terms, resident.map_or(Code::Once(payload), Code::Stays)))
}

fn unreadable(error: &dyn Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("the payload of the task is not valid: {error}{cause}")
}
