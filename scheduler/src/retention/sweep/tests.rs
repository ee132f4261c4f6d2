//! Passes over a history in memory, at times that the test chooses.

use std::collections::BTreeMap;

use muster_api::{
    IdStream, RunId, Span, TaskId,
    events::{EventKind, EventSource, TraceEvent},
    spec::ScheduleSpec,
    step::Write,
    views::{Cause, FireOutcome},
};
use muster_engine::records::{PastTaskRecord, ShardsRecord};

use super::*;
use crate::store::{Commit, MemoryDisk, MemoryStore, State};

const DAY: i64 = 24 * 3600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

/// A store that is filled by a test.
struct World {
    store: MemoryStore,
    ids: IdStream,
    sequence: u64,
}

impl World {
    fn new() -> Self {
        let store = MemoryStore::open(&MemoryDisk::default());
        Self { store, ids: IdStream::new(1, 1), sequence: 0 }
    }

    fn job(&mut self) -> JobUid {
        JobUid::from_uuid(self.ids.uuid(at(0)))
    }

    fn commit(&mut self, writes: &[Write]) {
        self.sequence += 1;
        let commit = Commit { term: 1, sequence: self.sequence, writes };
        self.store.commit(&commit).unwrap();
    }

    fn put<'a>(&mut self, rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)> + 'a) {
        let writes = rows.into_iter().map(|(key, value)| Write::Put { key, value });
        self.commit(&writes.collect::<Vec<_>>());
    }

    /// A run that was created and ended then, with some tasks.
    fn run(&mut self, job: JobUid, created: i64, ended: i64, tasks: u32) -> RunId {
        let id = RunId::from_uuid(self.ids.uuid(at(created)));
        let state = records::PAST_STATES[created as usize % 4];
        let record = RunRecord {
            id,
            job: "j".parse().unwrap(),
            job_uid: job,
            app: "a".parse().unwrap(),
            version: Some(1),
            revision: Some(1),
            cause: if created % 3 == 0 { Cause::Trigger } else { Cause::Schedule },
            rerun_of: None,
            state,
            reason: None,
            stopped_for: None,
            merged_into: None,
            planned_at: at(created),
            planned_until: at(created),
            fires: Some(1),
            created_at: at(created),
            started_at: None,
            ended_at: Some(at(ended)),
            parameter: None,
            only: None,
            shards: ShardsRecord::default(),
        };
        self.commit(&records::past_run_writes(&record));
        let rows: Vec<_> = (0..tasks).map(|item| self.task(&id, item)).collect();
        self.put(rows);
        id
    }

    fn task(&mut self, run: &RunId, item: u32) -> (Vec<u8>, Vec<u8>) {
        let task = PastTaskRecord {
            task: TaskId::from_uuid(self.ids.uuid(at(0))),
            item,
            parameter: String::new(),
            attempt: 1,
            epoch: 1,
            agent: "agent".parse().unwrap(),
            hostname: "host".to_owned(),
            executor: muster_api::ExecutorId::from_uuid(self.ids.uuid(at(0))),
            state: muster_api::views::ShardState::Succeeded,
            reason: None,
            launched_at: at(0),
            started_at: None,
            ended_at: at(0),
            exit_code: None,
            result: None,
            output: None,
            replaces: None,
        };
        (records::past_task_key(run, item, 1, 1), records::encode(&task))
    }

    /// Instants of a job that did not become runs.
    fn range(&mut self, job: JobUid, first: i64, last: i64) {
        let schedule = ScheduleSpec { every: Some(Span::from_secs(1)), ..ScheduleSpec::default() };
        let range = FireRangeRecord {
            first: at(first),
            last: at(last),
            outcome: FireOutcome::Skipped,
            reason: "none".to_owned(),
            run: None,
            at: at(last),
            schedule,
            anchor: at(0),
        };
        self.put([(records::fire_key(&job, at(first)), records::encode(&range))]);
    }

    /// A pass at `now`; it is told to stop when it wants to hand over batch number `until`.
    fn pass(
        &mut self,
        limits: HistoryLimits,
        now: i64,
        until: usize,
    ) -> (Result<Swept, Interrupted>, Vec<Keys>) {
        let history = self.store.history();
        let mut batches = Vec::new();
        let mut hand_over = |keys: Keys| {
            if keys.is_empty() {
                return Ok(());
            }
            assert!(keys.len() <= limits::FORGET_KEYS);
            if batches.len() == until {
                return Err(Interrupted::Stopped);
            }
            let deletes = keys.iter().map(|key| Write::Delete { key: key.clone() });
            self.commit(&deletes.collect::<Vec<_>>());
            batches.push(keys);
            Ok(())
        };
        let swept = Sweep::new(&*history, limits, at(now), &mut hand_over).run();
        (swept, batches)
    }

    fn sweep(&mut self, limits: HistoryLimits, now: i64) -> Swept {
        self.pass(limits, now, usize::MAX).0.unwrap()
    }

    /// How many records begin so.
    fn count(&self, prefix: &str) -> usize {
        self.store.history().scan(prefix.as_bytes(), None, false, usize::MAX).unwrap().len()
    }

    /// Checks that of these runs exactly those are there, with all of theirs, that should be.
    fn check(&self, runs: &[(RunId, bool)], tasks: u32) {
        let history = self.store.history();
        for (id, kept) in runs {
            let found = records::PAST_STATES
                .iter()
                .filter(|state| {
                    history.get(&records::past_run_key((**state, *id))).unwrap().is_some()
                })
                .count();
            assert_eq!(found, usize::from(*kept), "{id}");
            let prefix = records::past_tasks_of(id);
            let here = history.scan(&prefix, None, false, usize::MAX).unwrap().len();
            assert_eq!(here, if *kept { tasks as usize } else { 0 }, "{id}");
        }
        let kept = runs.iter().filter(|(_, kept)| *kept).count();
        assert_eq!(self.count(records::PAST_RUNS), kept);
        assert_eq!(self.count(records::PAST_RUNS_BY_JOB), kept);
        let fires = history.scan(records::PAST_FIRES.as_bytes(), None, false, usize::MAX).unwrap();
        for (key, value) in fires {
            let past = records::decode(&value).unwrap();
            assert!(history.get(&records::past_run_key(past)).unwrap().is_some(), "{key:?}");
        }
    }
}

