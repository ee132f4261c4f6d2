//! Messages between executors and their frameworks. They only pass through.
//!
//! Nobody on the way keeps a message. One that comes while the master is away is dropped here, and
//! its executor, which was not told that it was taken, sends it again. So what waits, waits in one
//! place, where its bound is.
//!
//! Executors are code of users, and heartbeats go the same way, on which the leases of all apps of
//! this host hang. So a message that is too long is dropped here, and the shell drops those that would
//! wait behind too much.

use std::time::Duration;

use muster_api::{Mono, limits};
use muster_proto::{
    agent::{AgentBody, ExecutorMessage, FrameworkMessage, MessageTaken},
    executor::{self, CallMessage, Event, EventMessage, EventType},
};

use super::{
    Agent, Container, Effect, ExecutorKey, Note, Session, Step, executors::Executor,
    launch::event_of,
};

/// Between two notes that a message was too long: whoever says too much says it often.
const TOO_LONG_AGAIN: Duration = Duration::from_secs(60);

impl Agent {
    /// An executor has something for its framework.
    pub(super) fn said(
        &mut self,
        now: Mono,
        session: Session,
        message: CallMessage,
        step: &mut Step,
    ) {
        let Some(container) = self.sessions.get(&session).cloned() else { return };
        self.pass_on(now, &container, message, step);
    }

    /// Passes a message of an executor on to the master.
    pub(super) fn pass_on(
        &mut self,
        now: Mono,
        container: &Container,
        message: CallMessage,
        step: &mut Step,
    ) {
        let Some(key) = self.executors.get(container).map(Executor::key) else { return };
        if self.is_too_long(now, &key, message.data.len(), step) {
            return;
        }
        let message = ExecutorMessage {
            framework_id: Some(key.framework),
            executor_id: Some(key.executor),
            data: message.data,
            number: message.number,
        };
        self.tell_master(AgentBody::ExecutorMessage(message), step);
    }

    /// A framework has something for one of its executors, which gets it if it is subscribed.
    pub(super) fn framework_says(&mut self, now: Mono, said: FrameworkMessage, step: &mut Step) {
        let (Some(framework), Some(executor)) = (said.framework_id, said.executor_id) else {
            return step.ignore("a message without ids", "");
        };
        let key = ExecutorKey { framework, executor };
        let Some(session) = self.session_in(&key) else {
            return step
                .ignore("a message for an executor that is not subscribed", key.to_string());
        };
        if self.is_too_long(now, &key, said.data.len(), step) {
            return;
        }
        let message = Some(EventMessage { data: said.data });
        let event = Event { message, ..event_of(EventType::Message) };
        step.effects.push(Effect::ToExecutor { session, event: Box::new(event) });
    }

    /// A framework has a message of one of its executors.
    pub(super) fn message_taken(&self, taken: MessageTaken, step: &mut Step) {
        let (Some(framework), Some(executor)) = (taken.framework_id, taken.executor_id) else {
            return;
        };
        let Some(session) = self.session_in(&ExecutorKey { framework, executor }) else { return };
        let message_taken = Some(executor::MessageTaken { number: taken.number });
        let event = Event { message_taken, ..event_of(EventType::MessageTaken) };
        step.effects.push(Effect::ToExecutor { session, event: Box::new(event) });
    }

    fn session_in(&self, key: &ExecutorKey) -> Option<Session> {
        self.executors.get(self.lives.get(key)?)?.session
    }

    fn is_too_long(
        &mut self,
        now: Mono,
        executor: &ExecutorKey,
        bytes: usize,
        step: &mut Step,
    ) -> bool {
        let is_too_long = bytes > limits::EXECUTOR_MESSAGE_BYTES;
        let is_news = self.too_long_at.is_none_or(|told| now.since(told) >= TOO_LONG_AGAIN);
        if is_too_long && is_news {
            self.too_long_at = Some(now);
            let executor = executor.clone();
            step.notes.push(Note::MessageTooLong { executor, bytes });
        }
        is_too_long
    }
}
