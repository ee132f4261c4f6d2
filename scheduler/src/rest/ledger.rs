//! The fire ledger of a job, put together: each planned instant once, newest first.
//!
//! An instant is the row of a run (live, or over) or one of a stored range of instants that did
//! not become runs of their own. Ranges are expanded only as far as a page needs.

use std::{collections::VecDeque, fmt, ops::ControlFlow};

use muster_api::{
    JobUid, RunId, Timestamp, limits,
    schedule::Schedule,
    views::{Cause, FireOutcome, FireView},
};
use muster_engine::{
    query::LiveFire,
    records::{self, FireRangeRecord, RunRecord},
};

use super::reader::{ReadError, Reader};

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its instants are before this one.
    pub(super) before: Option<Timestamp>,
    /// Its runs that are over have smaller ids than this.
    pub(super) run: Option<RunId>,
}

impl Place {
    /// From the text of a cursor.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (before, run) = text.split_once(':')?;
        let before = Some(before).filter(|text| !text.is_empty());
        let before =
            before.map(|text| text.parse().map(Timestamp::from_millis)).transpose().ok()?;
        let run = Some(run).filter(|text| !text.is_empty());
        Some(Self { before, run: run.map(str::parse).transpose().ok()? })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before {
            write!(f, "{}", before.as_millis())?;
        }
        f.write_str(":")?;
        self.run.map_or(Ok(()), |run| run.fmt(f))
    }
}

/// A page of the ledger, and where the next one begins.
pub(super) fn page(
    reader: &Reader,
    job: JobUid,
    live: Vec<LiveFire>,
    from: Option<Timestamp>,
    place: Place,
    limit: usize,
) -> Result<(Vec<FireView>, Option<Place>), ReadError> {
    let before = |at: Timestamp| place.before.is_none_or(|before| at < before);
    let runs = past_runs(reader, job, place, from, limit)?;
    let mut runs_left: VecDeque<_> = runs.rows.into();
    let mut live: Vec<_> = live.into_iter().filter(|fire| before(fire.planned_at)).collect();
    live.sort_by_key(|fire| fire.planned_at);
    let mut ranges = Ranges::new(reader, job, place.before);
    let mut rows: Vec<FireView> = Vec::new();
    let mut next = place;
    loop {
        let newest = [
            runs_left.front().map(|(_, row)| row.planned_at),
            live.last().map(|fire| fire.planned_at),
            ranges.peek()?.map(|row| row.planned_at),
        ];
        let Some(at) = newest.into_iter().flatten().max() else { break };
        if from.is_some_and(|from| at < from) {
            return Ok((rows, None));
        }
        if runs.unknown_until.is_some_and(|unknown| at <= unknown) {
            break;
        }
        if rows.len() == limit {
            return Ok((rows, Some(next)));
        }
        // An instant has one row. A run that ended just now is also among the live ones, as it
        // was then; what the store says is newer.
        let mut row = None;
        while let Some(fire) = live.pop_if(|fire| fire.planned_at == at) {
            row = Some(live_row(&fire));
        }
        if let Some(range_row) = ranges.next_if(at)? {
            row = Some(range_row);
        }
        while let Some((id, run_row)) = runs_left.pop_front_if(|(_, row)| row.planned_at == at) {
            next.run = Some(id);
            row = Some(run_row);
        }
        next.before = Some(at);
        rows.extend(row);
    }
    let unfinished = runs.stopped_at.map(|run| Place { run: Some(run), ..next });
    Ok((rows, unfinished))
}

/// Scheduled runs of a job that are over, newest first.
struct PastRuns {
    rows: Vec<(RunId, FireView)>,
    /// The last run that was looked at, when there may be more than could be looked through.
    stopped_at: Option<RunId>,
    /// There, runs of up to this instant are missing.
    unknown_until: Option<Timestamp>,
}

