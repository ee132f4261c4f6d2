//! The fire ledger of a job, put together: each planned instant once, newest first.
//!
//! An instant is the row of a run (live, or over) or one of a stored range of instants that did
//! not become runs of their own. All three are read in the order of planned instants from where
//! the page begins, and ranges are expanded only as far as it needs, so a page costs the same
//! wherever it is.

use std::time::Duration;

use muster_api::{
    JobUid, Timestamp,
    schedule::Schedule,
    views::{FireOutcome, FireView},
};
use muster_engine::{
    query::LiveFire,
    records::{FireRangeRecord, RunRecord},
};

use super::reader::{ReadError, Reader, decode};
use crate::{store::Row, walk::Walk};

/// The least time between two instants.
const MILLISECOND: Duration = Duration::from_millis(1);

/// Which instants are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// None before this one.
    pub(super) from: Option<Timestamp>,
    /// Only those before this one.
    pub(super) before: Option<Timestamp>,
}

/// A page of the ledger, and before which instant the next one begins.
pub(super) fn page(
    reader: &Reader,
    job: &JobUid,
    live: Vec<LiveFire>,
    window: Window,
    limit: usize,
) -> Result<(Vec<FireView>, Option<Timestamp>), ReadError> {
    let mut live: Vec<_> = live
        .into_iter()
        .filter(|fire| window.before.is_none_or(|before| fire.planned_at < before))
        .collect();
    live.sort_by_key(|fire| fire.planned_at);
    let mut runs = PastRuns { reader, entries: reader.past_fires(job, window.before) };
    let mut ranges = Ranges::new(reader.fire_ranges(job, window.before), window.before);
    let mut rows: Vec<FireView> = Vec::new();
    let mut last = None;
    loop {
        let newest = [
            live.last().map(|fire| fire.planned_at),
            runs.peek()?,
            ranges.peek()?.map(|row| row.planned_at),
        ];
        let Some(at) = newest.into_iter().flatten().max() else { break };
        if window.from.is_some_and(|from| at < from) {
            break;
        }
        if rows.len() == limit {
            return Ok((rows, last));
        }
        // An instant has one row. A run that ended just now is also among the live ones, as it
        // was then; what the store says is newer.
        let mut row = None;
        while let Some(fire) = live.pop_if(|fire| fire.planned_at == at) {
            row = Some(live_row(&fire));
        }
        row = ranges.take_if(at)?.or(row);
        row = runs.take_if(at)?.or(row);
        rows.extend(row);
        last = Some(at);
    }
    Ok((rows, None))
}

/// The row of the instant that a run was made for. Of one that was merged into another run the row
/// names that one.
fn past_row(run: &RunRecord) -> FireView {
    let started = run.started_at.is_some();
    let outcome = match run.merged_into {
        _ if started => FireOutcome::Ran,
        Some(_) => FireOutcome::Coalesced,
        None => FireOutcome::Skipped,
    };
    FireView {
        planned_at: run.planned_at,
        outcome,
        reason: run.reason.clone().filter(|_| !started),
        run: run.merged_into.or(Some(run.id)),
    }
}

fn live_row(fire: &LiveFire) -> FireView {
    FireView {
        planned_at: fire.planned_at,
        outcome: if fire.started { FireOutcome::Ran } else { FireOutcome::Waiting },
        reason: None,
        run: Some(fire.run),
    }
}

/// The instants of runs that are over, newest first.
struct PastRuns<'a> {
    reader: &'a Reader,
    entries: Walk<'a>,
}

impl PastRuns<'_> {
    /// The newest instant that was not taken yet.
    fn peek(&mut self) -> Result<Option<Timestamp>, ReadError> {
        Ok(self.entries.peek()?.and_then(planned_at))
    }

    /// Takes the newest instant if it is this one; nothing if its run was forgotten meanwhile.
    fn take_if(&mut self, at: Timestamp) -> Result<Option<FireView>, ReadError> {
        if self.peek()? != Some(at) {
            return Ok(None);
        }
        let Some(entry) = self.entries.take()? else { return Ok(None) };
        Ok(self.reader.past_fire(&entry)?.as_ref().map(past_row))
    }
}

/// The planned instant that the key of an entry ends with.
fn planned_at((key, _): &Row) -> Option<Timestamp> {
    let slash = key.iter().rposition(|byte| *byte == b'/')?;
    let millis = std::str::from_utf8(&key[slash + 1..]).ok()?.parse().ok()?;
    Some(Timestamp::from_millis(millis))
}

