//! What the store holds, as records and views: documents, and what is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use muster_api::{
    AppName, JobName, JobUid, RunId, TaskId, Timestamp, clock,
    events::EventId,
    views::{AppView, JobView, RunState, RunView, ShardState, ShardView},
};
use muster_engine::{
    records::{self, AppRecord, CursorRecord, InvalidRecord, JobRecord, PastTaskRecord, RunRecord},
    render::bare_shard,
};
use serde::de::DeserializeOwned;

use crate::{
    store::{History, Row, StoreError},
    trace::{self, EventFilter, Older, Since},
    walk::{Direction, RunWalk, Walk, first_run_id},
};

/// Why something cannot be read from the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The store did not answer.
    #[error("cannot read from the store; the log of the scheduler says more")]
    Store(#[from] StoreError),
    /// A record is not what it should be.
    #[error("the stored record `{key}` cannot be read; the log of the scheduler says more")]
    Record {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: InvalidRecord,
    },
}

/// Reads the store. Its calls block.
#[derive(Clone)]
pub(super) struct Reader(Arc<dyn History>);

/// Which runs are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct RunFilter {
    pub(super) job: Option<JobName>,
    pub(super) state: Option<RunState>,
    /// Created at or after this.
    pub(super) from: Option<Timestamp>,
    /// Created before this.
    pub(super) to: Option<Timestamp>,
    /// With smaller ids than this.
    pub(super) before: Option<RunId>,
}

impl RunFilter {
    /// Whether a run is wanted.
    pub(super) fn wants(&self, run: &RunView) -> bool {
        self.job.as_ref().is_none_or(|job| *job == run.job)
            && self.state.is_none_or(|state| state == run.state)
            && self.from.is_none_or(|from| run.created_at >= from)
            && self.end().is_none_or(|end| run.id < end)
    }

    /// Wanted runs have smaller ids than this.
    pub(super) fn end(&self) -> Option<RunId> {
        match (self.before, self.to.map(first_run_id)) {
            (Some(before), Some(to)) => Some(before.min(to)),
            (before, to) => before.or(to),
        }
    }
}

impl Reader {
    pub(super) fn new(history: Arc<dyn History>) -> Self {
        Self(history)
    }

    /// The app of a name.
    pub(super) fn app(&self, name: &AppName) -> Result<Option<AppRecord>, ReadError> {
        self.get(&records::app_key(name))
    }

    /// Apps in the order of their names.
    pub(super) fn apps(
        &self,
        after: Option<&AppName>,
        limit: usize,
    ) -> Result<Vec<AppView>, ReadError> {
        let after = after.map(records::app_key);
        let rows = self.0.scan(records::APPS.as_bytes(), after.as_deref(), false, limit)?;
        rows.iter().map(|row| Ok(decode::<AppRecord>(row)?.view())).collect()
    }

    /// The job of a name.
    pub(super) fn job(&self, name: &JobName) -> Result<Option<JobRecord>, ReadError> {
        self.get(&records::job_key(name))
    }

    /// The job of a name, as users see it.
    pub(super) fn job_view(&self, name: &JobName) -> Result<Option<JobView>, ReadError> {
        self.job(name)?.map(|job| self.view_of(&job)).transpose()
    }

    /// Jobs in the order of their names.
    pub(super) fn jobs(
        &self,
        after: Option<&JobName>,
        limit: usize,
    ) -> Result<Vec<JobView>, ReadError> {
        let after = after.map(records::job_key);
        let rows = self.0.scan(records::JOBS.as_bytes(), after.as_deref(), false, limit)?;
        rows.iter().map(|row| self.view_of(&decode(row)?)).collect()
    }

    fn view_of(&self, job: &JobRecord) -> Result<JobView, ReadError> {
        let app = self.app(&job.spec.app)?;
        Ok(job.view(app.as_ref(), self.cursor(job)?.as_ref()))
    }

    /// How far the schedule of a job is settled.
    pub(super) fn cursor(&self, job: &JobRecord) -> Result<Option<CursorRecord>, ReadError> {
        self.get(&records::cursor_key(&job.uid))
    }

