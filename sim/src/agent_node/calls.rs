//! What executors call: on our own kind of stream, or as with any agent of Mesos.

use muster_agent::core::{
    Answer, Bearer, Call, Container, Event, ExecutorKey, Request, Session, What,
};
use muster_proto::{
    ExecutorId,
    executor::{self, CallType, EventType, MessageTaken},
};

use super::AgentNode;
use crate::{
    network::{Packet, Side, WireId},
    stage::Stage,
};

/// A call of plain Mesos that waits for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    /// The connection of the executor.
    wire: WireId,
    /// The number of the message that it is. Plain Mesos has none, so that one counts as taken when
    /// the agent has accepted it (`executor/src/link/plain.rs`).
    number: Option<u64>,
}

impl AgentNode {
    /// A packet of an executor comes out of a wire.
    pub(crate) fn hear_executor(
        &mut self,
        stage: &mut Stage,
        wire: WireId,
        executor: &ExecutorId,
        packet: Packet,
    ) {
        let Some(process) = &mut self.process else { return };
        match (packet, process.session_of(wire)) {
            (Packet::Calls(calls), _) => {
                for call in calls {
                    match self.executors.get(executor).and_then(|node| node.plain_key()) {
                        Some(by) => self.hear_plain_call(stage, (wire, executor), by, call),
                        None => self.hear_call(stage, wire, executor, call),
                    }
                }
            }
            (_, Some(session)) => {
                process.sessions.remove(&session);
                stage.hang_up(wire, Side::Listener);
                self.step(stage, Event::Left { session });
            }
            (_, None) => stage.hang_up(wire, Side::Listener),
        }
    }

    fn hear_call(
        &mut self,
        stage: &mut Stage,
        wire: WireId,
        executor: &ExecutorId,
        call: executor::Call,
    ) {
        let Some(process) = &mut self.process else { return };
        match (call.r#type(), process.session_of(wire)) {
            (CallType::Subscribe, None) => {
                let session = self.begin_session(wire, &call);
                let subscribe = call.subscribe.unwrap_or_default();
                let container = Container::from(executor);
                self.step(stage, Event::Subscribed { session, container, subscribe });
            }
            (CallType::Message, Some(session)) => {
                if let Some(message) = call.message {
                    self.step(stage, Event::Said { session, message });
                }
            }
            (CallType::Update, Some(session)) => {
                if let Some(status) = call.update.and_then(|update| update.status) {
                    self.step(stage, Event::Updated { session, status: Box::new(status) });
                }
            }
            _ => {}
        }
    }

    /// Takes a call as the HTTP API does (`agent/src/executor_api/calls.rs`).
    fn hear_plain_call(
        &mut self,
        stage: &mut Stage,
        (wire, executor): (WireId, &ExecutorId),
        by: ExecutorKey,
        call: executor::Call,
    ) {
        let number = call.message.as_ref().and_then(|message| message.number);
        let what = match call.r#type() {
            CallType::Subscribe => {
                let session = self.begin_session(wire, &call);
                What::Subscribe { session, subscribe: call.subscribe.unwrap_or_default() }
            }
            CallType::Update => {
                let status = call.update.and_then(|update| update.status);
                What::Update(Box::new(status.unwrap_or_default()))
            }
            CallType::Message => What::Message(call.message.unwrap_or_default().data),
            _ => What::Unknown,
        };
        let Some(process) = &mut self.process else { return };
        process.requests += 1;
        let request = Request(process.requests);
        process.asked.insert(request, Asked { wire, number });
        let bearer = Bearer::Of(Container::from(executor));
        self.step(stage, Event::Called { request, call: Call { by, bearer, what } });
    }

    /// Answers a call of plain Mesos. One that is refused ends the executor's connection.
    pub(super) fn answer(&mut self, stage: &mut Stage, request: Request, answer: Answer) {
        let Some(process) = &mut self.process else { return };
        let Some(Asked { wire, number }) = process.asked.remove(&request) else { return };
        if answer != Answer::Accepted {
            stage.close(wire, Side::Listener);
            if let Some(session) = process.session_of(wire) {
                process.sessions.remove(&session);
                self.step(stage, Event::Left { session });
            }
        } else if let Some(number) = number {
            let event = executor::Event {
                r#type: Some(EventType::MessageTaken as i32),
                message_taken: Some(MessageTaken { number }),
                ..executor::Event::default()
            };
            stage.send(wire, Side::Listener, Packet::Event(event));
        }
    }

    fn begin_session(&mut self, wire: WireId, call: &executor::Call) -> Session {
        let process = self.process.as_mut().expect("it takes a call");
        process.sessions_opened += 1;
        let session = Session(process.sessions_opened);
        process.sessions.insert(session, wire);
        process.heard_of.extend(call.executor_id.clone());
        session
    }
}
