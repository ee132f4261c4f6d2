//! Tasks that nobody has launched here, and of which executors report all the same.

use muster_api::{Now, limits};
use muster_proto::{TaskInfo, TaskStatus};

use super::{Agent, Container, Kind, Note, Step, TaskKey, Write, statuses::Task};

impl Agent {
    /// Takes custody of what a foreign executor says of a task that nobody has launched here: that is
    /// for its framework to judge. As with Mesos, the executor is not told so.
    pub(super) fn report_stray(
        &mut self,
        now: Now,
        container: &Container,
        key: &TaskKey,
        status: TaskStatus,
        step: &mut Step,
    ) {
        if !self.tasks.contains_key(key) && !self.add_stray(container, key, step) {
            return;
        }
        let uuid = status.uuid.clone().unwrap_or_default();
        let news = self.tasks.get_mut(key).filter(|task| !task.has_seen(&uuid));
        if let Some(task) = news {
            task.remember(uuid);
            self.enqueue(now, key, status, step);
        }
    }

    /// Says whether there is room for another such task, and takes it in.
    fn add_stray(&mut self, container: &Container, key: &TaskKey, step: &mut Step) -> bool {
        let Some(executor) = self.executors.get(container) else { return false };
        let by = executor.key();
        if self.tasks.values().filter(|task| task.is_stray).count() >= limits::STRAY_TASKS {
            step.notes.push(Note::TooManyStrays { executor: by });
            return false;
        }
        let is_volatile = !executor.origin.outlives_the_agent(&executor.framework);
        let info = TaskInfo { task_id: Some(key.task.clone()), ..TaskInfo::default() };
        self.launches += 1;
        let mut task = Task::new(info, by.executor, self.launches);
        task.container = Some(container.clone());
        task.is_stray = true;
        task.is_volatile = is_volatile;
        if !is_volatile {
            step.writes.push(Write::Entry(Kind::Task(task.to_known(key)).into()));
        }
        self.tasks.insert(key.clone(), task);
        true
    }

    /// A task of that id is launched: what waits of a stray one is about something else.
    pub(super) fn forget_stray(&mut self, key: &TaskKey) {
        if self.tasks.get(key).is_some_and(|task| task.is_stray) {
            self.tasks.remove(key);
            self.retries.retain(|(_, retried)| retried != key);
        }
    }
}
