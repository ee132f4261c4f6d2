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

use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

use muster_api::{
    AgentId, AppName, ExecutorId, JobName, RunId, TaskId, Timestamp,
    events::{EventKind, EventSource, TraceEvent},
    limits,
};
use uuid::Uuid;

use super::bytes::{Taker, put_number, put_optional, put_signed};

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

/// The record of as many of these events as belong into one, at least one of them, and how many
/// those are. `before` is the number of events that were ever logged before them.
pub(super) fn encode(sequence: u64, before: u64, events: &[TraceEvent]) -> (Vec<u8>, usize) {
    let mut encoder = Encoder::default();
    let blank = blank(sequence);
    let mut last = &blank;
    let mut rows = 0;
    for event in events.iter().take(limits::RECORD_EVENTS) {
        encoder.row(last, event);
        (last, rows) = (event, rows + 1);
        if encoder.bytes.len() >= limits::RECORD_EVENT_BYTES {
            break;
        }
    }
    let mut bytes = vec![VERSION];
    put_number(&mut bytes, rows as u64);
    put_number(&mut bytes, before);
    bytes.append(&mut encoder.bytes);
    (bytes, rows)
}

/// What is known of a record while it is made.
#[derive(Debug, Default)]
struct Encoder<'a> {
    bytes: Vec<u8>,
    texts: BTreeMap<&'a str, u64>,
    ids: BTreeMap<Uuid, u64>,
}

/// A reference is to nothing, to something new that follows, or to something that came before.
const NOTHING: u64 = 0;
const NEW: u64 = 1;
const BEFORE: u64 = 2;

impl<'a> Encoder<'a> {
    fn row(&mut self, last: &TraceEvent, event: &'a TraceEvent) {
        let differ = FIELDS.into_iter().filter(|field| field.differs(last, event));
        let mask = differ.fold(0, |mask, field| mask | field.bit());
        put_number(&mut self.bytes, u64::from(mask));
        for field in FIELDS.into_iter().filter(|field| mask & field.bit() != 0) {
            self.field(field, last, event);
        }
    }

    fn field(&mut self, field: Field, last: &TraceEvent, event: &'a TraceEvent) {
        match field {
            Field::Task => self.id(event.task.map(|id| *id.as_uuid())),
            Field::Run => self.id(event.run.map(|id| *id.as_uuid())),
            Field::Executor => self.id(event.executor.map(|id| *id.as_uuid())),
            Field::Replaces => self.id(event.replaces.map(|id| *id.as_uuid())),
            Field::Agent => self.text(event.agent.as_ref().map(AgentId::as_str)),
            Field::Hostname => self.text(event.hostname.as_deref()),
            Field::State => self.text(Some(&event.state)),
            Field::Message => self.text(event.message.as_deref().map(first_bytes)),
            Field::App => self.text(event.app.as_ref().map(AppName::as_str)),
            Field::Job => self.text(event.job.as_ref().map(JobName::as_str)),
            Field::Actor => self.text(event.actor.as_deref()),
            Field::Item => put_optional(&mut self.bytes, event.item.map(u64::from)),
            Field::Attempt => put_optional(&mut self.bytes, event.attempt.map(u64::from)),
            Field::Count => put_optional(&mut self.bytes, event.count),
            Field::Version => put_optional(&mut self.bytes, event.version),
            Field::ExitCode => {
                let code = event.exit_code.map(|code| u64::from(code.cast_unsigned()));
                put_optional(&mut self.bytes, code);
            }
            Field::At => put_signed(&mut self.bytes, difference(event.at, last.at)),
            Field::StartedAt => self.time(event.started_at, event.at),
            Field::PlannedAt => self.time(event.planned_at, event.at),
            Field::PlannedUntil => self.time(event.planned_until, event.at),
            Field::Kind => self.bytes.push(kind_number(event.kind)),
            Field::Source => self.bytes.push(source_number(event.source)),
        }
    }

    fn id(&mut self, id: Option<Uuid>) {
        let Some(id) = id else { return put_number(&mut self.bytes, NOTHING) };
        let next = self.ids.len() as u64;
        match *self.ids.entry(id).or_insert(next) {
            known if known < next => put_number(&mut self.bytes, BEFORE + known),
            _ => {
                put_number(&mut self.bytes, NEW);
                self.bytes.extend_from_slice(id.as_bytes());
            }
        }
    }

    fn text(&mut self, text: Option<&'a str>) {
        let Some(text) = text else { return put_number(&mut self.bytes, NOTHING) };
        let next = self.texts.len() as u64;
        match *self.texts.entry(text).or_insert(next) {
            known if known < next => put_number(&mut self.bytes, BEFORE + known),
            _ => {
                put_number(&mut self.bytes, NEW);
                put_number(&mut self.bytes, text.len() as u64);
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// A time that may be missing, as what it differs from the time of its event.
    fn time(&mut self, time: Option<Timestamp>, at: Timestamp) {
        self.bytes.push(u8::from(time.is_some()));
        if let Some(time) = time {
            put_signed(&mut self.bytes, difference(time, at));
        }
    }
}

fn difference(time: Timestamp, from: Timestamp) -> i64 {
    time.as_millis().wrapping_sub(from.as_millis())
}

/// The first bytes of a message that are whole characters.
fn first_bytes(message: &str) -> &str {
    &message[..message.floor_char_boundary(limits::EVENT_MESSAGE_BYTES)]
}

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
    }
}

fn source_number(source: EventSource) -> u8 {
    match source {
        EventSource::Scheduler => 0,
        EventSource::Agent => 1,
        EventSource::Executor => 2,
    }
}

/// A stored record of events, whose rows are read one by one.
#[derive(Debug)]
pub struct Record<'a> {
    rows: Taker<'a>,
    left: u64,
    count: u64,
    before: u64,
    texts: Vec<&'a str>,
    ids: Vec<Uuid>,
    row: TraceEvent,
}