const PLENTY: HistoryLimits = HistoryLimits {
    events: u64::MAX,
    age: Span::from_secs(1_000 * 24 * 3600),
    runs: 1_000_000,
    runs_per_job: 1_000_000,
};

#[test]
fn what_ended_too_long_ago_is_forgotten_with_all_of_its_own() {
    let mut world = World::new();
    let job = world.job();
    let mut runs = Vec::new();
    for day in 0..60 {
        // Every tenth run takes twenty days.
        let ended = if day % 10 == 0 { day + 20 } else { day };
        let id = world.run(job, day * DAY, ended * DAY, 3);
        runs.push((id, ended >= 30));
    }
    let limits = HistoryLimits { age: Span::from_secs(30 * 24 * 3600), ..PLENTY };
    let swept = world.sweep(limits, 60 * DAY);
    world.check(&runs, 3);
    let kept = runs.iter().filter(|(_, kept)| *kept).count() as u64;
    assert_eq!((swept.runs, swept.jobs, swept.forgotten_runs), (kept, 1, 60 - kept));
    let again = world.sweep(limits, 60 * DAY);
    assert_eq!((again.runs, again.forgotten_records), (kept, 0));
}

#[test]
fn of_a_job_and_of_all_the_newest_are_kept() {
    let mut world = World::new();
    let jobs: Vec<_> = (0..5).map(|_| world.job()).collect();
    let mut runs = Vec::new();
    for n in 0..300 {
        // The first job has half of them.
        let job = if n % 2 == 0 { 0 } else { 1 + n as usize / 2 % 4 };
        runs.push((job, world.run(jobs[job], n * 10, n * 10, 1)));
    }
    let newest = |of: &[(usize, RunId)], many: usize| {
        let mut seen = BTreeMap::<usize, usize>::new();
        let mut kept = Vec::new();
        for (job, id) in of.iter().rev() {
            let count = seen.entry(*job).or_default();
            *count += 1;
            kept.push((*id, *count <= many));
        }
        kept
    };
    let swept = world.sweep(HistoryLimits { runs_per_job: 50, ..PLENTY }, 4_000);
    let kept = newest(&runs, 50);
    world.check(&kept, 1);
    assert_eq!((swept.runs, swept.jobs, swept.forgotten_runs), (50 + 37 * 2 + 38 * 2, 5, 100));

    let left: Vec<_> = kept.iter().filter(|(_, kept)| *kept).map(|(id, _)| *id).collect();
    let swept = world.sweep(HistoryLimits { runs: 60, ..PLENTY }, 4_000);
    let kept: Vec<_> = left.iter().enumerate().map(|(n, id)| (*id, n < 60)).collect();
    world.check(&kept, 1);
    assert_eq!((swept.runs, swept.forgotten_runs), (60, 140));
}

