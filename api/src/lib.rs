//! The vocabulary of Muster: what its parts say to each other and to their users.
//!
//! Values are made by parsing and hold their invariants from then on. Nothing here does I/O,
//! except [`clock`], the one place where the clocks of the machine are read.

pub mod clock;
pub mod events;
pub mod explain;
mod ids;
pub mod limits;
pub mod notices;
mod resources;
pub mod schedule;
pub mod spec;
pub mod step;
pub mod task;
mod time;
pub mod views;

pub use ids::{
    AgentId, AppName, AppUid, ExecutorId, IdStream, InvalidId, InvalidName, JobName, JobUid,
    NoticeId, OfferId, RunId, TaskId,
};
pub use resources::{Amount, InvalidAmount, InvalidResources, Resources};
pub use time::{InvalidSpan, InvalidTimestamp, Mono, Now, Span, Timestamp};
