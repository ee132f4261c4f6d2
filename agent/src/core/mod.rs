//! The pure core of the agent: what it knows, and what it decides.
//!
//! [`Agent::step`] is given the time and one event and answers with what to journal and what to do
//! then. No I/O, clock, entropy or task is in here; the shell around it translates, and the
//! simulation drives the same code.

mod agent;
mod blame;
mod disown;
mod event;
mod executors;
mod journal;
mod launch;
mod link;
mod messages;
mod overdue;
mod statuses;
mod subscription;

pub use agent::{Agent, Config, Identity, RestoreError};
pub use event::{Connection, Effect, Event, Note, Session, Step, TaskKey, Write};
pub use journal::{Ending, Entry, Exited, Kind, Known, KnownExecutor, KnownTask};