impl<'a> Record<'a> {
    /// The record in some bytes that were stored under a sequence.
    pub fn open(sequence: u64, bytes: &'a [u8]) -> Result<Self, InvalidEvents> {
        let Some((&VERSION, rest)) = bytes.split_first() else {
            return Err(InvalidEvents::Version { found: bytes.first().copied() });
        };
        let mut rows = Taker(rest);
        let count = rows.number().ok_or(InvalidEvents::Damaged)?;
        let before = rows.number().ok_or(InvalidEvents::Damaged)?;
        let (texts, ids) = (Vec::new(), Vec::new());
        Ok(Self { rows, left: count, count, before, texts, ids, row: blank(sequence) })
    }

    /// How many events it holds.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many events were ever logged before those.
    pub fn before(&self) -> u64 {
        self.before
    }

    /// The next event, or nothing when that was all.
    pub fn next_row(&mut self) -> Result<Option<&TraceEvent>, InvalidEvents> {
        if self.left == 0 {
            return if self.rows.0.is_empty() { Ok(None) } else { Err(InvalidEvents::Damaged) };
        }
        self.left -= 1;
        match self.row() {
            Some(()) => Ok(Some(&self.row)),
            None => {
                self.left = 0;
                Err(InvalidEvents::Damaged)
            }
        }
    }

    fn row(&mut self) -> Option<()> {
        let mask = u32::try_from(self.rows.number()?).ok()?;
        let known = FIELDS.into_iter().fold(0, |known, field| known | field.bit());
        if mask & !known != 0 {
            return None;
        }
        for field in FIELDS.into_iter().filter(|field| mask & field.bit() != 0) {
            self.field(field)?;
        }
        Some(())
    }

    fn field(&mut self, field: Field) -> Option<()> {
        match field {
            Field::Task => self.row.task = self.id()?.map(TaskId::from_uuid),
            Field::Run => self.row.run = self.id()?.map(RunId::from_uuid),
            Field::Executor => self.row.executor = self.id()?.map(ExecutorId::from_uuid),
            Field::Replaces => self.row.replaces = self.id()?.map(TaskId::from_uuid),
            Field::Agent => self.row.agent = self.name()?,
            Field::Hostname => self.row.hostname = self.text()?.map(str::to_owned),
            Field::State => self.row.state = Cow::Owned(self.text()??.to_owned()),
            Field::Message => self.row.message = self.text()?.map(str::to_owned),
            Field::App => self.row.app = self.name()?,
            Field::Job => self.row.job = self.name()?,
            Field::Actor => self.row.actor = self.text()?.map(str::to_owned),
            Field::Item => self.row.item = self.small()?,
            Field::Attempt => self.row.attempt = self.small()?,
            Field::Count => self.row.count = self.rows.optional()?,
            Field::Version => self.row.version = self.rows.optional()?,
            Field::ExitCode => self.row.exit_code = self.small()?.map(u32::cast_signed),
            Field::At => {
                let at = self.row.at.as_millis().wrapping_add(self.rows.signed()?);
                self.row.at = Timestamp::from_millis(at);
            }
            Field::StartedAt => self.row.started_at = self.time()?,
            Field::PlannedAt => self.row.planned_at = self.time()?,
            Field::PlannedUntil => self.row.planned_until = self.time()?,
            Field::Kind => {
                let number = self.rows.byte()?;
                let named = |kind: &EventKind| kind_number(*kind) == number;
                self.row.kind = EventKind::ALL.into_iter().find(named)?;
            }
            Field::Source => {
                let number = self.rows.byte()?;
                let named = |source: &EventSource| source_number(*source) == number;
                self.row.source = EventSource::ALL.into_iter().find(named)?;
            }
        }
        Some(())
    }

    fn id(&mut self) -> Option<Option<Uuid>> {
        Some(Some(match self.rows.number()? {
            NOTHING => return Some(None),
            NEW => {
                let id = Uuid::from_slice(self.rows.bytes(16)?).ok()?;
                self.ids.push(id);
                id
            }
            known => *self.ids.get(usize::try_from(known - BEFORE).ok()?)?,
        }))
    }

    fn text(&mut self) -> Option<Option<&'a str>> {
        Some(Some(match self.rows.number()? {
            NOTHING => return Some(None),
            NEW => {
                let length = usize::try_from(self.rows.number()?).ok()?;
                let text = str::from_utf8(self.rows.bytes(length)?).ok()?;
                self.texts.push(text);
                text
            }
            known => self.texts.get(usize::try_from(known - BEFORE).ok()?)?,
        }))
    }

    fn name<T: FromStr>(&mut self) -> Option<Option<T>> {
        match self.text()? {
            None => Some(None),
            Some(text) => text.parse().ok().map(Some),
        }
    }

    fn small(&mut self) -> Option<Option<u32>> {
        match self.rows.optional()? {
            None => Some(None),
            Some(number) => u32::try_from(number).ok().map(Some),
        }
    }

    fn time(&mut self) -> Option<Option<Timestamp>> {
        Some(match self.rows.byte()? {
            0 => None,
            1 => {
                let difference = self.rows.signed()?;
                Some(Timestamp::from_millis(self.row.at.as_millis().wrapping_add(difference)))
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
