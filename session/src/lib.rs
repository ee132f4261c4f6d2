//! Our framework's side of Mesos, as a pure translation: what the engine wants becomes calls of
//! the scheduler API, and what the master says becomes events of the engine.
//!
//! Nothing is decided here, but for one thing: which Mesos status means what, in [`verdict`].

mod calls;
mod describe;
mod events;
mod session;
pub mod verdict;

pub use calls::call;
pub use describe::{BUILTIN_COMMAND, describe_executor, label_sha256};
pub use session::{InvalidSession, Session, Translated};
