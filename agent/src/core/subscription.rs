//! Executors that subscribe, report and leave.

use std::collections::BTreeSet;

use muster_api::{
    Now,
    task::{ENDED_BY_ORDER, LABEL_ENDED},
};
use muster_proto::{
    ContainerStatus, ExecutorInfo, NetworkInfo, Reason, StatusSource, TaskId, TaskState,
    TaskStatus,
    executor::{Acknowledged, Event, EventType, Subscribe, Subscribed},
};

use super::{
    Agent, Container, Effect, Session, Step, TaskKey,
    brevity::shorten,
    early::Early,
    executors::{Executor, Phase, Standing},
    launch::event_of,
    origin::Origin,
    statuses::Verdict,
};
use crate::wire;

/// How many times the usual room is there for what an executor reports by the way.
pub(super) const ROOM: usize = 1;
/// The same for what it repeats when it subscribes: most of them repeat it at no other time.
const ROOM_OF_SUBSCRIPTIONS: usize = 2;
/// Bytes of what is taken where there is no room: the end of a task, in a few words.
const BYTES_OF_AN_END: usize = 2_048;

impl Agent {
    /// Takes an executor's new stream, its missed reports, and gives it what it has not got.
    pub(super) fn subscribed(
        &mut self,
        now: Now,
        session: Session,
        container: &Container,
        subscribe: Subscribe,
        step: &mut Step,
    ) {
        if self.executors.get(container).is_some_and(Executor::is_early) {
            let early = Early::new(now, session, subscribe, None);
            return self.keep_early(container, early, step);
        }
        self.subscribed_by_stream(now, session, container, &subscribe, step);
    }

    /// Begins with a stream of our own kind.
    pub(super) fn subscribed_by_stream(
        &mut self,
        now: Now,
        session: Session,
        container: &Container,
        subscribe: &Subscribe,
        step: &mut Step,
    ) {
        let Some(executor) = self.executors.get(container) else {
            step.ignore("the subscription of an executor that is not here", container.as_str());
            return dismiss(session, step);
        };
        let is_ending = executor.is_ending();
        self.open(session, container, step);
        let taken = self.take_reports(now, container, subscribe, step);
        if is_ending {
            let event = Box::new(event_of(EventType::Shutdown));
            step.effects.push(Effect::ToExecutor { session, event });
        } else {
            self.drop_what_was_not_received(now, container, subscribe, step);
            self.hand_over(container, step);
        }
        if taken.is_err() {
            self.have_it_come_again(now, session, container, step);
        }
    }

    /// The same by a call of Mesos. One that is to end hears nothing but that, as the Mesos agent
    /// has it.
    pub(super) fn subscribed_by_call(
        &mut self,
        now: Now,
        session: Session,
        container: &Container,
        subscribe: &Subscribe,
        step: &mut Step,
    ) {
        if self.executors.get(container).is_none_or(Executor::is_ending) {
            return dismiss(session, step);
        }
        self.open(session, container, step);
        // What there is no room for comes again when it next subscribes. Its stream is left alone: some
        // executors of Mesos end when they lose theirs.
        let _ = self.take_reports(now, container, subscribe, step);
        self.drop_what_was_not_received(now, container, subscribe, step);
        self.hand_over(container, step);
    }

    /// From now on the executor is told things on this stream, and on no other.
    fn open(&mut self, session: Session, container: &Container, step: &mut Step) {
        let Some(executor) = self.executors.get_mut(container) else { return };
        executor.absent = None;
        executor.standing = Standing::Subscribed;
        if let Some(former) = executor.session.replace(session) {
            self.sessions.remove(&former);
            step.effects.push(Effect::CloseSession { session: former });
        }
        self.sessions.insert(session, container.clone());
        let event = Box::new(self.subscribed_event(container));
        step.effects.push(Effect::ToExecutor { session, event });
    }

    /// Takes what an executor repeats; says whether there was room for all of that.
    fn take_reports(
        &mut self,
        now: Now,
        container: &Container,
        subscribe: &Subscribe,
        step: &mut Step,
    ) -> Result<(), Crowded> {
        let updates = &subscribe.unacknowledged_updates;
        let mut taken = Ok(());
        for status in updates.iter().filter_map(|update| update.status.clone()) {
            // An end is taken even where there is no room for what came before it.
            taken = taken.and(self.report(now, container, status, ROOM_OF_SUBSCRIPTIONS, step));
        }
        taken
    }

