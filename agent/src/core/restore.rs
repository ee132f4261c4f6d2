//! From the journal to an agent, and back.

use muster_api::{Now, Resources, Timestamp};
use muster_proto::{FrameworkId, Reason, TaskId, TaskState};

use super::{
    Agent, Container, Effect, Entry, Exited, Kind, Known, KnownExecutor, KnownTask, RestoreError,
    Step, TaskKey,
    agent::ENDED_MAX,
    executors::{Cause, Executor},
    origin::Origin,
    statuses::{Task, Verdict},
};
use crate::wire;

impl Agent {
    /// The shortest journal that describes this agent.
    pub fn snapshot(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let newest = self.ended.len().saturating_sub(ENDED_MAX);
        let mut ended: Vec<_> = self.ended.iter().collect();
        ended.sort_by_key(|(_, at)| **at);
        for (container, at) in ended.into_iter().skip(newest) {
            entries.push(Kind::Exited(Exited::of(container, *at)).into());
        }
        for (container, executor) in &self.executors {
            entries.push(Kind::Executor(executor.to_known(container)).into());
        }
        let lasting = self.tasks.iter().filter(|(_, task)| !task.is_volatile);
        let mut tasks: Vec<_> = lasting.collect();
        tasks.sort_by_key(|(_, task)| task.order);
        for (key, task) in tasks {
            entries.push(Kind::Task(task.to_known(key)).into());
            for status in task.queue() {
                let known = Known {
                    framework_id: Some(key.framework.clone()),
                    task_id: Some(key.task.clone()),
                    status: Some(status.clone()),
                };
                entries.push(Kind::Status(known).into());
            }
        }
        // These name tasks, which must be known by then.
        for (container, _) in self.executors.iter().filter(|(_, executor)| executor.is_ending()) {
            entries.push(Kind::Ending(self.ending(container)).into());
        }
        entries
    }

    /// Takes one entry of the journal. What lacks an id cannot have been written by an agent.
    pub(super) fn replay(&mut self, kind: Kind) {
        match kind {
            Kind::Executor(known) => {
                let container = known.container();
                self.ended.remove(&container);
                let executor = Executor::known(known);
                if executor.origin != Origin::Command {
                    self.lives.insert(executor.key(), container.clone());
                }
                self.executors.insert(container, executor);
            }
            Kind::Task(known) => self.replay_task(known),
            Kind::Status(known) => self.replay_status(known),
            Kind::Acknowledged(known) => {
                let key = key_of(known.framework_id, known.task_id);
                let Some(task) = self.tasks.get_mut(&key) else { return };
                let uuid = task.queue().next().and_then(|head| head.uuid.clone());
                let head = task.pop(&uuid.unwrap_or_default());
                if head.is_some_and(|head| task.is_done_with(&head)) {
                    self.tasks.remove(&key);
                }
            }
            Kind::Ending(ending) => self.replay_ending(ending),
            Kind::Disowned(_) => self.end_life(),
            Kind::Exited(Exited { container, at }) => {
                let container = Container::new(container.unwrap_or_default().name);
                let executor = self.executors.remove(&container);
                if let Some(key) = executor.as_ref().map(Executor::key)
                    && self.lives.get(&key) == Some(&container)
                {
                    self.lives.remove(&key);
                }
                // Of what was forgotten before this journal was written anew, only ours is in it.
                if executor.is_none_or(|executor| executor.origin == Origin::Ours) {
                    self.ended.insert(container, Timestamp::from_millis(at));
                }
            }
        }
    }

    fn replay_task(&mut self, known: KnownTask) {
        let info = known.info.unwrap_or_default();
        let key = key_of(known.framework_id, info.task_id.clone());
        let executor = info.executor.as_ref().and_then(|executor| executor.executor_id.clone());
        let executor = executor.unwrap_or_else(|| super::command_task::executor_id(&key.task));
        self.launches += 1;
        let mut task = Task::new(info, executor, self.launches);
        task.container = if known.container.is_empty() {
            let executor = Container::from(&task.executor);
            Some(executor).filter(|container| self.executors.contains_key(container))
        } else {
            Some(Container::new(known.container))
        };
        task.state = TaskState::try_from(known.state).unwrap_or(TaskState::Staging);
        task.delivered = true;
        task.stuck = known.stuck;
        task.is_stray = known.is_stray;
        for uuid in known.seen {
            task.remember(uuid);
        }
        self.tasks.insert(key, task);
    }

