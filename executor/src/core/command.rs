//! The command of one task, run as the command executor of Mesos does it: for a task of a foreign
//! framework that has a command and names no executor.

use std::time::Duration;

use muster_api::{IdStream, Now};
use muster_proto::{CommandInfo, DurationInfo, TaskId, TaskInfo, TaskState};

use super::{
    Effect, Executor, Hosted, Step,
    launch::{Code, Refusal},
    task::Terms,
};

/// From SIGTERM to SIGKILL where neither the kill nor the task says so, as in Mesos.
const KILL_GRACE: Duration = Duration::from_secs(3);

/// What an executor that runs one command knows of it.
#[derive(Debug, Default)]
pub(super) struct CommandOfOne {
    /// The task that was taken in.
    task: Option<TaskId>,
    /// Whether its framework is told that it is being killed.
    pub(super) killing_state: bool,
}

impl CommandOfOne {
    /// Whether this task is the one.
    pub(super) fn check(&self, info: &TaskInfo) -> Result<(Terms, Code), Refusal> {
        if self.task.is_some() {
            // In the words of Mesos, whose frameworks may know them.
            let why = "Attempted to run multiple tasks using a \"command\" executor";
            return Err((TaskState::Failed, why.to_owned()));
        }
        let policy = info.kill_policy.as_ref().and_then(|policy| policy.grace_period);
        let grace = policy.map_or(KILL_GRACE, DurationInfo::duration);
        let terms = Terms { grace, foreign: true, ..Terms::default() };
        Ok((terms, Code::Command(info.command.clone().unwrap_or_default())))
    }
}

impl Executor {
    /// An executor that runs the command of the one task that it is given, and ends once its agent
    /// knows how that ended. When it is told to end its process ends within `shutdown_grace`.
    pub fn of_command(shutdown_grace: Duration, ids: IdStream) -> Self {
        Self::of(Hosted::Command(CommandOfOne::default()), shutdown_grace, ids)
    }

    /// Whether it runs tasks of our jobs, and not a command of somebody else.
    pub fn hosts_jobs(&self) -> bool {
        matches!(self.hosted, Hosted::Jobs { .. })
    }

    /// Takes the task in whose command is to run.
    pub(super) fn take_command(
        &mut self,
        now: Now,
        id: TaskId,
        command: CommandInfo,
        step: &mut Step,
    ) {
        if let Hosted::Command(one) = &mut self.hosted {
            one.task = Some(id.clone());
        }
        self.report(now, &id, TaskState::Starting, None, None);
        step.effects.push(Effect::StartCommand { task: id, command: Box::new(command) });
    }

    /// The terms of a task that is not started: only who is told of it matters.
    pub(super) fn terms_of_refused(&self) -> Terms {
        Terms { foreign: !self.hosts_jobs(), ..Terms::default() }
    }

    /// Tells that a task is asked to end, to a framework that wants to know.
    pub(super) fn tell_killing(&mut self, now: Now, id: &TaskId) {
        if matches!(&self.hosted, Hosted::Command(one) if one.killing_state) {
            self.report(now, id, TaskState::Killing, None, None);
        }
    }

    /// Whether there is nothing more to do here: there was a command, and its end is known.
    pub(super) fn has_served(&self) -> bool {
        let Hosted::Command(one) = &self.hosted else { return false };
        one.task.is_some() && self.tasks.is_empty()
    }
}