fn past_runs(
    reader: &Reader,
    job: JobUid,
    place: Place,
    from: Option<Timestamp>,
    limit: usize,
) -> Result<PastRuns, ReadError> {
    let mut rows = Vec::new();
    let mut looked_at = None;
    let stopped_at = reader.each_past_run(Some(job), place.run, |id, read| {
        let Some(run) = read()? else { return Ok(ControlFlow::Continue(())) };
        // Runs were created in the order of their instants, and none before its instant.
        if rows.len() > limit || from.is_some_and(|from| run.created_at < from) {
            return Ok(ControlFlow::Break(()));
        }
        looked_at = Some(run.created_at);
        let wanted = place.before.is_none_or(|before| run.planned_at < before);
        if run.cause == Cause::Schedule && wanted {
            rows.push((id, past_row(&run)));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(PastRuns { rows, stopped_at, unknown_until: stopped_at.and(looked_at) })
}

fn past_row(run: &RunRecord) -> FireView {
    let started = run.started_at.is_some();
    FireView {
        planned_at: run.planned_at,
        outcome: if started { FireOutcome::Ran } else { FireOutcome::Skipped },
        reason: run.reason.clone().filter(|_| !started),
        run: Some(run.id),
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

/// The instants of stored ranges, newest first.
struct Ranges<'a> {
    reader: &'a Reader,
    job: JobUid,
    /// Instants from here on are not wanted (any more).
    before: Option<Timestamp>,
    current: Option<(FireRangeRecord, Schedule)>,
    peeked: Option<FireView>,
}

impl<'a> Ranges<'a> {
    fn new(reader: &'a Reader, job: JobUid, before: Option<Timestamp>) -> Self {
        Self { reader, job, before, current: None, peeked: None }
    }

    /// The newest instant that was not taken yet.
    fn peek(&mut self) -> Result<Option<&FireView>, ReadError> {
        while self.peeked.is_none() {
            if self.current.is_none() {
                self.current = self.older_range()?;
            }
            let Some((range, schedule)) = &self.current else { break };
            let end = range.last + std::time::Duration::from_millis(1);
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
    fn next_if(&mut self, at: Timestamp) -> Result<Option<FireView>, ReadError> {
        let is_it = self.peek()?.is_some_and(|row| row.planned_at == at);
        Ok(self.peeked.take_if(|_| is_it))
    }

    /// The newest range that begins before what is wanted.
    fn older_range(&mut self) -> Result<Option<(FireRangeRecord, Schedule)>, ReadError> {
        for _ in 0..limits::SCAN_ROWS {
            let end = self.before.map(|before| records::fire_key(&self.job, before));
            let prefix = records::fires_of(&self.job);
            let ranges = self.reader.backwards::<FireRangeRecord>(&prefix, end.as_deref(), 1)?;
            let Some(range) = ranges.into_iter().next() else { return Ok(None) };
            match Schedule::compile(&range.schedule, range.anchor) {
                Ok(schedule) => return Ok(Some((range, schedule))),
                // What was stored was compiled once; a later version may not read it any more.
                Err(_) => self.before = Some(range.first),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use muster_api::{IdStream, spec::ScheduleSpec, step::Write, views::RunState};
    use muster_engine::records::ShardsRecord;

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
            state: RunState::Succeeded,
            reason: None,
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
                cron: None,
                every: Some(muster_api::Span::from_secs(every)),
                from: None,
                at: None,
            },
            anchor: at(0),
        }
    }

    /// All instants of the ledger, in seconds, got with pages of `limit` rows; and how many pages.
    fn instants(reader: &Reader, job: JobUid, limit: usize) -> (Vec<i64>, usize) {
        let mut place = Some(Place { before: None, run: None });
        let (mut all, mut pages) = (Vec::new(), 0);
        while let Some(begin) = place {
            // The cursor is all that a page knows of the former one.
            let begin = Place::parse(&begin.to_string()).unwrap();
            let (rows, next) = page(reader, job, Vec::new(), None, begin, limit).unwrap();
            assert!(rows.len() <= limit);
            all.extend(rows.iter().map(|row| (row.planned_at.since(at(0))).as_secs() as i64));
            (place, pages) = (next, pages + 1);
        }
        (all, pages)
    }

    fn stored(job: JobUid, runs: &[RunRecord], ranges: &[FireRangeRecord]) -> Reader {
        let mut store = MemoryStore::open(&MemoryDisk::default());
        let put = |key, value| Write::Put { key, value };
        let runs =
            runs.iter().map(|run| put(records::past_run_key(&job, &run.id), records::encode(run)));
        let ranges = ranges
            .iter()
            .map(|range| put(records::fire_key(&job, range.first), records::encode(range)));
        let writes: Vec<_> = runs.chain(ranges).collect();
        store.commit(&Commit { term: 1, sequence: 1, writes: &writes }).unwrap();
        Reader::new(Arc::clone(&store.history()))
    }

    #[test]
    fn runs_and_ranges_are_one_list() {
        let mut ids = IdStream::new(1, 1);
        let job = JobUid::from_uuid(ids.uuid(at(0)));
        let runs = [
            run(&mut ids, job, Cause::Schedule, 10, 10),
            run(&mut ids, job, Cause::Trigger, 15, 15),
            // After a downtime the newest missed instant runs late.
            run(&mut ids, job, Cause::Schedule, 50, 77),
            run(&mut ids, job, Cause::Trigger, 78, 78),
            run(&mut ids, job, Cause::Schedule, 80, 80),
        ];
        let reader = stored(job, &runs, &[range(20, 49, 10), range(60, 70, 5)]);
        let expected = vec![80, 70, 65, 60, 50, 40, 30, 20, 10];
        for limit in [1, 2, 3, 8, 9, 10, 100] {
            let (all, pages) = instants(&reader, job, limit);
            assert_eq!((all, pages), (expected.clone(), expected.len().div_ceil(limit)), "{limit}");
        }
    }

    #[test]
    fn a_page_has_a_bounded_price() {
        let mut ids = IdStream::new(1, 1);
        let job = JobUid::from_uuid(ids.uuid(at(0)));
        let mut runs = vec![run(&mut ids, job, Cause::Schedule, 10, 11)];
        for n in 0..limits::SCAN_ROWS as i64 + 10 {
            runs.push(run(&mut ids, job, Cause::Trigger, 20 + n, 20 + n));
        }
        let latest = 20 + limits::SCAN_ROWS as i64 + 10;
        let reader = stored(job, &runs, &[range(5, 9, 2), range(latest, latest + 3, 1)]);
        let begin = Place { before: None, run: None };
        let (rows, next) = page(&reader, job, Vec::new(), None, begin, 100).unwrap();
        assert_eq!(rows.len(), 4, "what is newer than the runs that were looked through");
        assert!(next.is_some_and(|next| next.run.is_some()));
        let all = [3, 2, 1, 0].map(|n| latest + n).into_iter().chain([10, 8, 6]).collect();
        assert_eq!(instants(&reader, job, 100), (all, 2));
    }
}
