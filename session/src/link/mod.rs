//! The link to a master that is not in this process, as a pure core: which master is tried when,
//! what its answers mean, and when it counts as lost.
//!
//! The shell around it connects, sends and reads; it decides nothing.

mod accept;
mod address;
mod answers;
mod endings;
mod event;
mod in_flight;
mod pace;
mod state;

pub use address::{InvalidAddress, MasterAddress, Masters};
pub use event::{Answer, Attempt, CallNumber, Effect, Event, Heard, Note, Outcome, Step};
pub use state::Link;
