use muster_api::{ExecutorId, IdStream, RunId, TaskId, limits};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const SEQUENCE: u64 = 1_767_225_600_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(SEQUENCE.cast_signed() + millis)
}

/// All events of a record.
fn decode(sequence: u64, bytes: &[u8]) -> Result<Vec<TraceEvent>, InvalidEvents> {
    let mut record = Record::open(sequence, bytes)?;
    let mut events = Vec::new();
    while let Some(event) = record.next_row()? {
        events.push(event.clone());
    }
    Ok(events)
}

/// An event with every field, of one shard or another.
fn full(n: u32) -> TraceEvent {
    let mut ids = IdStream::new(u64::from(n), 1);
    let mut id = || ids.uuid(at(0));
    TraceEvent {
        at: at(-i64::from(n)),
        kind: EventKind::ALL[n as usize % EventKind::ALL.len()],
        state: ["staging", "running", "finished"][n as usize % 3].into(),
        source: EventSource::ALL[n as usize % 3],
        message: Some(format!("message {}", n % 2)),
        app: Some("a".parse().unwrap()),
        job: Some("j".parse().unwrap()),
        run: Some(RunId::from_uuid(id())),
        task: Some(TaskId::from_uuid(id())),
        item: Some(n),
        attempt: Some(1 + n % 2),
        replaces: Some(TaskId::from_uuid(id())),
        agent: Some("agent/1".replace('/', "-").parse().unwrap()),
        hostname: Some("host".to_owned()),
        executor: Some(ExecutorId::from_uuid(id())),
        planned_at: Some(at(-5)),
        planned_until: Some(at(5)),
        count: Some(u64::from(n)),
        started_at: Some(at(-100)),
        exit_code: Some(-1 - n.cast_signed()),
        actor: Some("admin".to_owned()),
        version: Some(7),
    }
}

#[test]
fn every_field_round_trips_and_goes_away_again() {
    let bare = TraceEvent::new(at(3), EventKind::Scheduler, "started", EventSource::Scheduler);
    let events = vec![full(0), full(1), full(0), bare.clone(), full(2), bare];
    let (bytes, rows) = encode(SEQUENCE, 41, &events);
    assert_eq!(rows, events.len());
    assert_eq!(decode(SEQUENCE, &bytes), Ok(events));
    let record = Record::open(SEQUENCE, &bytes).unwrap();
    assert_eq!((record.count(), record.before()), (6, 41));
}

/// Bytes as they are on disks.
#[test]
fn old_bytes_still_load() {
    let bytes = hex(include_str!("../../../tests/samples/events.v1.txt"));
    let mut events = vec![full(0), full(4)];
    events.push(TraceEvent::new(at(0), EventKind::Host, "silent", EventSource::Scheduler));
    let written = encode(SEQUENCE, 300, &events).0;
    let text: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(decode(SEQUENCE, &bytes), Ok(events), "today's writer makes {text}");
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn each_task_of_many_costs_its_id_its_item_and_its_times() {
    let mut ids = IdStream::new(1, 1);
    let first = TraceEvent { exit_code: Some(0), replaces: None, message: None, ..full(2) };
    let events: Vec<_> = (0..250_u32)
        .map(|n| TraceEvent {
            task: Some(TaskId::from_uuid(ids.uuid(at(0)))),
            item: Some(n),
            at: at(-i64::from(n % 7)),
            started_at: Some(at(-20 - i64::from(n % 7))),
            ..first.clone()
        })
        .collect();
    let (bytes, rows) = encode(SEQUENCE, 0, &events);
    assert_eq!(rows, 250);
    assert!(bytes.len() < 250 * 24 + 200, "{} bytes", bytes.len());
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let long = "\u{e4}".repeat(limits::EVENT_MESSAGE_BYTES);
    let event = TraceEvent { message: Some(format!("x{long}")), ..full(0) };
    let (bytes, _) = encode(SEQUENCE, 0, &[event]);
    let message = decode(SEQUENCE, &bytes).unwrap().remove(0).message.unwrap();
    assert_eq!(message.len(), limits::EVENT_MESSAGE_BYTES - 1);
}

#[test]
fn another_version_is_not_guessed_at() {
    assert_eq!(decode(SEQUENCE, &[]), Err(InvalidEvents::Version { found: None }));
    assert_eq!(decode(SEQUENCE, &[2, 0, 0]), Err(InvalidEvents::Version { found: Some(2) }));
}

#[test]
fn a_record_that_is_cut_short_or_goes_on_is_damaged() {
    let (bytes, _) = encode(SEQUENCE, 9, &[full(0), full(1)]);
    for length in 1..bytes.len() {
        assert_eq!(decode(SEQUENCE, &bytes[..length]), Err(InvalidEvents::Damaged), "{length}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decode(SEQUENCE, &longer), Err(InvalidEvents::Damaged));
}

fn event() -> impl Strategy<Value = TraceEvent> {
    let texts = (any::<Option<String>>(), any::<String>(), any::<Option<String>>());
    let numbers = (any::<i64>(), any::<Option<u32>>(), any::<Option<i32>>(), any::<u32>());
    let times = (any::<Option<i64>>(), any::<Option<i64>>(), any::<Option<i64>>());
    let ids = (any::<Option<u8>>(), any::<Option<u8>>(), any::<Option<u8>>());
    (texts, numbers, times, ids).prop_map(|(texts, numbers, times, ids)| {
        let id = |n: u8| Uuid::from_u128(u128::from(n));
        let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
        let mut event = full(numbers.3 % 1_000);
        event.at = Timestamp::from_millis(numbers.0);
        (event.message, event.state, event.hostname) = (texts.0, texts.1.into(), texts.2);
        (event.item, event.exit_code) = (numbers.1, numbers.2);
        event.count = numbers.1.map(u64::from);
        (event.planned_at, event.planned_until) = (time(times.0), time(times.1));
        event.started_at = time(times.2);
        event.task = ids.0.map(id).map(TaskId::from_uuid);
        event.run = ids.1.map(id).map(RunId::from_uuid);
        event.replaces = ids.2.map(id).map(TaskId::from_uuid);
        event
    })
}

proptest! {
    #[test]
    fn any_events_round_trip(
        events in proptest::collection::vec(event(), 1..20),
        sequence in any::<u64>(),
        before in any::<u32>(),
    ) {
        let (bytes, rows) = encode(sequence, u64::from(before), &events);
        prop_assert_eq!(rows, events.len());
        prop_assert_eq!(decode(sequence, &bytes), Ok(events));
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(SEQUENCE, &[&[VERSION], bytes.as_slice()].concat());
    }

    #[test]
    fn no_damage_is_a_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let (mut bytes, _) = encode(SEQUENCE, 9, &[full(0), full(1), full(2)]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(SEQUENCE, &bytes);
    }
}
