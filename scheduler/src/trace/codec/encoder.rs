//! Events to the bytes of a record.

use std::collections::BTreeMap;

use muster_api::{AgentId, AppName, JobName, Timestamp, events::TraceEvent, limits};
use uuid::Uuid;

use super::{BEFORE, FIELDS, Field, NEW, NOTHING, VERSION, blank, kind_number, source_number};
use crate::trace::bytes::{put_number, put_optional, put_signed};

/// The record of as many of these events as belong into one, at least one of them, and how many
/// those are. `before` is the number of events that were ever logged before them.
pub(in crate::trace) fn encode(
    sequence: u64,
    before: u64,
    events: &[TraceEvent],
) -> (Vec<u8>, usize) {
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
