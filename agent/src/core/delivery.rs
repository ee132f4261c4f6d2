//! How tasks are handed to their executors: one by one, or as the group that they were launched as.

use muster_api::Now;
use muster_proto::{
    Reason, TaskGroupInfo, TaskState,
    executor::{Event, EventType, Kill as KillEvent, Launch, LaunchGroup},
};

use super::{
    Agent, Container, Effect, Session, Step, TaskKey,
    executors::Executor,
    launch::event_of,
    origin::Origin,
    statuses::{PendingKill, Verdict},
};

impl Agent {
    /// Hands a task to its executor if that is subscribed; else it waits for the subscription. The
    /// others of its group go with it.
    pub(super) fn deliver(&mut self, key: &TaskKey, step: &mut Step) {
        let Some(session) = self.session_of(key) else { return };
        let mut tasks = Vec::new();
        for member in self.group_of(key) {
            if let Some(task) = self.tasks.get_mut(&member) {
                task.delivered = true;
                tasks.push(task.info.clone());
            }
        }
        let is_group = self.tasks.get(key).is_some_and(|task| task.group.is_some());
        let event = if is_group {
            let task_group = Some(TaskGroupInfo { tasks });
            let launch_group = Some(LaunchGroup { task_group });
            Event { launch_group, ..event_of(EventType::LaunchGroup) }
        } else {
            let launch = Some(Launch { task: tasks.pop() });
            Event { launch, ..event_of(EventType::Launch) }
        };
        self.mark_used(key);
        step.effects.push(Effect::ToExecutor { session, event: Box::new(event) });
    }

    /// A task and those that were launched together with it, in their order.
    fn group_of(&self, key: &TaskKey) -> Vec<TaskKey> {
        let Some(task) = self.tasks.get(key) else { return Vec::new() };
        if task.group.is_none() {
            return vec![key.clone()];
        }
        let is_with_it = |other: &&TaskKey| {
            self.tasks.get(*other).is_some_and(|other| other.group == task.group)
        };
        let executor = task.container.as_ref().and_then(|name| self.executors.get(name));
        let tasks = executor.into_iter().flat_map(|executor| &executor.tasks);
        let mut group: Vec<TaskKey> = tasks.filter(is_with_it).cloned().collect();
        group.sort_by_key(|key| self.tasks.get(key).map_or(0, |task| task.order));
        group
    }

    /// Ends a task that its executor was not given, and with it those of its group.
    pub(super) fn kill_undelivered(&mut self, now: Now, key: &TaskKey, step: &mut Step) {
        let group = self.group_of(key);
        let container = self.tasks.get(key).and_then(|task| task.container.clone());
        let executor = container.as_ref().and_then(|name| self.executors.get(name));
        let is_ours = executor.is_some_and(|executor| executor.origin == Origin::Ours);
        let words = if is_ours {
            "killed before its executor was given it"
        } else {
            "Killed before delivery to the executor"
        };
        for member in group {
            let reason = Reason::TaskKilledDuringLaunch;
            let verdict = Verdict::new(TaskState::Killed, reason, words);
            self.judge(now, &member, verdict, step);
        }
        // Ours is ended by our engine, and by nobody else.
        let is_unused = |executor: &Executor| !executor.is_used && executor.tasks.is_empty();
        if let Some(container) = container.filter(|_| !is_ours)
            && self.executors.get(&container).is_some_and(is_unused)
        {
            self.end_unused(now, &container, step);
        }
    }

    /// Sends what an executor may not have: tasks that it has not reported, then their kills. Only
    /// executors of our own make are sent a task twice, for they know it again.
    pub(super) fn hand_over(&mut self, container: &Container, step: &mut Step) {
        let Some(executor) = self.executors.get(container) else { return };
        let again = executor.origin != Origin::Foreign;
        let order = |key: &TaskKey| self.tasks.get(key).map_or(0, |task| task.order);
        let mut keys: Vec<TaskKey> = executor.tasks.iter().cloned().collect();
        keys.sort_by_key(order);
        for key in &keys {
            let Some(task) = self.tasks.get(key) else { continue };
            let is_due = !task.delivered || (again && task.group.is_none());
            if task.state == TaskState::Staging && is_due {
                self.deliver(key, step);
            }
        }
        for key in &keys {
            self.forward_kill(key, step);
        }
    }

    /// Forwards the kill that a task waits for, if its executor is subscribed.
    pub(super) fn forward_kill(&mut self, key: &TaskKey, step: &mut Step) {
        let Some(session) = self.session_of(key) else { return };
        let kill = self.tasks.get_mut(key).and_then(|task| task.kill.take());
        let Some(PendingKill { policy }) = kill else { return };
        let kill = KillEvent { task_id: Some(key.task.clone()), kill_policy: policy };
        let event = Box::new(Event { kill: Some(kill), ..event_of(EventType::Kill) });
        step.effects.push(Effect::ToExecutor { session, event });
    }

    fn session_of(&self, key: &TaskKey) -> Option<Session> {
        let container = self.tasks.get(key)?.container.as_ref()?;
        self.executors.get(container)?.session
    }

    fn mark_used(&mut self, key: &TaskKey) {
        let container = self.tasks.get(key).and_then(|task| task.container.as_ref());
        if let Some(executor) = container.and_then(|name| self.executors.get_mut(name)) {
            executor.is_used = true;
        }
    }
}
