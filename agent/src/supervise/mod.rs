//! The supervisor: the small process that is the parent of one executor.
//!
//! It keeps the executor's exit status, its lease, and the promise that an executor's end is
//! reported only when nothing that it started is left. It needs no agent for any of that.

mod core;
mod orders;
mod process;
pub(crate) mod protocol;
mod spawn;

pub use core::{Effect, Event, Exit, Supervisor, Why};
pub use orders::{Orders, Overlong};
pub use process::main;
pub use protocol::{Program, Spec};

pub(crate) use process::{EXIT_FILE, LOCK_FILE, SOCKET_FILE, SPEC_FILE};
pub(crate) use protocol::{FromSupervisor, ToSupervisor, line};
