//! The reading side of the log: page by page from the newest on, or on from some event.
//!
//! Either way a call looks through so many records at most, however few events of them are wanted,
//! and says where it stopped.

use muster_api::{
    Timestamp,
    events::{EventId, EventView, TraceEvent},
    limits,
};

use super::{
    EventFilter,
    codec::{InvalidEvents, Record},
    log::{EVENTS, event_key, sequence_of},
};
use crate::{
    store::{History, Row, StoreError},
    walk::{Direction, Walk},
};

/// Wanted events, the newest first.
#[derive(Debug)]
pub(crate) struct Older {
    pub(crate) events: Vec<EventView>,
    /// Where older ones may be, if there may be any: before this one.
    pub(crate) next: Option<EventId>,
}

/// The newest wanted events before one, or of all; `rows` of them at most.
pub(crate) fn older(
    history: &dyn History,
    filter: &EventFilter,
    before: Option<EventId>,
    rows: usize,
    now: Timestamp,
) -> Result<Older, StoreError> {
    let newest = history.scan(EVENTS.as_bytes(), None, true, 1)?.pop();
    let newest = newest.and_then(|(key, _)| sequence_of(&key)).unwrap_or(0);
    let first = filter.first_sequence();
    // The record of that event itself may hold others before it.
    let end = before.map_or(u64::MAX, |id| id.sequence.saturating_add(1));
    let end = event_key(end.min(filter.end_sequence(newest, now)));
    let mut walk = Walk::new(history, EVENTS.into(), Direction::Down, Some(end));
    let mut budget = Budget::default();
    let mut events = Vec::new();
    while let Some(row) = walk.take()? {
        let Some(sequence) = sequence_of(&row.0) else { continue };
        if sequence < first {
            break;
        }
        let is_before = |id: EventId| before.is_none_or(|before| id < before);
        let mut found =
            wanted(sequence, &row, |id, event| is_before(id) && filter.wants(sequence, event, now));
        found.reverse();
        events.append(&mut found);
        if events.len() > rows {
            events.truncate(rows);
            let next = events.last().map(|event| event.id);
            return Ok(Older { events, next });
        }
        if budget.is_spent_by(&row) {
            return Ok(Older { events, next: Some(EventId { sequence, index: 0 }) });
        }
    }
    Ok(Older { events, next: None })
}

/// What came after an event.
#[derive(Debug)]
pub(crate) struct Since {
    /// Those of it that are wanted, in order.
    pub(crate) events: Vec<EventView>,
    /// Up to where that is all.
    pub(crate) upto: EventId,
    /// Whether there may be more already.
    pub(crate) more: bool,
}

/// The first events after one, of those up to `newest`.
pub(crate) fn newer(
    history: &dyn History,
    filter: &EventFilter,
    after: EventId,
    newest: EventId,
    now: Timestamp,
) -> Result<Since, StoreError> {
    // The record of that event itself may hold others after it.
    let start = after.sequence.checked_sub(1).map(event_key);
    let rows =
        history.scan(EVENTS.as_bytes(), start.as_deref(), false, limits::EVENT_STREAM_RECORDS)?;
    let (mut events, mut upto) = (Vec::new(), newest.max(after));
    let (mut more, mut bytes) = (false, 0);
    for (seen, row) in rows.iter().enumerate() {
        let Some(sequence) = sequence_of(&row.0) else { continue };
        if sequence > newest.sequence {
            break;
        }
        let mut found =
            wanted(sequence, row, |id, event| id > after && filter.wants(sequence, event, now));
        bytes += found.iter().map(|view| text_bytes(&view.event)).sum::<usize>();
        events.append(&mut found);
        let is_last = seen + 1 == limits::EVENT_STREAM_RECORDS;
        if (is_last || bytes >= limits::EVENT_STREAM_BYTES) && sequence < newest.sequence {
            upto = EventId { sequence, index: u32::MAX };
            more = true;
            break;
        }
    }
    Ok(Since { events, upto, more })
}

/// About how much an event is as a text: a record may say once what many of its events have.
fn text_bytes(event: &TraceEvent) -> usize {
    /// Names of fields, ids, times and numbers.
    const FIXED: usize = 500;
    FIXED + event.message.as_ref().map_or(0, String::len)
}

/// Whether events after one may have been forgotten, because the log begins behind it.
pub(crate) fn is_forgotten(history: &dyn History, after: EventId) -> Result<bool, StoreError> {
    let oldest = history.scan(EVENTS.as_bytes(), None, false, 1)?.pop();
    let Some((key, value)) = oldest else { return Ok(false) };
    let Some(sequence) = sequence_of(&key) else { return Ok(false) };
    // Where nothing was ever forgotten, no event came before the oldest record.
    let before = Record::open(sequence, &value).map_or(0, |record| record.before());
    Ok(before > 0 && after.sequence < sequence)
}

/// The events of a record that are wanted, in order. A record that cannot be read is
/// left where it is, for somebody to look at, and does not keep people from the others.
fn wanted(
    sequence: u64,
    (key, value): &Row,
    is_wanted: impl Fn(EventId, &TraceEvent) -> bool,
) -> Vec<EventView> {
    let mut events = Vec::new();
    let mut each = |index: u32, event: &TraceEvent| {
        let id = EventId { sequence, index };
        if is_wanted(id, event) {
            events.push(EventView { id, event: event.clone() });
        }
    };
    if let Err(error) = read(sequence, value, &mut each) {
        let key = key.escape_ascii();
        tracing::warn!(%key, %error, "a stored record is damaged");
    }
    events
}

fn read(
    sequence: u64,
    value: &[u8],
    each: &mut dyn FnMut(u32, &TraceEvent),
) -> Result<(), InvalidEvents> {
    let mut record = Record::open(sequence, value)?;
    let mut index = 0;
    while let Some(event) = record.next_row()? {
        each(index, event);
        index += 1;
    }
    Ok(())
}

/// How much one call has looked through.
#[derive(Debug, Default)]
pub(super) struct Budget {
    records: usize,
    bytes: usize,
}

impl Budget {
    pub(super) fn is_spent_by(&mut self, (_, value): &Row) -> bool {
        self.records += 1;
        self.bytes += value.len();
        self.records >= limits::EVENT_RECORDS_PER_PAGE || self.bytes >= limits::EVENT_BYTES_PER_PAGE
    }
}

#[cfg(test)]
mod tests;
