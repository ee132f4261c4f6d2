//! The protocol between our agents and our master.
//!
//! The agent dials: `POST` [`STREAM_PATH`] with `Upgrade: muster-agent/1`. After the switch both
//! sides send RecordIO, the agent [`FromAgent`] and the master [`FromMaster`], any number to a
//! write. The order is:
//!
//! 1. master: [`Challenge`] with a nonce;
//! 2. agent: [`Hello`] with its own nonce, its proof, and all that lives on it;
//! 3. master: [`Welcome`] with its proof and the agent's id, or [`Refused`] and the end;
//! 4. agent: a [`Heartbeat`] at once and then every 5 s, and all statuses that wait for their
//!    acknowledgement; master: launches, kills, acknowledgements.
//!
//! Proofs are HMAC-SHA256 with the join token as key: the agent's over
//! `"muster agent 1" ‖ master nonce ‖ agent nonce`, the master's over
//! `"muster master 1" ‖ agent nonce ‖ master nonce`. The token itself is never sent.
//!
//! An agent that an operator has declared gone is refused with that word, and with the master's
//! proof. It ends all its executors, forgets its id, and registers as another agent once nothing of
//! its former life is left.
//!
//! Every message carries the master's term. An agent refuses messages of a term lower than the
//! highest that it has seen. Unknown fields are ignored; a message whose body is of an unknown
//! kind is answered with [`Unsupported`].

mod from_agent;
mod from_master;

use prost::{Enumeration, Message};
use sha2::{Digest, Sha256};

use crate::ExecutorInfo;

pub use from_agent::{
    AgentBody, ExecutorExited, ExecutorHere, ExecutorMessage, FromAgent, Heartbeat, Hello, LogData,
    Status, TaskHere,
};
pub use from_master::{
    Acknowledge, Challenge, FrameworkMessage, FromMaster, HeartbeatAnswer, Kill, Launch,
    LaunchGroup, MasterBody, MessageTaken, ReadLog, Refused, ShutdownExecutor, Welcome,
};

/// The path on the master where agents open their stream.
pub const STREAM_PATH: &str = "/muster/v1/agent";
/// The protocol named in the `Upgrade` header of that request.
pub const STREAM_UPGRADE: &str = "muster-agent/1";
/// The version of this protocol that is spoken here.
pub const VERSION: u32 = 2;
/// The oldest version that is still understood.
pub const OLDEST_VERSION: u32 = 1;
/// From this version on agents understand a [`LaunchGroup`] that carries its executor once.
pub const GROUP_HAS_EXECUTOR: u32 = 2;

/// The bytes that an agent's proof is made over.
pub fn agent_proof_input(master_nonce: &[u8], agent_nonce: &[u8]) -> Vec<u8> {
    [b"muster agent 1".as_slice(), master_nonce, agent_nonce].concat()
}

/// The bytes that a master's proof is made over.
pub fn master_proof_input(master_nonce: &[u8], agent_nonce: &[u8]) -> Vec<u8> {
    [b"muster master 1".as_slice(), agent_nonce, master_nonce].concat()
}

/// What an [`ExecutorHere`] is known by in place of its description, which may be long.
pub fn executor_digest(info: &ExecutorInfo) -> Vec<u8> {
    Sha256::digest(info.encode_to_vec()).to_vec()
}

/// Who wants something launched: the agent owes more to Muster's own engine than to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Launcher {
    /// A master from before this was said. The executors of the engine have a label of its own.
    Unsaid = 0,
    /// Muster's engine, in the process of the master.
    Engine = 1,
    /// A framework over HTTP, whatever the labels on its tasks.
    Framework = 2,
}

/// What the master believes of the executor of a launch, whose resources it has counted accordingly.
/// Launches may cross the end of an executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Expected {
    /// A master from before this was said, or there is none.
    Unsaid = 0,
    /// It begins with this launch.
    New = 1,
    /// It lives.
    Alive = 2,
}

/// A message was of a kind that its receiver does not know.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Unsupported {}
