//! The pure core of the agent: what it knows, and what it decides.
//!
//! [`Agent::step`] is given the time and one event and answers with what to journal and what to do
//! then. No I/O, clock, entropy or task is in here; the shell around it translates, and the
//! simulation drives the same code.

mod agent;
mod blame;
mod brevity;
mod call;
mod command_task;
mod delivery;
mod disown;
mod early;
mod ends;
mod event;
mod executors;
mod journal;
mod launch;
mod link;
mod messages;
mod names;
mod orders;
mod origin;
mod outline;
mod overdue;
mod overview;
mod restore;
mod statuses;
mod strays;
mod subscription;
mod verdicts;

pub use agent::{Agent, Config, Identity, RestoreError};
pub use call::{Answer, Bearer, Call, What};
pub use event::{Effect, Event, Note, Step, Write};
pub use journal::{Ending, Entry, Exited, Kind, Known, KnownExecutor, KnownTask, Named};
pub use names::{Connection, Container, ExecutorKey, Request, Session, TaskKey};
pub use origin::Origin;
pub use overview::{ExecutorView, Overview};
