//! Messages of executors to their frameworks. They only pass through.
//!
//! Nobody on the way keeps a message. One that comes while the master is away is dropped here, and
//! its executor, which was not told that it was taken, sends it again. So what waits, waits in one
//! place, where its bound is.

use muster_proto::{
    agent::{AgentBody, ExecutorMessage, MessageTaken},
    executor::{self, CallMessage, Event, EventType},
};

use super::{Agent, Effect, Session, Step, launch::event_of};

impl Agent {
    /// An executor has something for its framework.
    pub(super) fn said(&self, session: Session, message: CallMessage, step: &mut Step) {
        let Some(id) = self.sessions.get(&session) else { return };
        let Some(executor) = self.executors.get(id) else { return };
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
