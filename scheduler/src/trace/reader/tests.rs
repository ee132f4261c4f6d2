use muster_api::{
    Timestamp,
    events::{EventKind, EventSource},
    step::Write,
};

use super::*;
use crate::{
    store::{Commit, MemoryDisk, MemoryStore, State},
    trace::EventLog,
};

/// Later than all that happens here.
const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

/// A log, each of whose events has its number as item.
struct World {
    disk: MemoryDisk,
    store: MemoryStore,
    log: EventLog,
    commits: u64,
    events: u32,
}

impl World {
    fn new() -> Self {
        let disk = MemoryDisk::default();
        let (store, log) = (MemoryStore::open(&disk), EventLog::open(&disk).unwrap());
        Self { disk, store, log, commits: 0, events: 0 }
    }

    /// Commits so many events at some time; each third one is of the kind `run`.
    fn happen(&mut self, at: i64, events: u32) {
        let at = Timestamp::from_millis(at);
        let events = (self.events..self.events + events).map(|n| {
            let kind = if n.is_multiple_of(3) { EventKind::Run } else { EventKind::Task };
            let event = TraceEvent::new(at, kind, "running", EventSource::Executor);
            TraceEvent { item: Some(n), ..event }
        });
        let events: Vec<_> = events.collect();
        self.events += u32::try_from(events.len()).unwrap();
        let writes = self.log.write(at, events);
        self.commit(&writes);
    }

    fn commit(&mut self, writes: &[Write]) {
        self.commits += 1;
        let commit = Commit { term: 1, sequence: self.commits, writes };
        self.store.commit(&commit).unwrap();
        self.log.committed();
    }

    fn newest(&self) -> EventId {
        *self.log.listen().borrow()
    }
}

fn numbers(events: &[EventView]) -> Vec<u32> {
    events.iter().filter_map(|view| view.event.item).collect()
}

/// Every page of a query.
fn pages(world: &World, filter: &EventFilter, rows: usize) -> Vec<Vec<u32>> {
    let (mut pages, mut before) = (Vec::new(), None);
    loop {
        let page = older(&world.disk, filter, before, rows, NOW).unwrap();
        pages.push(numbers(&page.events));
        assert!(page.next.is_none() || page.next < before || before.is_none());
        before = page.next;
        if before.is_none() {
            return pages;
        }
    }
}

#[test]
fn pages_go_from_the_newest_to_the_oldest_and_leave_nothing_out() {
    let mut world = World::new();
    assert_eq!(pages(&world, &EventFilter::default(), 3), [Vec::<u32>::new()]);
    for commit in 0..10 {
        world.happen(1_000 + commit, 1 + u32::try_from(commit).unwrap() % 4);
    }
    let all: Vec<u32> = (0..world.events).rev().collect();
    for rows in [1, 2, 3, 5, all.len() - 1, all.len(), all.len() + 1] {
        let pages = pages(&world, &EventFilter::default(), rows);
        assert_eq!(pages.concat(), all, "{rows}");
        assert!(pages.iter().all(|page| !page.is_empty() && page.len() <= rows), "{rows}");
    }
    let runs = EventFilter { kind: Some(EventKind::Run), ..EventFilter::default() };
    let wanted: Vec<u32> = all.iter().copied().filter(|n| n.is_multiple_of(3)).collect();
    for rows in [1, 2, 100] {
        assert_eq!(pages(&world, &runs, rows).concat(), wanted, "{rows}");
    }
}

#[test]
fn a_query_looks_only_where_it_may_find_something() {
    let mut world = World::new();
    for hour in 0..100 {
        world.happen(hour * 3_600_000, 1);
    }
    let at = |hour: i64| Some(Timestamp::from_millis(hour * 3_600_000));
    let filter = EventFilter { from: at(20), to: at(23), ..EventFilter::default() };
    assert_eq!(pages(&world, &filter, 100), [vec![22, 21, 20]]);
    // What cannot be read would be noticed if somebody looked there.
    assert_eq!(filter.first_sequence(), 20 * 3_600_000);
    assert_eq!(filter.end_sequence(world.newest().sequence, NOW), 24 * 3_600_000 + 1);
}