#[test]
fn a_pass_that_is_cut_short_anywhere_leaves_whole_runs_and_is_made_up_for() {
    let mut until = 0;
    loop {
        let mut world = World::new();
        let job = world.job();
        let tasks = limits::FORGET_KEYS as u32 / 2 + 7;
        let ids: Vec<_> = (0..8).map(|n| world.run(job, n, n, tasks)).collect();
        let limits = HistoryLimits { runs_per_job: 2, ..PLENTY };
        let (end, batches) = world.pass(limits, 100, until);
        // A run is there until nothing else of it is, and what leads to it goes with it.
        for id in &ids {
            let run = world.count(&format!("{}{id}", "h/t/"));
            let prefixes = records::PAST_STATES.map(|state| records::past_run_key((state, *id)));
            let history = world.store.history();
            let is_there = prefixes.iter().any(|key| history.get(key).unwrap().is_some());
            assert!(is_there || run == 0, "{id} is gone, and {run} of its tasks are not");
        }
        assert_eq!(world.count(records::PAST_RUNS), world.count(records::PAST_RUNS_BY_JOB));
        world.sweep(limits, 100);
        let runs: Vec<_> = ids.iter().enumerate().map(|(n, id)| (*id, n >= 6)).collect();
        world.check(&runs, tasks);
        if end.is_ok() {
            assert!(until > 3 && batches.len() == until, "{until}");
            return;
        }
        until += 1;
    }
}

#[test]
fn ranges_whose_last_instant_is_too_old_are_forgotten() {
    let mut world = World::new();
    let jobs: Vec<_> = (0..40).map(|_| world.job()).collect();
    for (n, job) in jobs.iter().enumerate() {
        for range in 0..n as i64 {
            world.range(*job, range * DAY, range * DAY + DAY / 2);
        }
    }
    let limits = HistoryLimits { age: Span::from_secs(30 * 24 * 3600), ..PLENTY };
    let swept = world.sweep(limits, 50 * DAY);
    for (n, job) in jobs.iter().enumerate() {
        let kept = world.store.history().scan(&records::fires_of(job), None, false, usize::MAX);
        assert_eq!(kept.unwrap().len(), n.saturating_sub(20), "{n}");
    }
    let forgotten: usize = (0..40).map(|n: usize| n.min(20)).sum();
    assert_eq!(swept.forgotten_records, forgotten as u64);
}

#[test]
fn what_cannot_be_read_is_left_and_stops_nothing() {
    let mut world = World::new();
    let job = world.job();
    let ids: Vec<_> = (0..10).map(|n| world.run(job, n, n, 1)).collect();
    let key = records::past_run_key((records::PAST_STATES[3], ids[3]));
    world.put([
        (key.clone(), b"\x01nonsense".to_vec()),
        (b"h/j/nonsense".to_vec(), Vec::new()),
        (b"h/f/nonsense/1".to_vec(), b"\x01{}".to_vec()),
        (b"h/r/failed/nonsense".to_vec(), Vec::new()),
    ]);
    let limits = HistoryLimits { age: Span::from_secs(1), ..PLENTY };
    world.sweep(limits, 100 * DAY);
    assert_eq!(world.count(records::PAST_TASKS), 1);
    assert!(world.store.history().get(&key).unwrap().is_some());
    // An entry that leads nowhere goes when it is too much.
    world.commit(&[Write::Delete { key }]);
    world.run(job, 200 * DAY, 200 * DAY, 0);
    world.sweep(HistoryLimits { runs_per_job: 1, ..PLENTY }, 200 * DAY);
    assert_eq!(world.count("h/j/0"), 1);
}

