//! Recordings of a real Mesos, sent again: what comes back is held against what was recorded.
//!
//! A recording is a list of lines in their order: requests with their answers, events as they came,
//! and what happened to processes. Ids that the other side makes up are learned from the first
//! place where they occur, and stand for each other from then on.

mod accepted;
mod compare;
mod executors;
mod names;
mod offers;
mod player;
mod recording;
mod setting;
mod subjects;

pub use accepted::{Accepted, InvalidAccepted};
pub use player::Player;
pub use recording::{Recording, Unreadable};
pub use setting::Setting;

/// A difference between a recording and what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The recording.
    pub scenario: String,
    /// Where in it: `STEP answer/...` or `event TYPE SUBJECT/...`.
    pub place: String,
    /// What was recorded and what came.
    pub what: String,
}
