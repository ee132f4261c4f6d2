//! Executors that subscribe, report and leave.

use muster_api::Now;
use muster_proto::{
    ExecutorId, ExecutorInfo, StatusSource, TaskState, TaskStatus,
    executor::{Acknowledged, Event, EventType, Subscribe, Subscribed},
};

use super::{Agent, Effect, Session, Step, TaskKey, executors::Phase, launch::event_of};
use crate::wire;

impl Agent {
    /// Takes an executor's new stream, its missed reports, and gives it what it has not got.
    pub(super) fn subscribed(
        &mut self,
        now: Now,
        session: Session,
        id: &ExecutorId,
        subscribe: Subscribe,
        step: &mut Step,
    ) {
        let Some(executor) = self.executors.get_mut(id) else {
            step.ignore("the subscription of an executor that is not here", &id.value);
            let event = Box::new(event_of(EventType::Shutdown));
            step.effects.push(Effect::ToExecutor { session, event });
            step.effects.push(Effect::CloseSession { session });
            return;
        };
        executor.absent = None;
        if let Some(former) = executor.session.replace(session) {
            self.sessions.remove(&former);
            step.effects.push(Effect::CloseSession { session: former });
        }
        self.sessions.insert(session, id.clone());
        let event = self.subscribed_event(id);
        step.effects.push(Effect::ToExecutor { session, event: Box::new(event) });
        for update in subscribe.unacknowledged_updates {
            if let Some(status) = update.status {
                self.updated(now, session, status, step);
            }
        }
        self.hand_over(id, session, step);
    }

    /// Sends what an executor may not have: tasks that it has not reported, then their kills.
    fn hand_over(&mut self, id: &ExecutorId, session: Session, step: &mut Step) {
        let Some(executor) = self.executors.get(id) else { return };
        if executor.is_ending() {
            let event = Box::new(event_of(EventType::Shutdown));
            step.effects.push(Effect::ToExecutor { session, event });
            return;
        }
        let order = |key: &TaskKey| self.tasks.get(key).map_or(0, |task| task.order);
        let mut keys: Vec<TaskKey> = executor.tasks.iter().cloned().collect();
        keys.sort_by_key(order);
        for key in &keys {
            if self.tasks.get(key).is_some_and(|task| task.state == TaskState::Staging) {
                self.deliver(key, step);
            }
        }
        for key in &keys {
            self.forward_kill(key, step);
        }
    }

    /// Takes a report into custody, and says so to the executor.
    pub(super) fn updated(
        &mut self,
        now: Now,
        session: Session,
        mut status: TaskStatus,
        step: &mut Step,
    ) {
        let Some(id) = self.sessions.get(&session).cloned() else { return };
        let framework = self.executors.get(&id).and_then(|e| e.framework.id.clone());
        let (Some(framework), Some(task_id)) = (framework, status.task_id.clone()) else {
            return step.ignore("a report without a task", id.value);
        };
        let Some(uuid) = status.uuid.clone().filter(|uuid| uuid.len() == 16) else {
            return step.ignore("a report without a valid uuid", task_id.value);
        };
        if TaskState::try_from(status.state).map_or(true, |state| state == TaskState::Staging) {
            return step.ignore("a report of a state that is not an executor's", task_id.value);
        }
        let key = TaskKey { framework, task: task_id.clone() };
        // A task that is over, or forgotten because its last status was acknowledged, has nothing
        // more to say; the executor is told that this is heard, so that it stops repeating it.
        let news = self.tasks.get_mut(&key).filter(|task| {
            task.executor == id && !task.state.is_terminal() && !task.has_seen(&uuid)
        });
        if let Some(task) = news {
            task.remember(uuid.clone());
            status.executor_id = Some(id);
            status.source = Some(StatusSource::Executor as i32);
            self.enqueue(now, &key, status, step);
        }
        let acknowledged = Acknowledged { task_id: Some(task_id), uuid };
        let event = Event { acknowledged: Some(acknowledged), ..event_of(EventType::Acknowledged) };
        step.effects.push(Effect::ToExecutor { session, event: Box::new(event) });
    }

    /// The stream of an executor has ended: its process is gone, or comes back with another one.
    pub(super) fn left(&mut self, now: Now, session: Session, step: &mut Step) {
        let Some(id) = self.sessions.remove(&session) else { return };
        let Some(executor) = self.executors.get_mut(&id) else { return };
        executor.session = None;
        if let Phase::Gone { exit, .. } = &executor.phase {
            let exit = exit.clone();
            self.finish(now, &id, &exit, step);
        } else if !executor.is_ending() {
            executor.await_subscription(now, true);
        }
    }

    fn subscribed_event(&self, id: &ExecutorId) -> Event {
        let agent_info = wire::agent_info(&self.config, self.identity.agent.as_ref());
        let subscribed = self.executors.get(id).map(|executor| Subscribed {
            executor_info: Some(ExecutorInfo {
                framework_id: executor.framework.id.clone(),
                ..executor.info.clone()
            }),
            framework_info: Some(executor.framework.clone()),
            agent_info: Some(agent_info),
            container_id: None,
        });
        Event { subscribed, ..event_of(EventType::Subscribed) }
    }
}
