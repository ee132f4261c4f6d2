//! Tasks that count as lost because the connection of their agent has ended, and that may live all
//! the same: what was known of them, until that agent says what does.

use std::collections::{BTreeMap, btree_map};

use muster_api::AgentId;
use muster_proto::{FrameworkId, TaskId};

use super::here::Task;

/// The tasks of one agent, by framework.
pub(super) type Tasks = BTreeMap<FrameworkId, BTreeMap<TaskId, Task>>;

/// The lost tasks of all agents that have any.
#[derive(Debug, Default)]
pub(super) struct Lost {
    of: BTreeMap<AgentId, Tasks>,
}

impl Lost {
    /// All tasks of a framework on an agent are lost.
    pub(super) fn put(
        &mut self,
        agent: &AgentId,
        framework: FrameworkId,
        tasks: BTreeMap<TaskId, Task>,
    ) {
        if !tasks.is_empty() {
            self.of.entry(agent.clone()).or_default().insert(framework, tasks);
        }
    }

    /// The agent says what lives there, or is gone: what was lost on it.
    pub(super) fn take(&mut self, agent: &AgentId) -> Tasks {
        self.of.remove(agent).unwrap_or_default()
    }

    /// A framework is removed.
    pub(super) fn forget(&mut self, framework: &FrameworkId) {
        self.of.retain(|_, tasks| {
            tasks.remove(framework);
            !tasks.is_empty()
        });
    }

    /// The agents that have lost tasks.
    pub(super) fn agents(&self) -> btree_map::Keys<'_, AgentId, Tasks> {
        self.of.keys()
    }

    /// The agent on which a task was lost; the first, if its id was used again and lost again.
    pub(super) fn agent_of(&self, framework: &FrameworkId, task: &TaskId) -> Option<&AgentId> {
        let on = |tasks: &Tasks| tasks.get(framework).is_some_and(|of| of.contains_key(task));
        self.of.iter().find(|(_, tasks)| on(tasks)).map(|(agent, _)| agent)
    }

    /// What was lost under an id.
    pub(super) fn tasks_mut(
        &mut self,
        framework: &FrameworkId,
        task: &TaskId,
    ) -> impl Iterator<Item = &mut Task> {
        self.of.values_mut().filter_map(|tasks| tasks.get_mut(framework)?.get_mut(task))
    }
}
