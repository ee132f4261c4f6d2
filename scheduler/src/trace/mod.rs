//! The log of events: what happened, kept, asked for and streamed.
//!
//! All events of one commit are one record of history, written in that commit: `h/l/{sequence}`.
//! The sequence is the Unix milliseconds of the commit, or one more than that of the record before
//! where that is more, so it grows over restarts, restored backups and clocks that are set back,
//! and the keys are in the order of time. Only a commit with very many events has several records.

mod audit;
mod bytes;
mod codec;
mod filter;
mod log;
mod reader;
mod starts;

pub use audit::{Actor, Change};
pub use codec::{InvalidEvents, Record};
pub(crate) use filter::EventFilter;
pub use log::{EVENTS, EventLog, LogError, NewestEvent, event_key, sequence_of};
pub(crate) use reader::{Older, Since, is_forgotten, newer, older};
pub(crate) use starts::starts;