    /// Of what an executor says on a stream of our own kind it repeats nothing before it subscribes
    /// anew. So its stream ends when there is no room for something, and it dials again after a
    /// pause. One that is gone cannot, and all else that it has said counts.
    fn have_it_come_again(
        &mut self,
        now: Now,
        session: Session,
        container: &Container,
        step: &mut Step,
    ) {
        let executor = self.executors.get(container);
        if executor.is_some_and(|executor| !matches!(executor.phase, Phase::Gone { .. })) {
            step.effects.push(Effect::CloseSession { session });
            // What is on its way already comes again too, and in order.
            self.left(now, session, step);
        }
    }

    /// Of a task that was sent to a foreign executor, and that it does not name when it subscribes
    /// again, it is certain that it never came there.
    fn drop_what_was_not_received(
        &mut self,
        now: Now,
        container: &Container,
        subscribe: &Subscribe,
        step: &mut Step,
    ) {
        let Some(executor) = self.executors.get(container) else { return };
        if executor.origin != Origin::Foreign {
            return;
        }
        let held = subscribe.unacknowledged_tasks.iter().filter_map(|task| task.task_id.as_ref());
        let held: BTreeSet<&TaskId> = held.collect();
        let is_lost = |key: &&TaskKey| {
            let task = self.tasks.get(*key);
            let is_open = task.is_some_and(|t| t.delivered && t.state == TaskState::Staging);
            is_open && !held.contains(&key.task)
        };
        let lost: Vec<TaskKey> = executor.tasks.iter().filter(is_lost).cloned().collect();
        // The executor lives, also where this was the first of its tasks.
        let container = self.container_status(container, &TaskStatus::default());
        for key in lost {
            let words = "Task launched during agent restart";
            let verdict = Verdict::new(TaskState::Dropped, Reason::AgentRestarted, words);
            let verdict = Verdict { container: Some(container.clone()), ..verdict };
            self.judge(now, &key, verdict, step);
        }
    }

    /// An executor of ours reports on its stream.
    pub(super) fn updated(
        &mut self,
        now: Now,
        session: Session,
        status: TaskStatus,
        step: &mut Step,
    ) {
        let Some(container) = self.sessions.get(&session).cloned() else { return };
        if self.report(now, &container, status, ROOM, step).is_err() {
            self.have_it_come_again(now, session, &container, step);
        }
    }

    /// Takes a report into custody, and says so to the executor; or says here that there is no room
    /// for it now.
    pub(super) fn report(
        &mut self,
        now: Now,
        container: &Container,
        mut status: TaskStatus,
        room: usize,
        step: &mut Step,
    ) -> Result<(), Crowded> {
        let Some(executor) = self.executors.get(container) else { return Ok(()) };
        let (by, origin) = (executor.key(), executor.origin);
        let Some((task_id, uuid)) = examined(container, &status, step) else { return Ok(()) };
        status.source = Some(StatusSource::Executor as i32);
        if shorten(&mut status, origin.longest_status()) {
            step.ignore("what a report says beyond its bound", &task_id.value);
        }
        let key = TaskKey { framework: by.framework, task: task_id.clone() };
        if origin == Origin::Foreign {
            self.make_do(&key, &mut status, room)?;
            if self.tasks.get(&key).is_none_or(|task| task.is_stray) {
                self.report_stray(now, container, &key, status, step);
                return Ok(());
            }
        }
        // A task that is over, or forgotten because its last status was acknowledged, has nothing
        // more to say; the executor is told that this is heard, so that it stops repeating it.
        let news = self.tasks.get_mut(&key).filter(|task| {
            task.container.as_ref() == Some(container)
                && !task.state.is_terminal()
                && !task.has_seen(&uuid)
        });
        let awaits_exit = origin == Origin::Ours && is_unexplained_end(&status);
        if awaits_exit && let Some(executor) = self.executors.get_mut(container) {
            executor.terminated = true;
        }
        // A task that was killed has ended for that, whatever else there was to end it.
        let news = news.filter(|task| task.watched || !awaits_exit);
        if let Some(task) = news {
            task.remember(uuid.clone());
            if origin != Origin::Foreign {
                status.executor_id = Some(by.executor);
            }
            if origin != Origin::Ours {
                status.container_status = Some(Box::new(self.container_status(container, &status)));
            }
            self.enqueue(now, &key, status, step);
        }
        if let Some(session) = self.executors.get(container).and_then(|e| e.session) {
            let acknowledged = Some(Acknowledged { task_id: Some(task_id), uuid });
            let event = Event { acknowledged, ..event_of(EventType::Acknowledged) };
            step.effects.push(Effect::ToExecutor { session, event: Box::new(event) });
        }
        Ok(())
    }

