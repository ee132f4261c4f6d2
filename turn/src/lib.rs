//! One turn of the scheduler: the engine, its session and the embedded master, as one pure step.
//!
//! Engine and master speak Mesos messages with each other, as values. A turn goes on until both
//! are at rest; its writes are one commit, and then its effects may leave.

mod hosts;
mod load;
mod news;
mod turn;

pub use load::Loader;
pub use turn::{Core, Effect, Event, RestoreError, Turn};
