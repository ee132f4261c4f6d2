//! What frameworks of others are promised beside our scheduler.

use std::collections::BTreeSet;

use muster_api::{Amount, Resources};
use muster_proto::{ExecutorId, Reason, TaskId, TaskState, TaskStatus, scheduler::Event};

use super::{Truth, Verdict, broken};
use crate::guest_node::NEEDS;

/// A command that runs.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) host: usize,
    pub(super) executor: ExecutorId,
}

impl Command {
    /// What it needs.
    pub(super) fn resources() -> Resources {
        let needs = NEEDS
            .map(|(name, needs)| (name.to_owned(), Amount::from_thousandths(u64::from(needs))));
        needs.into_iter().collect()
    }
}

impl Truth {
    /// The command of a task begins: it has never run before.
    pub(crate) fn command_begins(
        &mut self,
        host: usize,
        executor: &ExecutorId,
        task: &TaskId,
    ) -> Verdict {
        let command = Command { host, executor: executor.clone() };
        self.commands.insert(task.clone(), command);
        if self.commands_begun.insert(task.clone()) {
            return Ok(());
        }
        broken("a_command_runs_once", format!("the command of {task} begins again"))
    }

    /// The command of a task is over.
    pub(crate) fn command_ends(&mut self, task: &TaskId) {
        self.commands.remove(task);
    }
}

/// A framework is told of its own tasks only.
pub(crate) fn frameworks_hear_only_of_their_own(
    known: &BTreeSet<&TaskId>,
    event: &Event,
) -> Verdict {
    let status = event.update.as_ref().and_then(|update| update.status.as_ref());
    match status.and_then(|status| status.task_id.as_ref()).filter(|id| !known.contains(id)) {
        None => Ok(()),
        Some(id) => {
            let what = format!("the guest is told of {id}, which it never launched");
            broken("frameworks_hear_only_of_their_own", what)
        }
    }
}

/// The states that an agent says of a task come in order, each perhaps more than once; after the last
/// there is none.
pub(crate) fn states_come_in_order(
    task: &TaskId,
    before: Option<TaskState>,
    state: TaskState,
) -> Verdict {
    let Some(before) = before else { return Ok(()) };
    if before == state || (rank(before) < rank(state) && !before.is_terminal()) {
        return Ok(());
    }
    let what = format!("after {before:?} the guest is told {state:?} of {task}");
    broken("states_come_in_order", what)
}

fn rank(state: TaskState) -> u8 {
    match state {
        TaskState::Staging => 0,
        TaskState::Starting => 1,
        TaskState::Running => 2,
        TaskState::Killing => 3,
        _ => 4,
    }
}

/// Of a task that is told to be over nothing runs. A lost one may; so may one that is gone with an
/// agent that was started anew, where its framework `keeps` no checkpoints: its executor is being
/// ended, and its master, as that of Mesos, does not wait for it. If no word of the task had come to
/// the master before, that says that it was dropped.
pub(crate) fn what_is_told_to_be_over_is(
    truth: &Truth,
    task: &TaskId,
    status: &TaskStatus,
    keeps: bool,
) -> Verdict {
    let state = status.state();
    let may_live = match state {
        TaskState::Lost => true,
        TaskState::Gone => !keeps,
        TaskState::Dropped => !keeps && status.reason() == Reason::Reconciliation,
        _ => false,
    };
    let sure = state.is_terminal() && !may_live;
    let command = truth.commands.get(task).filter(|_| sure);
    match command.filter(|it| !truth.is_forgiven(it.host, &it.executor)) {
        None => Ok(()),
        Some(there) => {
            let what =
                format!("the guest is told {state:?} of {task}, and it runs on host{}", there.host);
            broken("what_is_told_to_be_over_is", what)
        }
    }
}