/// The instants of stored ranges, newest first.
struct Ranges<'a> {
    stored: Walk<'a>,
    /// Instants from here on are not wanted (any more).
    before: Option<Timestamp>,
    current: Option<(FireRangeRecord, Schedule)>,
    peeked: Option<FireView>,
}

impl<'a> Ranges<'a> {
    fn new(stored: Walk<'a>, before: Option<Timestamp>) -> Self {
        Self { stored, before, current: None, peeked: None }
    }

    /// The newest instant that was not taken yet.
    fn peek(&mut self) -> Result<Option<&FireView>, ReadError> {
        while self.peeked.is_none() {
            if self.current.is_none() {
                self.current = self.older_range()?;
            }
            let Some((range, schedule)) = &self.current else { break };
            let end = range.last + MILLISECOND;
            let end = self.before.map_or(end, |before| before.min(end));
            match schedule.previous(end).filter(|at| *at >= range.first) {
                Some(at) => {
                    self.peeked = Some(FireView {
                        planned_at: at,
                        outcome: range.outcome,
                        reason: Some(range.reason.clone()),
                        run: range.run,
                    });
                    self.before = Some(at);
                }
                None => {
                    self.before = Some(range.first);
                    self.current = None;
                }
            }
        }
        Ok(self.peeked.as_ref())
    }

    /// Takes the newest instant if it is this one.
    fn take_if(&mut self, at: Timestamp) -> Result<Option<FireView>, ReadError> {
        let is_it = self.peek()?.is_some_and(|row| row.planned_at == at);
        Ok(self.peeked.take_if(|_| is_it))
    }

