//! Tasks that arrive: what can be started is, and the others are told why not.

use std::error::Error;

use muster_api::{
    Now,
    task::{TaskPayload, Work},
};
use muster_proto::{TaskId, TaskInfo, TaskState};

use super::{
    Effect, Executor, Mode, Step,
    resident::Resident,
    task::{Signal, Task, Terms},
};

impl Executor {
    /// Takes a task in, or says at once why not. One that is known changes nothing: the agent
    /// sends a launch again when it does not know whether it arrived.
    pub(super) fn launch(&mut self, now: Now, info: TaskInfo, step: &mut Step) {
        let Some(id) = info.task_id.clone() else { return };
        if self.tasks.contains_key(&id) {
            return;
        }
        let checked = self.check(now, &id, &info);
        let terms = checked.as_ref().map(|(payload, _)| terms_of(payload)).unwrap_or_default();
        self.tasks.insert(id.clone(), Task::new(info, terms));
        match checked {
            Ok((_, Some(resident))) => self.settle_in(now, &id, resident, step),
            Ok((payload, None)) => {
                step.effects.push(Effect::Start { task: id, payload: Box::new(payload) });
            }
            Err((state, message)) => {
                self.signal(now, &id, Signal::Ended, None, step);
                self.report(now, &id, state, Some(message), None);
            }
        }
    }

    /// What a task that can be started is, or the state and message of one that cannot.
    fn check(
        &self,
        now: Now,
        id: &TaskId,
        info: &TaskInfo,
    ) -> Result<(TaskPayload, Option<Resident>), (TaskState, String)> {
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
        let payload = TaskPayload::decode(info.data.as_deref().unwrap_or_default())
            .map_err(|error| (TaskState::Error, unreadable(&error)))?;
        // The id in the payload becomes the name of a folder, so it must be the parsed one.
        if payload.context.task.to_string() != id.value {
            let other = payload.context.task;
            return Err((TaskState::Error, format!("the payload is that of task {other}")));
        }
        if let Work::Simple { handler } = &payload.work
            && !self.handlers.contains(handler)
        {
            let known: Vec<_> = self.handlers.iter().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let why = format!("no handler `{handler}` is registered; registered: {known}");
            return Err((TaskState::Failed, why));
        }
        let resident = Resident::of(&payload, now.wall)
            .map_err(|error| (TaskState::Error, unreadable(&error)))?;
        Ok((payload, resident))
    }
}

fn terms_of(payload: &TaskPayload) -> Terms {
    Terms {
        in_process: matches!(payload.work, Work::Simple { .. }),
        resident: payload.resident.is_some(),
        timeout: payload.timeout.duration(),
        grace: payload.kill_grace.duration(),
    }
}

fn unreadable(error: &dyn Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("the payload of the task is not valid: {error}{cause}")
}
