//! Connections: packets take a random time, in order; wires break, freeze, stall, and end with
//! their processes.
//!
//! Within one connection nothing is lost, repeated or reordered before something else: that is what
//! TCP promises. Between connections everything may be: what was sent on a wire that stalls arrives
//! when a newer wire has carried much, and what was lost with a wire is said again on the next one.

use std::{collections::BTreeMap, fmt};

use muster_agent::core::Connection;
use muster_proto::{
    ExecutorId,
    agent::{AgentBody, Hello, MasterBody},
    executor, scheduler,
};
use muster_session::link::Answer;

use crate::{happening::Happening, stage::Stage};

/// One connection; numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WireId(u64);

impl fmt::Display for WireId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.0)
    }
}

/// The ends of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Who opened it: an agent or a framework to its master, an executor to its agent.
    Dialler,
    /// Who was dialled.
    Listener,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }
}

/// Both ends.
pub(crate) const BOTH: [Side; 2] = [Side::Dialler, Side::Listener];

/// Between whom a wire is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Between {
    /// An agent and its master.
    AgentAndMaster {
        /// The host of the agent.
        host: usize,
        /// The agent's number of it.
        connection: Connection,
    },
    /// A framework and its master: one request after another, or the stream that answers one.
    FrameworkAndMaster(Caller),
    /// An executor and its agent.
    ExecutorAndAgent {
        /// The host of both.
        host: usize,
        /// The executor.
        executor: ExecutorId,
    },
}

/// Who is a framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The scheduler, of a master that is not its own.
    Scheduler,
    /// A framework beside the scheduler.
    Guest,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheduler => f.write_str("scheduler"),
            Self::Guest => f.write_str("guest"),
        }
    }
}

/// What travels.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and soon gone")]
pub(crate) enum Packet {
    /// The master wants a proof.
    Challenge {
        /// Its term.
        term: u64,
    },
    /// An agent registers.
    Hello(Hello),
    /// An agent says something.
    FromAgent {
        /// For a master of this term.
        term: u64,
        /// What.
        body: AgentBody,
    },
    /// A master says something.
    FromMaster {
        /// Its term.
        term: u64,
        /// What.
        body: MasterBody,
    },
    /// An executor says something.
    Calls(Vec<executor::Call>),
    /// An agent tells an executor something.
    Event(executor::Event),
    /// A framework makes a call.
    Call {
        /// The stream that it names.
        stream_id: Option<String>,
        /// What.
        call: scheduler::Call,
    },
    /// A master answers a call.
    Answer(Answer),
    /// A master answers SUBSCRIBE with a stream.
    Opened {
        /// Its name.
        stream_id: String,
    },
    /// A master says something on a stream.
    Said(Box<scheduler::Event>),
    /// The other side has ended the connection, or it broke.
    Closed,
}

#[derive(Debug)]
struct Wire {
    between: Between,
    /// Whether each side still holds its end.
    held: [bool; 2],
    /// When the last packet to each side arrives.
    last: [u64; 2],
    /// To which sides nothing gets through any more.
    severed: [bool; 2],
    /// Until when nothing gets through to each side; it waits, and is not lost.
    stalled_until: [u64; 2],
}

/// What happens to the next launch that a framework sends by a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaunchTrouble {
    /// The connection breaks before it arrives.
    Lost,
    /// The connection breaks before the answer to it arrives.
    Unanswered,
}

/// All wires.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) launch_trouble: Option<LaunchTrouble>,
    wires: BTreeMap<WireId, Wire>,
    opened: u64,
}

fn index(side: Side) -> usize {
    match side {
        Side::Dialler => 0,
        Side::Listener => 1,
    }
}

impl Network {
    /// Opens a wire.
    pub(crate) fn open(&mut self, between: Between) -> WireId {
        self.opened += 1;
        let id = WireId(self.opened);
        let wire = Wire {
            between,
            held: [true; 2],
            last: [0; 2],
            severed: [false; 2],
            stalled_until: [0; 2],
        };
        self.wires.insert(id, wire);
        id
    }

    /// Between whom a wire is, if that side still listens.
    pub(crate) fn listening(&self, wire: WireId, side: Side) -> Option<&Between> {
        let wire = self.wires.get(&wire)?;
        wire.held[index(side)].then_some(&wire.between)
    }

    /// Whether packets to a side still get through.
    pub(crate) fn carries(&self, wire: WireId, to: Side) -> bool {
        self.wires.get(&wire).is_some_and(|wire| !wire.severed[index(to)])
    }

    /// The wires that both sides hold and that work.
    pub(crate) fn working(&self) -> Vec<(WireId, Between)> {
        let working = |wire: &Wire| wire.held == [true; 2] && wire.severed == [false; 2];
        let wires = self.wires.iter().filter(|(_, wire)| working(wire));
        wires.map(|(id, wire)| (*id, wire.between.clone())).collect()
    }

    fn let_go(&mut self, id: WireId, side: Side) {
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.held[index(side)] = false;
            if wire.held == [false; 2] {
                self.wires.remove(&id);
            }
        }
    }
}

impl Stage {
    /// Sends a packet from one side of a wire. On a severed wire it is lost.
    pub(crate) fn send(&mut self, id: WireId, from: Side, packet: Packet) {
        let delay = self.delay(&packet);
        let to = from.other();
        let time = self.time();
        let Some(wire) = self.network.wires.get_mut(&id) else { return };
        if wire.severed[index(to)] {
            return;
        }
        let stalled_until = wire.stalled_until[index(to)];
        let last = &mut wire.last[index(to)];
        *last = (time + delay).max(*last).max(stalled_until);
        let at = *last;
        self.at(at, Happening::Arrives { wire: id, to, packet });
    }

    /// Most packets are fast, some are not.
    fn delay(&mut self, packet: &Packet) -> u64 {
        let local = matches!(packet, Packet::Calls(_) | Packet::Event(_));
        match self.between(0, 99) {
            0..90 if local => self.between(0, 1),
            0..90 => self.between(0, 5),
            90..99 => self.between(0, 50),
            _ => self.between(0, 1_500),
        }
    }

    /// A side ends a wire, orderly or by dying: what it sent before still arrives.
    pub(crate) fn close(&mut self, id: WireId, side: Side) {
        if self.network.listening(id, side).is_none() {
            return;
        }
        self.send(id, side, Packet::Closed);
        self.network.let_go(id, side);
    }

    /// A side has read that the wire is closed, and lets go of it.
    pub(crate) fn hang_up(&mut self, id: WireId, side: Side) {
        self.network.let_go(id, side);
    }

    /// A wire breaks: what is under way is lost, and each side notices at its own time.
    pub(crate) fn break_wire(&mut self, id: WireId) {
        for to in BOTH {
            self.freeze_wire(id, to);
            let delay = self.between(0, 2_000);
            self.after(delay, Happening::Arrives { wire: id, to, packet: Packet::Closed });
        }
    }

    /// Nothing gets through a wire to a side any more, and nobody is told.
    pub(crate) fn freeze_wire(&mut self, id: WireId, to: Side) {
        if let Some(wire) = self.network.wires.get_mut(&id) {
            wire.severed[index(to)] = true;
        }
    }

    /// What is sent on a wire to a side from now on arrives after `until`.
    pub(crate) fn stall_wire(&mut self, id: WireId, to: Side, until: u64) {
        if let Some(wire) = self.network.wires.get_mut(&id) {
            wire.stalled_until[index(to)] = until;
        }
    }
}