    /// The next older range.
    fn older_range(&mut self) -> Result<Option<(FireRangeRecord, Schedule)>, ReadError> {
        while let Some(row) = self.stored.take()? {
            let range: FireRangeRecord = decode(&row)?;
            // What was stored was compiled once; a later version may not read it any more.
            if let Ok(schedule) = Schedule::compile(&range.schedule, range.anchor) {
                return Ok(Some((range, schedule)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use muster_api::{
        IdStream, RunId,
        spec::ScheduleSpec,
        step::Write,
        views::{Cause, RunState},
    };
    use muster_engine::records::{self, ShardsRecord};

    use super::*;
    use crate::store::{Commit, MemoryDisk, MemoryStore, State};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
    }

    fn run(ids: &mut IdStream, job: JobUid, cause: Cause, planned: i64, created: i64) -> RunRecord {
        RunRecord {
            id: RunId::from_uuid(ids.uuid(at(created))),
            job: "j".parse().unwrap(),
            job_uid: job,
            app: "a".parse().unwrap(),
            version: None,
            revision: None,
            cause,
            rerun_of: None,
            state: RunState::Succeeded,
            reason: None,
            stopped_for: None,
            merged_into: None,
            planned_at: at(planned),
            planned_until: at(planned),
            fires: Some(1),
            created_at: at(created),
            started_at: Some(at(created)),
            ended_at: Some(at(created)),
            parameter: None,
            only: None,
            shards: ShardsRecord::default(),
        }
    }

    fn range(first: i64, last: i64, every: u64) -> FireRangeRecord {
        FireRangeRecord {
            first: at(first),
            last: at(last),
            outcome: FireOutcome::Skipped,
            reason: "the scheduler was down".to_owned(),
            run: None,
            at: at(last),
            schedule: ScheduleSpec {
                every: Some(muster_api::Span::from_secs(every)),
                ..ScheduleSpec::default()
            },
            anchor: at(0),
        }
    }

    /// All instants of the ledger from a window, in seconds, got with pages of `limit` rows; and
    /// how many pages.
    fn instants(reader: &Reader, job: JobUid, window: Window, limit: usize) -> (Vec<i64>, usize) {
        let (mut all, mut pages) = (Vec::new(), 0);
        let mut before = window.before;
        loop {
            let window = Window { before, ..window };
            let (rows, next) = page(reader, &job, Vec::new(), window, limit).unwrap();
            assert!(rows.len() <= limit);
            all.extend(rows.iter().map(|row| (row.planned_at.since(at(0))).as_secs() as i64));
            pages += 1;
            let Some(next) = next else { return (all, pages) };
            before = Some(next);
        }
    }

    fn stored(runs: &[RunRecord], ranges: &[(JobUid, FireRangeRecord)]) -> MemoryStore {
        let mut store = MemoryStore::open(&MemoryDisk::default());
        let ranges = ranges.iter().map(|(job, range)| Write::Put {
            key: records::fire_key(job, range.first),
            value: records::encode(range),
        });
        let writes: Vec<_> = runs.iter().flat_map(records::past_run_writes).chain(ranges).collect();
        store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).unwrap();
        store
    }

    const ALL: Window = Window { from: None, before: None };

    #[test]
    fn runs_and_ranges_are_one_list() {
        let mut ids = IdStream::new(1, 1);
        let job = JobUid::from_uuid(ids.uuid(at(0)));
        let other = JobUid::from_uuid(ids.uuid(at(0)));
        let runs = [
            run(&mut ids, job, Cause::Schedule, 10, 10),
            run(&mut ids, job, Cause::Trigger, 15, 15),
            // After a downtime the newest missed instant runs late.
            run(&mut ids, job, Cause::Schedule, 50, 77),
            run(&mut ids, other, Cause::Schedule, 52, 77),
            run(&mut ids, job, Cause::Trigger, 78, 78),
            run(&mut ids, job, Cause::Schedule, 80, 80),
        ];
        let ranges = [(job, range(20, 49, 10)), (job, range(60, 70, 5)), (other, range(61, 69, 1))];
        let reader = Reader::new(stored(&runs, &ranges).history());
        let expected = [80, 70, 65, 60, 50, 40, 30, 20, 10];
        for limit in [1, 2, 3, 8, 9, 10, 100] {
            let (all, pages) = instants(&reader, job, ALL, limit);
            assert_eq!((all, pages), (expected.to_vec(), 9_usize.div_ceil(limit)), "{limit}");
        }
        // A window begins and ends where it says, also inside of ranges and beside late runs.
        for (from, before) in (0..90).flat_map(|from| (0..90).map(move |before| (from, before))) {
            let window = Window { from: Some(at(from)), before: Some(at(before)) };
            let inside: Vec<_> =
                expected.into_iter().filter(|n| (from..before).contains(n)).collect();
            assert_eq!(instants(&reader, job, window, 4).0, inside, "{from}..{before}");
        }
    }

    #[test]
    fn the_row_of_a_run_says_what_became_of_its_instant() {
        let mut ids = IdStream::new(1, 1);
        let job = JobUid::from_uuid(ids.uuid(at(0)));
        let mut runs: Vec<_> =
            (0..4).map(|n| run(&mut ids, job, Cause::Schedule, n * 10, n * 10)).collect();
        let never_started = |run: &mut RunRecord, reason: &str| {
            (run.state, run.started_at) = (RunState::Cancelled, None);
            run.reason = Some(reason.to_owned());
        };
        never_started(&mut runs[1], "disabled");
        never_started(&mut runs[2], "merged");
        runs[2].merged_into = Some(runs[0].id);
        // Stopped when it had started: its instant has run all the same.
        (runs[3].state, runs[3].reason) = (RunState::Cancelled, Some("by request".to_owned()));
        let ranges = [(job, range(15, 15, 5))];
        let reader = Reader::new(stored(&runs, &ranges).history());
        let (rows, _) = page(&reader, &job, Vec::new(), ALL, 10).unwrap();
        let shown = rows.into_iter().rev().map(|row| (row.outcome, row.reason, row.run));
        let words = |text: &str| Some(text.to_owned());
        let expected = [
            (FireOutcome::Ran, None, Some(runs[0].id)),
            (FireOutcome::Skipped, words("disabled"), Some(runs[1].id)),
            (FireOutcome::Skipped, words("the scheduler was down"), None),
            (FireOutcome::Coalesced, words("merged"), Some(runs[0].id)),
            (FireOutcome::Ran, None, Some(runs[3].id)),
        ];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_run_that_was_forgotten_meanwhile_is_passed_over() {
        let mut ids = IdStream::new(1, 1);
        let job = JobUid::from_uuid(ids.uuid(at(0)));
        let runs: Vec<_> = (0..300).map(|n| run(&mut ids, job, Cause::Schedule, n, n)).collect();
        let mut store = stored(&runs, &[]);
        let key = |n: usize| records::past_run_key((runs[n].state, runs[n].id));
        let gone = (0..300).filter(|n| n % 7 > 0);
        let writes: Vec<_> = gone.map(|n| Write::Delete { key: key(n) }).collect();
        store.commit(&Commit { term: 1, sequence: 2, writes: &writes }).unwrap();
        let left: Vec<_> = (0..300).filter(|n| n % 7 == 0).rev().collect();
        assert_eq!(instants(&Reader::new(store.history()), job, ALL, 10).0, left);
    }
}