    /// Where too much waits of a task, or of its framework, nothing more is taken but how the task
    /// ended, with a few words of its executor and without its data. A stray one may end any number of times.
    fn make_do(&self, key: &TaskKey, status: &mut TaskStatus, room: usize) -> Result<(), Crowded> {
        let uuid = status.uuid.as_deref().unwrap_or_default();
        let task = self.tasks.get(key);
        let is_again = task.is_some_and(|task| task.has_seen(uuid));
        if is_again || self.has_room_for(key, status, room) {
            return Ok(());
        }
        if task.is_none_or(|task| task.is_stray) || !status.state().is_terminal() {
            return Err(Crowded);
        }
        status.data = None;
        shorten(status, BYTES_OF_AN_END);
        Ok(())
    }

    /// The stream of an executor has ended: its process is gone, or comes back with another one.
    pub(super) fn left(&mut self, now: Now, session: Session, step: &mut Step) {
        let Some(container) = self.sessions.remove(&session) else {
            return self.forget_early(now, session, step);
        };
        let Some(executor) = self.executors.get_mut(&container) else { return };
        executor.session = None;
        if let Phase::Gone { exit, .. } = &executor.phase {
            let exit = exit.clone();
            self.finish(now, &container, &exit, step);
        } else if !executor.is_ending() {
            let patience = executor.origin.patience_without_stream();
            executor.await_another_subscription(now, patience);
        }
    }

    fn subscribed_event(&self, container: &Container) -> Event {
        let agent_info = wire::agent_info(&self.config, self.identity.agent.as_ref());
        let subscribed = self.executors.get(container).map(|executor| Subscribed {
            executor_info: Some(ExecutorInfo {
                framework_id: executor.framework.id.clone(),
                ..executor.info.clone()
            }),
            framework_info: Some(executor.framework.clone()),
            agent_info: Some(agent_info),
            container_id: (executor.origin != Origin::Ours).then(|| container.into()),
        });
        Event { subscribed, ..event_of(EventType::Subscribed) }
    }

    /// What a framework is told of the container of its task.
    fn container_status(&self, container: &Container, status: &TaskStatus) -> ContainerStatus {
        let said = status.container_status.as_deref().cloned().unwrap_or_default();
        let ip_addresses = vec![wire::ip_address(self.config.ip)];
        let ours = NetworkInfo { ip_addresses, ..NetworkInfo::default() };
        let has_network = !said.network_infos.is_empty();
        ContainerStatus {
            container_id: Some(container.into()),
            network_infos: if has_network { said.network_infos } else { vec![ours] },
            executor_pid: self.executors.get(container).and_then(|executor| executor.pid),
            ..said
        }
    }
}

/// Too much waits for its acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crowded;

/// The task of a report and its uuid, if it is one that an executor can make.
fn examined(
    container: &Container,
    status: &TaskStatus,
    step: &mut Step,
) -> Option<(TaskId, Vec<u8>)> {
    let Some(task_id) = status.task_id.clone() else {
        step.ignore("a report without a task", container.as_str());
        return None;
    };
    let Some(uuid) = status.uuid.clone().filter(|uuid| uuid.len() == 16) else {
        step.ignore("a report without a valid uuid", task_id.value);
        return None;
    };
    if TaskState::try_from(status.state).map_or(true, |state| state == TaskState::Staging) {
        step.ignore("a report of a state that is not an executor's", task_id.value);
        return None;
    }
    Some((task_id, uuid))
}

/// Whether a task was ended because its executor was sent SIGTERM. What that makes of it is known
/// when the executor is gone and its supervisor has said why: its lease may have ended. Until then
/// it counts as one that has not ended.
fn is_unexplained_end(status: &TaskStatus) -> bool {
    let label = status.labels.as_ref().and_then(|labels| labels.get(LABEL_ENDED));
    status.state() == TaskState::Killed && label == Some(ENDED_BY_ORDER)
}

/// Has an executor end that nobody here counts on, and closes its stream.
fn dismiss(session: Session, step: &mut Step) {
    let event = Box::new(event_of(EventType::Shutdown));
    step.effects.push(Effect::ToExecutor { session, event });
    step.effects.push(Effect::CloseSession { session });
}
