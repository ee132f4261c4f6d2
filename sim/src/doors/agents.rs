//! The wires of agents, as a master's port has them: each proves itself before it is heard.

use std::collections::{BTreeMap, BTreeSet};

use muster_master::core::{Connection, Event};
use muster_proto::agent::MasterBody;

use crate::{
    network::{Packet, Side, WireId},
    stage::Stage,
};

/// Where agents come in. It is gone with the process that listens.
#[derive(Debug)]
pub(crate) struct AgentDoor {
    term: u64,
    /// Wires of agents that have not said hello.
    unproven: BTreeSet<WireId>,
    wires: BTreeMap<Connection, WireId>,
    connections: u64,
}

impl AgentDoor {
    pub(crate) fn new(term: u64) -> Self {
        Self { term, unproven: BTreeSet::new(), wires: BTreeMap::new(), connections: 0 }
    }

    /// Takes a new wire.
    pub(crate) fn accept(&mut self, stage: &mut Stage, wire: WireId) {
        self.unproven.insert(wire);
        let term = self.term;
        stage.send(wire, Side::Listener, Packet::Challenge { term });
    }

    /// A packet of an agent comes out of a wire: what that is to the master.
    pub(crate) fn hear(
        &mut self,
        stage: &mut Stage,
        wire: WireId,
        packet: Packet,
    ) -> Option<Event> {
        let known = self.wires.iter().find(|(_, known)| **known == wire).map(|(c, _)| *c);
        let unproven = self.unproven.remove(&wire);
        match (packet, known) {
            (Packet::Hello(hello), None) if unproven => {
                self.connections += 1;
                let connection = Connection(self.connections);
                self.wires.insert(connection, wire);
                return Some(Event::Hello { connection, hello });
            }
            (Packet::FromAgent { term, body }, Some(connection)) if term == self.term => {
                return Some(Event::FromAgent { connection, body });
            }
            (Packet::FromAgent { .. }, Some(connection)) => return self.end(stage, connection),
            (Packet::Closed, Some(connection)) => {
                self.wires.remove(&connection);
                stage.hang_up(wire, Side::Listener);
                return Some(Event::Disconnected { connection });
            }
            (Packet::Closed, None) => stage.hang_up(wire, Side::Listener),
            _ => stage.close(wire, Side::Listener),
        }
        None
    }

    /// Ends the wire of an agent; what the master is to be told of that.
    pub(crate) fn end(&mut self, stage: &mut Stage, connection: Connection) -> Option<Event> {
        let wire = self.wires.remove(&connection)?;
        stage.close(wire, Side::Listener);
        Some(Event::Disconnected { connection })
    }

    /// Tells an agent something.
    pub(crate) fn tell(&self, stage: &mut Stage, connection: Connection, body: MasterBody) {
        if let Some(wire) = self.wires.get(&connection) {
            let packet = Packet::FromMaster { term: self.term, body };
            stage.send(*wire, Side::Listener, packet);
        }
    }

    /// The process is gone, and all wires end.
    pub(crate) fn close(self, stage: &mut Stage) {
        for wire in self.wires.into_values().chain(self.unproven) {
            stage.close(wire, Side::Listener);
        }
    }
}