#[test]
fn a_clock_that_was_ahead_for_a_while_hides_nothing_from_who_asks_by_time() {
    let mut world = World::new();
    for hour in [10, 90, 10, 11] {
        world.happen(hour * 3_600_000, 1);
    }
    let at = |hour: i64| Some(Timestamp::from_millis(hour * 3_600_000));
    for (from, to, wanted) in [
        (at(10), at(11), vec![2, 0]),
        (at(11), at(12), vec![3]),
        (at(10), None, vec![3, 2, 1, 0]),
        (None, at(12), vec![3, 2, 0]),
        (at(12), at(80), vec![]),
    ] {
        let filter = EventFilter { from, to, ..EventFilter::default() };
        let found = older(&world.disk, &filter, None, 100, at(12).unwrap()).unwrap();
        assert_eq!(numbers(&found.events), wanted, "{from:?} {to:?}");
        let begin = EventId::default();
        let mut since =
            newer(&world.disk, &filter, begin, world.newest(), at(12).unwrap()).unwrap();
        since.events.reverse();
        assert_eq!(numbers(&since.events), wanted, "{from:?} {to:?}");
    }
}

#[test]
fn a_stream_reads_no_more_than_it_can_send_however_small_the_records_are() {
    let mut world = World::new();
    let event = TraceEvent::new(NOW, EventKind::Task, "failed", EventSource::Executor);
    let event = TraceEvent { message: Some("x".repeat(2_000)), ..event };
    for _ in 0..10 {
        let events = vec![event.clone(); limits::RECORD_EVENTS / 2];
        let writes = world.log.write(Timestamp::from_millis(1_000), events);
        assert!(writes.len() == 1 && writes.iter().all(|write| write.size() < 10_000));
        world.commit(&writes);
    }
    let (all, mut upto) = (EventFilter::default(), EventId::default());
    for read in 1..=10 {
        let since = newer(&world.disk, &all, upto, world.newest(), NOW).unwrap();
        assert_eq!((since.events.len(), since.more), (limits::RECORD_EVENTS / 2, read < 10));
        upto = since.upto;
    }
    assert_eq!(upto, world.newest());
}

#[test]
fn a_query_that_finds_nothing_stops_after_so_many_records_and_names_the_next_page() {
    let mut world = World::new();
    let records = i64::try_from(limits::EVENT_RECORDS_PER_PAGE).unwrap();
    world.happen(1, 1);
    for n in 0..records {
        world.happen(2 + n, 2);
    }
    let none = EventFilter { state: Some("none".to_owned()), ..EventFilter::default() };
    assert_eq!(pages(&world, &none, 10), [Vec::<u32>::new(), Vec::new()]);
    let first = EventFilter { kind: Some(EventKind::Run), ..EventFilter::default() };
    let found = pages(&world, &first, limits::PAGE_ROWS);
    assert_eq!(found.concat().last(), Some(&0), "the oldest is on the last page");
}

#[test]
fn whoever_comes_back_goes_on_where_he_was() {
    let mut world = World::new();
    for commit in 0..200 {
        world.happen(1_000 + commit, 3);
    }
    let all = EventFilter::default();
    let first = older(&world.disk, &all, None, 1_000, NOW).unwrap().events;
    for after in [&first[0], &first[1], &first[299], &first[599]] {
        let (mut upto, mut found) = (after.id, Vec::new());
        loop {
            let since = newer(&world.disk, &all, upto, world.newest(), NOW).unwrap();
            found.extend(numbers(&since.events));
            assert!(since.upto > upto || !since.more);
            upto = since.upto;
            if !since.more {
                break;
            }
        }
        let next = after.event.item.unwrap() + 1;
        assert_eq!(found, (next..600).collect::<Vec<_>>());
        assert_eq!(upto, world.newest());
    }
    // What is not told to be durable yet is not shown, wherever it is.
    let newest = world.newest();
    world.happen(5_000, 1);
    let since = newer(&world.disk, &all, newest, newest, NOW).unwrap();
    assert!(since.events.is_empty() && !since.more && since.upto == newest);
}

#[test]
fn what_was_forgotten_is_a_gap_and_what_never_was_is_none() {
    let mut world = World::new();
    let id = |sequence, index| EventId { sequence, index };
    assert!(!is_forgotten(&world.disk, id(0, 0)).unwrap(), "an empty log");
    for commit in 0..4 {
        world.happen(1_000 + commit, 2);
    }
    assert!(!is_forgotten(&world.disk, id(0, 0)).unwrap(), "nothing was ever forgotten");
    let delete = |n| Write::Delete { key: event_key(n) };
    world.commit(&[delete(1_000), delete(1_001)]);
    for (at, gap) in [(id(0, 0), true), (id(1_001, 1), true), (id(1_002, 0), false)] {
        assert_eq!(is_forgotten(&world.disk, at).unwrap(), gap, "{at}");
    }
}

#[test]
fn a_damaged_record_hides_nothing_but_itself() {
    let mut world = World::new();
    for commit in 0..3 {
        world.happen(1_000 + commit, 1);
    }
    world.commit(&[Write::Put { key: event_key(1_001), value: vec![1, 9, 9] }]);
    assert_eq!(pages(&world, &EventFilter::default(), 10), [vec![2, 0]]);
}
