//! What lives on an agent: executors that are not known to be dead, and tasks that are not
//! acknowledged to the end.

use std::collections::BTreeMap;

use muster_api::Resources;
use muster_proto::{ContainerStatus, ExecutorId, KillPolicy, TaskId, TaskState, TaskStatus};

use super::role::Role;

/// What of one framework lives on one agent.
#[derive(Debug, Default)]
pub(super) struct Here {
    pub(super) executors: BTreeMap<ExecutorId, Executor>,
    pub(super) tasks: BTreeMap<TaskId, Task>,
}

/// An executor that is not known to be dead.
#[derive(Debug)]
pub(super) struct Executor {
    /// The digest of its description, which later tasks must repeat.
    pub(super) digest: Vec<u8>,
    pub(super) resources: Resources,
    pub(super) role: Role,
    /// Whether the agent has shown that it has it. An executor whose every launch was dropped
    /// never was, and nobody will report its end.
    pub(super) proved: bool,
}

/// A task whose terminal status is not acknowledged.
#[derive(Debug)]
pub(super) struct Task {
    /// Where it runs; none for a command, for which its agent has an executor of its own.
    pub(super) executor: Option<ExecutorId>,
    pub(super) resources: Resources,
    pub(super) role: Role,
    /// The newest state that its agent is known to know.
    pub(super) state: TaskState,
    /// The newest state that its framework was sent.
    pub(super) reported: Option<TaskState>,
    /// The uuid of its terminal status, once that was sent.
    pub(super) last_uuid: Option<Vec<u8>>,
    /// The status that a framework over HTTP has not acknowledged, to be told again when it comes
    /// back.
    pub(super) unacknowledged: Option<Box<TaskStatus>>,
    /// In which container it runs, as its agent said last to a framework over HTTP.
    pub(super) container: Option<Box<ContainerStatus>>,
    /// The kill that was asked for, to be sent again when its agent comes back.
    pub(super) kill: Option<Kill>,
}

/// A kill that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    pub(super) policy: Option<KillPolicy>,
    /// Whether it was because its agent is drained.
    pub(super) drained: bool,
}

impl Here {
    /// How much it is to be told in a hello.
    pub(super) fn count(&self) -> usize {
        self.executors.len() + self.tasks.len()
    }

    /// What its executors and live tasks take, each in its role.
    pub(super) fn held(&self) -> impl Iterator<Item = (&Role, &Resources)> {
        let executors =
            self.executors.values().map(|executor| (&executor.role, &executor.resources));
        let tasks = self.tasks.values();
        executors.chain(tasks.filter_map(|task| Some((&task.role, task.holds()?))))
    }
}

impl Task {
    /// The resources that it holds: none once it is over.
    pub(super) fn holds(&self) -> Option<&Resources> {
        (!self.state.is_terminal()).then_some(&self.resources)
    }
}
