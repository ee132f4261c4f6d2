//! Its way to the master: a stream, and a connection for calls.

use std::collections::VecDeque;

use muster_proto::scheduler::{Call, EventType};

use super::GuestNode;
use crate::{
    happening::Happening,
    network::{Between, Caller, Packet, Side, WireId},
    oracles,
    stage::Stage,
};

/// A try to subscribe, and all that follows of it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Option<WireId>,
    stream_id: Option<String>,
    subscribed: bool,
    calls: Option<WireId>,
    waiting: VecDeque<Call>,
    /// When the master was heard last.
    pub(super) heard_at: u64,
}

impl GuestNode {
    pub(super) fn is_subscribed(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.subscribed)
    }

    /// Begins a try.
    pub(super) fn dial(&mut self, stage: &mut Stage) {
        self.attempts += 1;
        self.connection = Some(Connection {
            stream: None,
            stream_id: None,
            subscribed: false,
            calls: None,
            waiting: VecDeque::new(),
            heard_at: stage.time(),
        });
        self.dial_soon(stage);
    }

    fn dial_soon(&self, stage: &mut Stage) {
        let delay = stage.between(0, 5);
        stage.after(delay, Happening::GuestDials { attempt: self.attempts });
    }

    /// Gives up the try that goes on; another one follows.
    pub(super) fn hang_up(&mut self, stage: &mut Stage) {
        let Some(connection) = self.connection.take() else { return };
        for wire in connection.stream.into_iter().chain(connection.calls) {
            stage.close(wire, Side::Dialler);
        }
    }

    /// Opens a connection, if the master listens; gives its wire.
    pub(crate) fn dialled(
        &mut self,
        stage: &mut Stage,
        attempt: u64,
        listens: bool,
    ) -> Option<WireId> {
        let call = self.subscribe();
        let connection = self.connection.as_mut().filter(|_| attempt == self.attempts)?;
        if !listens {
            self.hang_up(stage);
            return None;
        }
        let wire = stage.network.open(Between::FrameworkAndMaster(Caller::Guest));
        if connection.stream.is_none() {
            connection.stream = Some(wire);
            stage.send(wire, Side::Dialler, Packet::Call { stream_id: None, call });
        } else {
            connection.calls = Some(wire);
            self.send(stage);
        }
        Some(wire)
    }

    /// Makes a call.
    pub(super) fn call(&mut self, stage: &mut Stage, call: Call) {
        let Some(connection) = &mut self.connection else { return };
        connection.waiting.push_back(call);
        self.send(stage);
    }

    fn send(&mut self, stage: &mut Stage) {
        let Some(connection) = &mut self.connection else { return };
        let Some(wire) = connection.calls else {
            // The first that waits has it dialled.
            if connection.waiting.len() == 1 {
                self.dial_soon(stage);
            }
            return;
        };
        for call in std::mem::take(&mut connection.waiting) {
            let stream_id = connection.stream_id.clone();
            stage.send(wire, Side::Dialler, Packet::Call { stream_id, call });
        }
    }

    /// A packet of the master comes out of a wire.
    pub(crate) fn hear(&mut self, stage: &mut Stage, wire: WireId, packet: Packet) {
        let time = stage.time();
        let Some(connection) = &mut self.connection else { return };
        if connection.calls == Some(wire) {
            return match packet {
                // What it says of a call that it takes says nothing more.
                Packet::Answer(answer) if answer.status == 202 => {}
                Packet::Answer(answer) => {
                    stage.log(format_args!("guest: refused: {}", answer.body));
                    self.hang_up(stage);
                }
                // A call may be lost with it that was to give back an offer. Whoever subscribes anew
                // holds none.
                _ => {
                    connection.calls = None;
                    stage.hang_up(wire, Side::Dialler);
                    self.hang_up(stage);
                }
            };
        }
        if connection.stream != Some(wire) {
            return;
        }
        connection.heard_at = time;
        match packet {
            Packet::Opened { stream_id } => connection.stream_id = Some(stream_id),
            Packet::Said(event) if event.r#type() == EventType::Subscribed => {
                connection.subscribed = true;
                let body = event.subscribed.unwrap_or_default();
                self.id = body.framework_id;
                self.suppressed = false;
                self.reconciles_at = time;
            }
            Packet::Said(event) => {
                let verdict =
                    oracles::frameworks_hear_only_of_their_own(&self.tasks_known(), &event);
                stage.judge(verdict);
                self.hear_event(stage, *event);
            }
            Packet::Answer(_) => self.hang_up(stage),
            _ => {
                connection.stream = None;
                stage.hang_up(wire, Side::Dialler);
                self.hang_up(stage);
            }
        }
    }
}