    /// A run that is over: it lies under its state, which a reader of its id does not know.
    pub(super) fn past_run(&self, run: &RunId) -> Result<Option<RunRecord>, ReadError> {
        for state in records::PAST_STATES {
            let found = self.get(&records::past_run_key((state, *run)))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The newest `limit` runs that are over and wanted: of the job `uid`, or of all jobs.
    pub(super) fn past_runs(
        &self,
        filter: &RunFilter,
        uid: Option<JobUid>,
        limit: usize,
    ) -> Result<Vec<RunView>, ReadError> {
        let range = |state: RunState| {
            let prefix = match &uid {
                Some(uid) => records::past_runs_of_in(uid, state),
                None => records::past_runs_in(state),
            };
            let end = filter.end().map(|id| [&prefix, id.to_string().as_bytes()].concat());
            (state, Walk::new(&*self.0, prefix, Direction::Down, end))
        };
        let states = records::PAST_STATES.into_iter();
        let states = states.filter(|state| filter.state.is_none_or(|wanted| wanted == *state));
        let mut walk = RunWalk::new(states.map(range).collect(), Direction::Down);
        let oldest = filter.from.map(first_run_id);
        let mut runs = Vec::new();
        while runs.len() < limit
            && let Some((past, row)) = walk.take()?
            && oldest.is_none_or(|oldest| past.1 >= oldest)
        {
            let record: Option<RunRecord> = match uid {
                // What was forgotten since it was found is passed over.
                Some(_) => self.get(&records::past_run_key(past))?,
                None => Some(decode(&row)?),
            };
            runs.extend(record.map(|record| record.past_view()));
        }
        Ok(runs)
    }

    /// The scheduled run of a job that is over and that an entry of [`Reader::past_fires`] leads
    /// to; nothing when it was forgotten since.
    pub(super) fn past_fire(&self, entry: &Row) -> Result<Option<RunRecord>, ReadError> {
        self.get(&records::past_run_key(decode(entry)?))
    }

    /// Entries of the scheduled runs of a job that are over, the newest planned instant first,
    /// from before an instant.
    pub(super) fn past_fires(&self, job: &JobUid, before: Option<Timestamp>) -> Walk<'_> {
        let end = before.map(|before| records::past_fire_key(job, before));
        Walk::new(&*self.0, records::past_fires_of(job), Direction::Down, end)
    }

    /// The ranges of a job's fire ledger, the newest first, of those that begin before an instant.
    pub(super) fn fire_ranges(&self, job: &JobUid, before: Option<Timestamp>) -> Walk<'_> {
        let end = before.map(|before| records::fire_key(job, before));
        Walk::new(&*self.0, records::fires_of(job), Direction::Down, end)
    }

    /// The shards of a run that is over, by item.
    pub(super) fn past_shards(
        &self,
        run: &RunRecord,
        state: Option<ShardState>,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<ShardView>, ReadError> {
        let shards = run.shards.over().into_iter();
        shards
            .filter(|(item, _)| after.is_none_or(|after| *item > after))
            .filter(|(_, is)| state.is_none_or(|wanted| *is == wanted))
            .take(limit)
            .map(|(item, state)| self.past_shard(&run.id, bare_shard(item, "", state)))
            .collect()
    }

    /// A shard that is over, with what its newest task left, if it had one.
    pub(super) fn past_shard(&self, run: &RunId, bare: ShardView) -> Result<ShardView, ReadError> {
        Ok(match self.past_task(run, bare.item, None)? {
            Some(task) => ShardView { state: bare.state, ..task.shard_view() },
            None => bare,
        })
    }

    /// The newest task of a shard that is over, or of one attempt at it.
    pub(super) fn past_task(
        &self,
        run: &RunId,
        item: u32,
        attempt: Option<u32>,
    ) -> Result<Option<PastTaskRecord>, ReadError> {
        let mut prefix = records::past_tasks_of_shard(run, item);
        if let Some(attempt) = attempt {
            prefix.extend_from_slice(format!("{attempt:010}/").as_bytes());
        }
        self.0.scan(&prefix, None, true, 1)?.first().map(decode).transpose()
    }

    /// The newest wanted events before one, or of all.
    pub(super) fn events_before(
        &self,
        filter: &EventFilter,
        before: Option<EventId>,
        rows: usize,
    ) -> Result<Older, ReadError> {
        Ok(trace::older(&*self.0, filter, before, rows, clock::wall())?)
    }

    /// The first wanted events after one, of those up to the newest that is durable.
    pub(super) fn events_after(
        &self,
        filter: &EventFilter,
        after: EventId,
        newest: EventId,
    ) -> Result<Since, ReadError> {
        Ok(trace::newer(&*self.0, filter, after, newest, clock::wall())?)
    }

    /// When the code of these tasks began to run, as far as the log of events tells.
    pub(super) fn starts(
        &self,
        tasks: &BTreeSet<TaskId>,
    ) -> Result<BTreeMap<TaskId, Timestamp>, ReadError> {
        Ok(trace::starts(&*self.0, tasks)?)
    }

    /// Whether events after one may have been forgotten.
    pub(super) fn is_forgotten(&self, after: EventId) -> Result<bool, ReadError> {
        Ok(trace::is_forgotten(&*self.0, after)?)
    }

    fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, ReadError> {
        self.0.get(key)?.map(|value| decode(&(key.to_vec(), value))).transpose()
    }
}

/// The record of a row.
pub(super) fn decode<T: DeserializeOwned>((key, value): &Row) -> Result<T, ReadError> {
    records::decode(value)
        .map_err(|source| ReadError::Record { key: key.escape_ascii().to_string(), source })
}
