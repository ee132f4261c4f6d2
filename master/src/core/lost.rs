//! Tasks that count as lost because the connection of their agent has ended, and that may live all
//! the same: what was known of them, until that agent says what does.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use muster_api::AgentId;
use muster_proto::{FrameworkId, TaskId};

use super::here::Task;

/// The tasks of one agent, by framework.
pub(super) type Tasks = BTreeMap<FrameworkId, BTreeMap<TaskId, Task>>;

/// The lost tasks of all agents that have any.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// By their ids, for each task that is launched is looked up here. An id that was used again and
    /// lost again is here with each of its agents.
    of: BTreeMap<FrameworkId, BTreeMap<TaskId, BTreeMap<AgentId, Task>>>,
    /// The same by agent.
    on: BTreeMap<AgentId, BTreeMap<FrameworkId, BTreeSet<TaskId>>>,
}

impl Lost {
    /// All tasks of a framework on an agent are lost.
    pub(super) fn put(
        &mut self,
        agent: &AgentId,
        framework: FrameworkId,
        tasks: BTreeMap<TaskId, Task>,
    ) {
        if tasks.is_empty() {
            return;
        }
        let ids = tasks.keys().cloned();
        let on = self.on.entry(agent.clone()).or_default();
        on.entry(framework.clone()).or_default().extend(ids);
        let of = self.of.entry(framework).or_default();
        for (id, task) in tasks {
            of.entry(id).or_default().insert(agent.clone(), task);
        }
    }

    /// The agent says what lives there, or is gone: what was lost on it.
    pub(super) fn take(&mut self, agent: &AgentId) -> Tasks {
        let on = self.on.remove(agent).unwrap_or_default();
        on.into_iter().map(|(framework, ids)| self.take_of(agent, framework, ids)).collect()
    }

    fn take_of(
        &mut self,
        agent: &AgentId,
        framework: FrameworkId,
        ids: BTreeSet<TaskId>,
    ) -> (FrameworkId, BTreeMap<TaskId, Task>) {
        let btree_map::Entry::Occupied(mut of) = self.of.entry(framework.clone()) else {
            return (framework, BTreeMap::new());
        };
        let mut tasks = BTreeMap::new();
        for id in ids {
            let Some(agents) = of.get_mut().get_mut(&id) else { continue };
            let task = agents.remove(agent);
            if agents.is_empty() {
                of.get_mut().remove(&id);
            }
            tasks.extend(task.map(|task| (id, task)));
        }
        if of.get().is_empty() {
            of.remove();
        }
        (framework, tasks)
    }

    /// A framework is removed.
    pub(super) fn forget(&mut self, framework: &FrameworkId) {
        self.of.remove(framework);
        self.on.retain(|_, of| {
            of.remove(framework);
            !of.is_empty()
        });
    }

    /// The agents that have lost tasks.
    pub(super) fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.on.keys()
    }

    /// The agent on which a task was lost; the first, if its id was used again and lost again.
    pub(super) fn agent_of(&self, framework: &FrameworkId, task: &TaskId) -> Option<&AgentId> {
        Some(self.of.get(framework)?.get(task)?.first_key_value()?.0)
    }

    /// What was lost under an id.
    pub(super) fn tasks_mut(
        &mut self,
        framework: &FrameworkId,
        task: &TaskId,
    ) -> impl Iterator<Item = &mut Task> {
        let agents = self.of.get_mut(framework).and_then(|of| of.get_mut(task));
        agents.into_iter().flat_map(BTreeMap::values_mut)
    }
}

#[cfg(test)]
mod tests {
    use muster_api::Resources;
    use muster_proto::TaskState;

    use super::*;
    use crate::core::role::Role;

    fn tasks(ids: &[&str]) -> BTreeMap<TaskId, Task> {
        let task = || Task::new(None, Resources::none(), Role::any(), TaskState::Running);
        ids.iter().map(|id| (TaskId::new(*id), task())).collect()
    }

    fn ids(of: &Tasks) -> Vec<(&str, Vec<&str>)> {
        let of = of.iter();
        of.map(|(fw, tasks)| {
            (fw.value.as_str(), tasks.keys().map(|id| id.value.as_str()).collect())
        })
        .collect()
    }

    #[test]
    fn an_id_that_is_lost_twice_is_found_as_long_as_one_is() {
        let [a1, a2] = ["a1", "a2"].map(|id| id.parse::<AgentId>().unwrap());
        let [f, g] = ["f", "g"].map(FrameworkId::new);
        let t = TaskId::new("t");
        let mut lost = Lost::default();
        lost.put(&a2, f.clone(), tasks(&["t"]));
        lost.put(&a1, f.clone(), tasks(&["t", "u"]));
        lost.put(&a1, g.clone(), tasks(&["t"]));
        lost.put(&a1, g.clone(), tasks(&[]));
        assert_eq!(lost.agent_of(&f, &t), Some(&a1));
        assert_eq!(lost.tasks_mut(&f, &t).count(), 2);

        assert_eq!(ids(&lost.take(&a1)), [("f", vec!["t", "u"]), ("g", vec!["t"])]);
        assert_eq!(lost.agent_of(&f, &t), Some(&a2));
        assert_eq!((lost.agent_of(&f, &TaskId::new("u")), lost.agent_of(&g, &t)), (None, None));
        assert_eq!(lost.agents().collect::<Vec<_>>(), [&a2]);

        lost.forget(&f);
        assert_eq!(lost.agents().next(), None);
        assert_eq!(lost.agent_of(&f, &t), None);
        assert!(lost.take(&a2).is_empty());
    }
}
