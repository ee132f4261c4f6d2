//! One turn of the scheduler: the engine, its session and the embedded master, as one pure step.
//!
//! Engine and master speak Mesos messages with each other, as values. A turn goes on until both
//! are at rest; its writes are one commit, and then its effects may leave. Where the master is
//! another process, the link to it takes the place of ours: what it is told are effects of the turn.

mod event;
mod frameworks;
mod hosts;
mod load;
mod moving;
mod news;
mod start;
mod turn;
mod upstream;

pub use event::{Effect, Event, RestoreError, Turn};
pub use load::Loader;
pub use moving::OtherMaster;
pub use turn::Core;
pub use upstream::Foreign;
