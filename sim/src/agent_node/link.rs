//! The agent's wire to its master: dialled again and again, as `agent/src/link.rs` does.

use muster_agent::core::{Connection, Event};
use muster_proto::agent::{MasterBody, VERSION};

use super::AgentNode;
use crate::{
    happening::Happening,
    network::{Between, Packet, Side, WireId},
    stage::Stage,
};

/// Between two dials of the master: from this, doubling ...
pub(super) const REDIAL_FIRST: u64 = 100;
/// ... to this (`agent/src/link.rs`).
const REDIAL_MAX: u64 = 1_000;
/// What a handshake may take (`muster_api::limits::HANDSHAKE`).
const HANDSHAKE: u64 = 10_000;

/// The wire to the master.
#[derive(Debug)]
pub(super) struct Link {
    connection: Connection,
    pub(super) wire: WireId,
    registered: bool,
}

impl AgentNode {
    pub(super) fn dial_later(&self, stage: &mut Stage, delay: u64) {
        let (host, process) = (self.host, self.processes);
        stage.after(delay, Happening::AgentDials { host, process });
    }

    /// Dials the master; `reachable` says whether it listens.
    pub(crate) fn dial(&mut self, stage: &mut Stage, reachable: bool) -> Option<WireId> {
        let (host, cut_off) = (self.host, self.cut_off_until > stage.time());
        let process = self.process.as_mut()?;
        process.connections += 1;
        let connection = Connection(process.connections);
        if !reachable || cut_off {
            self.lost(stage, connection);
            return None;
        }
        let wire = stage.network.open(Between::AgentAndMaster { host, connection });
        process.link = Some(Link { connection, wire, registered: false });
        let process = self.processes;
        stage.after(HANDSHAKE, Happening::HandshakeOver { host, process, connection });
        Some(wire)
    }

    /// A handshake that is not through by now is given up.
    pub(crate) fn handshake_over(&mut self, stage: &mut Stage, connection: Connection) {
        let slow = |link: &Link| link.connection == connection && !link.registered;
        if self.process.as_ref().and_then(|p| p.link.as_ref()).is_some_and(slow) {
            self.hang_up(stage, connection);
        }
    }

    /// Ends the wire to the master, and dials again.
    pub(super) fn hang_up(&mut self, stage: &mut Stage, connection: Connection) {
        let Some(process) = &mut self.process else { return };
        if let Some(link) = process.link.take_if(|link| link.connection == connection) {
            stage.close(link.wire, Side::Dialler);
            self.lost(stage, connection);
        }
    }

    /// There is no wire to the master, or none any more: the core is told, and it is dialled again.
    fn lost(&mut self, stage: &mut Stage, connection: Connection) {
        let Some(process) = &mut self.process else { return };
        let wait = process.redial;
        process.redial = (wait * 2).min(REDIAL_MAX);
        self.dial_later(stage, wait);
        self.step(stage, Event::Disconnected { connection });
    }

    /// A packet of the master comes out of a wire.
    pub(crate) fn hear_master(&mut self, stage: &mut Stage, on: Connection, packet: Packet) {
        let Some(process) = &mut self.process else { return };
        let Some(link) = process.link.as_mut().filter(|link| link.connection == on) else { return };
        let connection = on;
        match packet {
            Packet::Challenge { term } => {
                let version = VERSION;
                self.step(stage, Event::Challenged { connection, term, version });
            }
            Packet::FromMaster { term, body: MasterBody::Welcome(welcome) } => {
                link.registered = true;
                process.redial = REDIAL_FIRST;
                let id = welcome.agent_id.unwrap_or_default().value;
                if let Ok(agent) = id.parse() {
                    self.step(stage, Event::Welcomed { connection, term, agent });
                }
            }
            Packet::FromMaster { term, body: MasterBody::Refused(refused) } if refused.gone => {
                let message = refused.message;
                self.step(stage, Event::Disowned { connection, term, message });
                self.hang_up(stage, connection);
            }
            Packet::FromMaster { body: MasterBody::Refused(refused), .. } => {
                let (message, retry) = (refused.message, refused.retry);
                self.step(stage, Event::Refused { connection, message, retry });
                self.hang_up(stage, connection);
            }
            Packet::FromMaster { term, body } => {
                let body = Some(body);
                self.step(stage, Event::FromMaster { connection, term, body });
            }
            _ => self.hang_up(stage, connection),
        }
    }

    pub(super) fn say(&self, stage: &mut Stage, connection: Connection, packet: Packet) {
        let link = self.process.as_ref().and_then(|process| process.link.as_ref());
        if let Some(link) = link.filter(|link| link.connection == connection) {
            stage.send(link.wire, Side::Dialler, packet);
        }
    }
}
