//! How events are stored: a row says what is different from the row before it.
//!
//! ```text
//! record = version, number of rows, number of events that were ever logged before, rows
//! row    = mask of the fields that differ, those fields in the order of `Field`
//! ```
//!
//! Numbers are varints. A text or an id that came before in the same record is its number there.
//! So the tenth of many tasks that end is its own 16 bytes, its item and its times, and little
//! else. These bytes are on disks: a field may be added behind the last, and nothing be changed.

mod encoder;
mod record;

use muster_api::{
    Timestamp,
    events::{EventKind, EventSource, TraceEvent},
};

pub(super) use encoder::encode;
pub use record::Record;

/// A stored record of events that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvents {
    /// It was written by a newer Muster, or by something else.
    #[error(
        "the record begins with version {found:?}, and {VERSION} is the newest that is understood"
    )]
    Version {
        /// The first byte.
        found: Option<u8>,
    },
    /// The bytes are not what was written.
    #[error("the record is damaged")]
    Damaged,
}

const VERSION: u8 = 1;

/// The fields of a row. Their places in the mask are on disks; those that differ from row to row
/// come first, for then the mask is one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Field {
    Task,
    Item,
    At,
    StartedAt,
    Executor,
    Agent,
    Hostname,
    State,
    Run,
    Attempt,
    Message,
    ExitCode,
    Kind,
    Source,
    Replaces,
    App,
    Job,
    PlannedAt,
    PlannedUntil,
    Count,
    Version,
    Actor,
}

const FIELDS: [Field; 22] = [
    Field::Task,
    Field::Item,
    Field::At,
    Field::StartedAt,
    Field::Executor,
    Field::Agent,
    Field::Hostname,
    Field::State,
    Field::Run,
    Field::Attempt,
    Field::Message,
    Field::ExitCode,
    Field::Kind,
    Field::Source,
    Field::Replaces,
    Field::App,
    Field::Job,
    Field::PlannedAt,
    Field::PlannedUntil,
    Field::Count,
    Field::Version,
    Field::Actor,
];

impl Field {
    const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// Whether two events differ in it.
    fn differs(self, a: &TraceEvent, b: &TraceEvent) -> bool {
        match self {
            Self::Task => a.task != b.task,
            Self::Item => a.item != b.item,
            Self::At => a.at != b.at,
            Self::StartedAt => a.started_at != b.started_at,
            Self::Executor => a.executor != b.executor,
            Self::Agent => a.agent != b.agent,
            Self::Hostname => a.hostname != b.hostname,
            Self::State => a.state != b.state,
            Self::Run => a.run != b.run,
            Self::Attempt => a.attempt != b.attempt,
            Self::Message => a.message != b.message,
            Self::ExitCode => a.exit_code != b.exit_code,
            Self::Kind => a.kind != b.kind,
            Self::Source => a.source != b.source,
            Self::Replaces => a.replaces != b.replaces,
            Self::App => a.app != b.app,
            Self::Job => a.job != b.job,
            Self::PlannedAt => a.planned_at != b.planned_at,
            Self::PlannedUntil => a.planned_until != b.planned_until,
            Self::Count => a.count != b.count,
            Self::Version => a.version != b.version,
            Self::Actor => a.actor != b.actor,
        }
    }
}

/// What the first row of a record differs from.
fn blank(sequence: u64) -> TraceEvent {
    let at = Timestamp::from_millis(i64::try_from(sequence).unwrap_or(i64::MAX));
    TraceEvent::new(at, EventKind::Task, "", EventSource::Scheduler)
}

/// A reference is to nothing, to something new that follows, or to something that came before.
const NOTHING: u64 = 0;
const NEW: u64 = 1;
const BEFORE: u64 = 2;

/// The number of a kind is on disks.
fn kind_number(kind: EventKind) -> u8 {
    match kind {
        EventKind::Task => 0,
        EventKind::Run => 1,
        EventKind::Fire => 2,
        EventKind::Execution => 3,
        EventKind::Host => 4,
        EventKind::Notice => 5,
        EventKind::Change => 6,
        EventKind::Scheduler => 7,
        EventKind::Executor => 8,
        EventKind::Other => u8::MAX,
    }
}

fn source_number(source: EventSource) -> u8 {
    match source {
        EventSource::Scheduler => 0,
        EventSource::Agent => 1,
        EventSource::Executor => 2,
    }
}

#[cfg(test)]
mod tests;
