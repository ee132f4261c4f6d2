//! What reaches the scheduler, and what it wants done.

use std::{collections::BTreeMap, sync::Arc};

use muster_api::{events::TraceEvent, step::Write};
use muster_engine::{
    effect::{Note, Tally},
    event::{CommandReply, Event as EngineEvent, RequestId},
    query::Answer,
    records::NoticeRecord,
};
use muster_master::core::{
    Answer as CallAnswer, Connection, Event as MasterEvent, Note as MasterNote, Request, Stream,
};
use muster_proto::{agent::MasterBody, scheduler};
use muster_session::link::{Effect as LinkEffect, Event as LinkEvent, Note as LinkNote};

use crate::moving::OtherMaster;

/// What reaches the scheduler.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and soon gone")]
pub enum Event {
    /// Something for the engine: a command or a question.
    Engine(EngineEvent),
    /// Something for the master of this process: an agent came, spoke or went.
    Master(MasterEvent),
    /// Something of the link to a master that is not in this process.
    Link(LinkEvent),
    /// Time has passed.
    Tick,
}

/// What the scheduler wants done, once the turn is durable.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and soon gone")]
pub enum Effect {
    /// Tell a user what became of a change.
    Reply {
        /// Whose.
        request: RequestId,
        /// What.
        reply: CommandReply,
    },
    /// Tell a user about live state.
    Answer {
        /// Who asked.
        request: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// A run is over: whoever waits for it may look.
    RunOver(muster_api::RunId),
    /// Send a notice to its webhook.
    Deliver(Arc<NoticeRecord>),
    /// Tell an agent something.
    ToAgent {
        /// By which connection.
        connection: Connection,
        /// What.
        body: MasterBody,
    },
    /// End the connection of an agent.
    CloseAgent(Connection),
    /// Tell a framework other than ours something.
    ToStream {
        /// By which stream.
        stream: Stream,
        /// What.
        event: scheduler::Event,
    },
    /// End the stream of a framework other than ours.
    EndStream(Stream),
    /// For the link to a master that is not in this process.
    Link(LinkEffect),
    /// Who frameworks other than ours can prove to be, each with the SHA-256 of its secret.
    Credentials(BTreeMap<String, [u8; 32]>),
    /// Answer a call of a framework other than ours.
    AnswerCall {
        /// Which.
        request: Request,
        /// How.
        answer: CallAnswer,
    },
}

/// What one event led to.
#[derive(Debug, Default)]
pub struct Turn {
    /// The records that changed, in order; of several for one key the last counts.
    pub writes: Vec<Write>,
    /// What is to be done, in order.
    pub effects: Vec<Effect>,
    /// What the engine notes.
    pub notes: Vec<Note>,
    /// What the engine counts.
    pub tally: Tally,
    /// What happened, for those who ask later.
    pub trace: Vec<TraceEvent>,
    /// What the master notes.
    pub master_notes: Vec<MasterNote>,
    /// What the link to another master notes.
    pub link_notes: Vec<LinkNote>,
    /// What the session could not understand.
    pub passed_over: Vec<String>,
}

/// Stored records that the scheduler cannot start from.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Those of the engine.
    #[error("the stored state of the engine is not usable")]
    Engine(#[from] muster_engine::RestoreError),
    /// Those of the master.
    #[error("the stored state of the master is not usable")]
    Master(#[from] muster_master::core::RestoreError),
    /// Those of the session.
    #[error("the stored state of the session is not usable")]
    Session(#[from] muster_session::InvalidSession),
    /// The kind of master that they are of.
    #[error("the stored state of the session is not usable")]
    MasterKind(#[from] muster_session::InvalidMasterKind),
    /// What is alive is on the hosts of another master.
    #[error(transparent)]
    OtherMaster(#[from] OtherMaster),
}
