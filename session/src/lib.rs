//! Our framework's side of Mesos, as a pure translation: what the engine wants becomes calls of
//! the scheduler API, and what the master says becomes events of the engine.
//!
//! Two things are decided here: which Mesos status means what, in [`verdict`], and how a master that
//! is not in this process is found and kept, in [`link`].

mod calls;
mod describe;
mod events;
pub mod link;
mod master;
mod session;
pub mod verdict;

pub use calls::call;
pub use describe::{
    BUILTIN_COMMAND, FETCHED_COMMAND, describe_executor, describe_fetched_executor, label_sha256,
};
pub use master::{InvalidMasterKind, MasterKind};
pub use session::{Identity, InvalidSession, Session, Translated};
