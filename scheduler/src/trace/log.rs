//! The writing side of the log, which the driver owns.

use muster_api::{
    Timestamp,
    events::{EventId, TraceEvent},
    step::Write,
};
use tokio::sync::watch;

use super::codec::{InvalidEvents, Record, encode};
use crate::store::{History, StoreError};

/// Key prefix of the log of events.
pub const EVENTS: &str = "h/l/";

/// Key of a record of the log.
pub fn event_key(sequence: u64) -> Vec<u8> {
    format!("{EVENTS}{sequence:020}").into_bytes()
}

/// The sequence in the key of a record of the log; none if it is the key of something else.
pub fn sequence_of(key: &[u8]) -> Option<u64> {
    let digits = key.strip_prefix(EVENTS.as_bytes()).filter(|digits| digits.len() == 20)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// Why the log cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store cannot be read.
    #[error("cannot read the log of events")]
    Store(#[from] StoreError),
    /// Its newest record cannot be read.
    #[error("the newest record of the log of events, `{key}`, cannot be read")]
    Record {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: InvalidEvents,
    },
}

/// Tells those who stream events how far the log reaches: where the newest event is, once it is
/// durable. When nobody tells any more, the scheduler stops.
pub type NewestEvent = watch::Receiver<EventId>;

/// The end of the log, where events are added.
#[derive(Debug)]
pub struct EventLog {
    /// The newest event that was made ready to be written.
    newest: EventId,
    /// How many events were ever logged.
    count: u64,
    durable: watch::Sender<EventId>,
}

impl EventLog {
    /// The log in a store, to go on with.
    pub fn open(history: &dyn History) -> Result<Self, LogError> {
        let mut log =
            Self { newest: EventId::default(), count: 0, durable: watch::Sender::default() };
        let newest = history.scan(EVENTS.as_bytes(), None, true, 1)?.pop();
        if let Some((key, value)) = newest {
            let damaged = |source| LogError::Record { key: key.escape_ascii().to_string(), source };
            let sequence = sequence_of(&key).ok_or(damaged(InvalidEvents::Damaged))?;
            let record = Record::open(sequence, &value).map_err(damaged)?;
            log.newest = EventId { sequence, index: last_index(record.count()) };
            log.count = record.before() + record.count();
        }
        log.durable.send_replace(log.newest);
        Ok(log)
    }

    /// Whoever listens for what is durable.
    pub fn listen(&self) -> NewestEvent {
        self.durable.subscribe()
    }

    /// The writes of what happened, for the commit of what it followed from. No event is later than
    /// its record, whatever its source says: what is found by time relies on that.
    pub fn write(&mut self, now: Timestamp, mut events: Vec<TraceEvent>) -> Vec<Write> {
        debug_assert!(
            events.iter().all(|event| event.kind.has_state(&event.state)),
            "an event has a state that nobody can ask for: {events:#?}"
        );
        let now = u64::try_from(now.as_millis()).unwrap_or(0);
        let mut writes = Vec::new();
        let mut rest = events.as_mut_slice();
        while !rest.is_empty() {
            let sequence = now.max(self.newest.sequence + 1);
            let latest = Timestamp::from_millis(i64::try_from(sequence).unwrap_or(i64::MAX));
            rest.iter_mut().for_each(|event| event.at = event.at.min(latest));
            let (value, rows) = encode(sequence, self.count, rest);
            writes.push(Write::Put { key: event_key(sequence), value });
            self.newest = EventId { sequence, index: last_index(rows as u64) };
            self.count += rows as u64;
            rest = &mut rest[rows..];
        }
        writes
    }

    /// What was written is durable, and may be told.
    pub fn committed(&self) {
        self.durable.send_if_modified(|durable| {
            let is_news = *durable != self.newest;
            *durable = self.newest;
            is_news
        });
    }
}

fn last_index(count: u64) -> u32 {
    u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use muster_api::events::{EventKind, EventSource};

    use super::*;
    use crate::store::{Commit, MemoryDisk, MemoryStore, State};

    fn event(at: i64) -> TraceEvent {
        let at = Timestamp::from_millis(at);
        TraceEvent::new(at, EventKind::Task, "running", EventSource::Executor)
    }

    fn sequences(writes: &[Write]) -> Vec<u64> {
        writes.iter().filter_map(|write| sequence_of(write.key())).collect()
    }

    #[test]
    fn ids_grow_over_restarts_and_over_clocks_that_are_set_back() {
        let disk = MemoryDisk::default();
        let mut store = MemoryStore::open(&disk);
        let mut log = EventLog::open(&disk).unwrap();
        let at = Timestamp::from_millis;
        assert!(log.write(at(5_000), Vec::new()).is_empty(), "nothing happened");
        let first = log.write(at(5_000), vec![event(4_000), event(9_000)]);
        let second = log.write(at(5_000), vec![event(1)]);
        assert_eq!((sequences(&first), sequences(&second)), (vec![5_000], vec![5_001]));
        let mut newest = log.listen();
        assert_eq!(*newest.borrow_and_update(), EventId::default(), "nothing is durable");
        let writes = [first, second].concat();
        store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).unwrap();
        log.committed();
        assert_eq!(*newest.borrow_and_update(), EventId { sequence: 5_001, index: 0 });

        let mut again = EventLog::open(&disk).unwrap();
        assert_eq!(*again.listen().borrow(), EventId { sequence: 5_001, index: 0 });
        let writes = again.write(at(-7), vec![event(1)]);
        assert_eq!(sequences(&writes), [5_002], "the clock was set back");
        let Write::Put { value, .. } = &writes[0] else { panic!("it is written") };
        assert_eq!(Record::open(5_002, value).unwrap().before(), 3, "events are counted on");

        let value = History::get(&disk, &event_key(5_000)).unwrap().unwrap();
        let mut record = Record::open(5_000, &value).unwrap();
        assert_eq!(record.next_row().unwrap().unwrap().at, at(4_000));
        assert_eq!(record.next_row().unwrap().unwrap().at, at(5_000), "not later than its record");
    }

    #[test]
    fn a_commit_with_very_many_events_has_several_records() {
        let mut log = EventLog::open(&MemoryDisk::default()).unwrap();
        let at = Timestamp::from_millis(1_000);
        let writes = log.write(at, vec![event(1); 2_500]);
        assert_eq!(sequences(&writes), [1_000, 1_001, 1_002]);
        let long = TraceEvent { message: Some("x".repeat(5_000)), ..event(1) };
        let long = |n: usize| TraceEvent {
            message: Some(format!("{n:05}{}", "x".repeat(5_000))),
            ..long.clone()
        };
        let writes = log.write(at, (0..40).map(long).collect());
        assert_eq!(sequences(&writes), [1_003, 1_004, 1_005]);
        for write in &writes {
            let Write::Put { value, .. } = write else { panic!("it is written") };
            assert!(value.len() < 64 * 1024 + 5_000, "{}", value.len());
        }
    }

    #[test]
    fn only_keys_of_the_log_have_a_sequence() {
        assert_eq!(sequence_of(&event_key(u64::MAX)), Some(u64::MAX));
        for key in ["h/l/", "h/l/1", "h/l/0000000000000000000x", "h/r/00000000000000000001"] {
            assert_eq!(sequence_of(key.as_bytes()), None, "{key}");
        }
    }
}