#[test]
fn events_are_forgotten_by_age_and_number_and_the_newest_record_stays() {
    let mut world = World::new();
    let mut log = trace::EventLog::open(&*world.store.history()).unwrap();
    let event = |day: i64| {
        let (kind, source) = (EventKind::Host, EventSource::Scheduler);
        TraceEvent::new(at(day * DAY), kind, "silent", source)
    };
    for day in 0..50 {
        let writes = log.write(at(day * DAY), vec![event(day); 10]);
        world.commit(&writes);
    }
    let limits = HistoryLimits { age: Span::from_secs(30 * 24 * 3600), ..PLENTY };
    world.sweep(limits, 50 * DAY);
    assert_eq!(world.count(trace::EVENTS), 30, "the last 30 days");
    let swept = world.sweep(limits, 50 * DAY);
    assert_eq!(swept.forgotten_records, 0, "a second pass has nothing to do");
    // As many as are allowed, and the rest of the record that has the oldest of them.
    for (events, records) in [(1_000, 30), (300, 30), (299, 30), (290, 29), (11, 2), (1, 1)] {
        world.sweep(HistoryLimits { events, ..PLENTY }, 50 * DAY);
        assert_eq!(world.count(trace::EVENTS), records, "{events}");
    }
    world.sweep(HistoryLimits { age: Span::from_secs(1), events: 1, ..PLENTY }, 500 * DAY);
    assert_eq!(world.count(trace::EVENTS), 1, "ids go on from the newest");
    let log = trace::EventLog::open(&*world.store.history()).unwrap();
    assert_eq!(log.listen().borrow().sequence, u64::try_from(at(49 * DAY).as_millis()).unwrap());
}

#[test]
fn events_of_a_clock_that_was_ahead_are_forgotten_by_when_they_happened() {
    let mut world = World::new();
    let mut log = trace::EventLog::open(&*world.store.history()).unwrap();
    // For one commit the clock is ten years ahead.
    for day in (0..10).chain([3_650]).chain(10..50) {
        let (kind, source) = (EventKind::Host, EventSource::Scheduler);
        let event = TraceEvent::new(at(day * DAY), kind, "silent", source);
        let writes = log.write(at(day * DAY), vec![event]);
        world.commit(&writes);
    }
    let limits = HistoryLimits { age: Span::from_secs(30 * 24 * 3600), ..PLENTY };
    world.sweep(limits, 20 * DAY);
    assert_eq!(world.count(trace::EVENTS), 51, "nothing is too old");
    world.sweep(limits, 35 * DAY);
    assert_eq!(world.count(trace::EVENTS), 46, "five days are");
    world.sweep(limits, 45 * DAY);
    assert_eq!(world.count(trace::EVENTS), 36, "and those behind what says that it is to come");
}

#[test]
fn an_event_record_that_cannot_be_read_keeps_nobody_from_trimming() {
    let mut world = World::new();
    let mut log = trace::EventLog::open(&*world.store.history()).unwrap();
    for day in 0..10 {
        let (kind, source) = (EventKind::Host, EventSource::Scheduler);
        let event = TraceEvent::new(at(day * DAY), kind, "silent", source);
        let writes = log.write(at(day * DAY), vec![event]);
        world.commit(&writes);
    }
    let oldest = trace::event_key(u64::try_from(at(0).as_millis()).unwrap());
    world.put([(oldest, b"\x01".to_vec())]);
    world.sweep(HistoryLimits { events: 4, ..PLENTY }, 10 * DAY);
    assert_eq!(world.count(trace::EVENTS), 5, "the four newest, and what cannot be read");
    let limits = HistoryLimits { age: Span::from_secs(8 * 24 * 3600), ..PLENTY };
    world.sweep(limits, 10 * DAY);
    assert_eq!(world.count(trace::EVENTS), 4);
}