    fn replay_status(&mut self, known: Known) {
        let key = key_of(known.framework_id, known.task_id);
        let (Some(task), Some(status)) = (self.tasks.get_mut(&key), known.status) else { return };
        // A rewritten journal may say once more what was decided just before.
        if task.queue().any(|queued| queued.uuid == status.uuid) {
            return;
        }
        if let Some(uuid) = status.uuid.clone()
            && !task.has_seen(&uuid)
        {
            task.remember(uuid);
        }
        task.push(status);
        let container = task.container.as_ref();
        if let Some(executor) = container.and_then(|name| self.executors.get_mut(name)) {
            executor.stuck |= task.stuck.is_some();
        }
    }

    pub(super) fn check_resources(&self) -> Result<(), RestoreError> {
        let mut used = Resources::none();
        let executors = self.executors.values().map(|executor| &executor.info.resources);
        let live = self.tasks.values().filter(|task| !task.state.is_terminal());
        for resources in executors.chain(live.map(|task| &task.info.resources)) {
            used = used.checked_add(&wire::resources(resources)).ok_or(RestoreError::Overflow)?;
        }
        if self.config.resources.covers(&used) {
            return Ok(());
        }
        let given = self.config.resources.to_string();
        Err(RestoreError::Undercut { given, used: used.to_string() })
    }

    /// What follows a replay: supervisors are looked for, and executors must come back.
    pub(super) fn resume(&mut self, now: Now) -> Step {
        let mut step = Step::default();
        let live = self.tasks.iter();
        let live = live.filter(|(_, task)| !task.state.is_terminal() && !task.is_stray);
        let live: Vec<_> = live.map(|(key, task)| (key.clone(), task.container.clone())).collect();
        for (key, container) in live {
            let executor = container.and_then(|container| self.executors.get_mut(&container));
            if let Some(executor) = executor {
                step.effects.push(Effect::TaskBegan { task: key.clone() });
                executor.tasks.insert(key);
            } else {
                // The agent died while it wrote down that this was not to be started.
                let words = "the agent was restarted before it could answer the launch";
                let verdict = Verdict::new(TaskState::Dropped, Reason::AgentRestarted, words);
                self.judge(now, &key, verdict, &mut step);
            }
        }
        for (container, executor) in &mut self.executors {
            if !executor.origin.outlives_the_agent(&executor.framework) {
                executor.cause = Some(Cause::NotRecovered);
            } else if executor.cause.is_none() {
                let patience = executor.origin.patience_after_restart(&self.config);
                executor.await_another_subscription(now, patience);
            }
            step.effects.push(Effect::Attach { container: container.clone() });
        }
        step
    }
}

impl Executor {
    /// What the journal is to know of it.
    pub(super) fn to_known(&self, container: &Container) -> KnownExecutor {
        let is_the_id = self.origin == Origin::Ours;
        KnownExecutor {
            framework: Some(self.framework.clone()),
            info: Some(self.info.clone()),
            stuck: self.stuck,
            container: if is_the_id { String::new() } else { container.as_str().to_owned() },
            is_made_here: self.origin == Origin::Command,
            launcher: self.origin.launcher() as i32,
        }
    }
}

impl Task {
    /// What the journal is to know of it.
    pub(super) fn to_known(&self, key: &TaskKey) -> KnownTask {
        let container = self.container.as_ref().map(Container::as_str);
        let is_the_id = container == Some(self.executor.value.as_str());
        KnownTask {
            framework_id: Some(key.framework.clone()),
            info: Some(self.info.clone()),
            state: self.state as i32,
            seen: self.seen().cloned().collect(),
            stuck: self.stuck.clone(),
            is_stray: self.is_stray,
            container: container.filter(|_| !is_the_id).unwrap_or_default().to_owned(),
        }
    }
}

fn key_of(framework: Option<FrameworkId>, task: Option<TaskId>) -> TaskKey {
    TaskKey { framework: framework.unwrap_or_default(), task: task.unwrap_or_default() }
}
