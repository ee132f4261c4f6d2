//! Messages of executors to their frameworks. They only pass through.
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
    agent::{AgentBody, ExecutorMessage, MessageTaken},
    executor::{self, CallMessage, Event, EventType},
};

use super::{Agent, Effect, Note, Session, Step, launch::event_of};

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
        let Some(id) = self.sessions.get(&session) else { return };
        let Some(executor) = self.executors.get(id) else { return };
        let bytes = message.data.len();
        if bytes > limits::EXECUTOR_MESSAGE_BYTES {
            if self.too_long_at.is_none_or(|told| now.since(told) >= TOO_LONG_AGAIN) {
                self.too_long_at = Some(now);
                step.notes.push(Note::MessageTooLong { executor: id.clone(), bytes });
            }
            return;
        }
        let message = ExecutorMessage {
            framework_id: executor.framework.id.clone(),
            executor_id: Some(id.clone()),
            data: message.data,
            number: message.number,
        };
        self.tell_master(AgentBody::ExecutorMessage(message), step);
    }

    /// A framework has a message of one of its executors.
    pub(super) fn message_taken(&self, taken: MessageTaken, step: &mut Step) {
        let id = taken.executor_id.unwrap_or_default();
        let executor = self.executors.get(&id).filter(|e| e.framework.id == taken.framework_id);
        let Some(session) = executor.and_then(|executor| executor.session) else { return };
        let message_taken = Some(executor::MessageTaken { number: taken.number });
        let event = Event { message_taken, ..event_of(EventType::MessageTaken) };
        step.effects.push(Effect::ToExecutor { session, event: Box::new(event) });
    }
}
