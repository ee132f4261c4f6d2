//! What the store holds, as records and views: documents, and what is over.

use std::{ops::ControlFlow, sync::Arc};

use muster_api::{
    AppName, JobName, JobUid, RunId, Timestamp, limits,
    views::{AppView, JobView, RunState, RunView, ShardState, ShardView},
};
use muster_engine::{
    records::{self, AppRecord, CursorRecord, InvalidRecord, JobRecord, PastTaskRecord, RunRecord},
    render::bare_shard,
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::store::{History, Row, StoreError};

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

/// Runs that are over, newest first.
#[derive(Debug, Default)]
pub(super) struct SomeRuns {
    pub(super) runs: Vec<RunView>,
    /// The run up to which was looked, when older ones may be wanted too.
    pub(super) stopped_at: Option<RunId>,
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
    fn end(&self) -> Option<RunId> {
        match (self.before, self.to.map(first_run_id)) {
            (Some(before), Some(to)) => Some(before.min(to)),
            (before, to) => before.or(to),
        }
    }
}

/// The smallest id that a run created at `at` can have: ids are UUIDs v7, which begin with the
/// milliseconds in 48 bits.
fn first_run_id(at: Timestamp) -> RunId {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1);
    RunId::from_uuid(Uuid::from_u128(u128::from(millis) << 80))
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

    /// A run that is over.
    pub(super) fn past_run(&self, run: &RunId) -> Result<Option<RunRecord>, ReadError> {
        match self.get::<JobUid>(&records::past_run_index_key(run))? {
            Some(job) => self.get(&records::past_run_key(&job, run)),
            None => Ok(None),
        }
    }

    /// The newest `limit` runs that are over and wanted: of the job `uid`, or of all jobs.
    pub(super) fn past_runs(
        &self,
        filter: &RunFilter,
        uid: Option<JobUid>,
        limit: usize,
    ) -> Result<SomeRuns, ReadError> {
        let mut past = SomeRuns::default();
        let oldest = filter.from.map(first_run_id);
        past.stopped_at = self.each_past_run(uid, filter.end(), |id, read| {
            if oldest.is_some_and(|oldest| id < oldest) || past.runs.len() == limit {
                return Ok(ControlFlow::Break(()));
            }
            let run = read()?.map(|record| record.past_view());
            past.runs.extend(run.filter(|run| filter.wants(run)));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(past)
    }

    /// Visits runs that are over, newest first, of one job or of all, with ids below `end`, until
    /// the visitor has seen enough. Stops by itself after [`limits::SCAN_ROWS`] and then answers
    /// the last one visited.
    pub(super) fn each_past_run(
        &self,
        uid: Option<JobUid>,
        end: Option<RunId>,
        mut visit: impl FnMut(
            RunId,
            &mut dyn FnMut() -> Result<Option<RunRecord>, ReadError>,
        ) -> Result<ControlFlow<()>, ReadError>,
    ) -> Result<Option<RunId>, ReadError> {
        let prefix = match uid {
            Some(uid) => records::past_runs_of(&uid),
            None => records::PAST_RUNS_BY_TIME.as_bytes().to_vec(),
        };
        let mut after = end.map(|id| [prefix.as_slice(), id.to_string().as_bytes()].concat());
        let mut visited = None;
        for _ in 0..limits::SCAN_ROWS / limits::PAGE_ROWS {
            let rows = self.0.scan(&prefix, after.as_deref(), true, limits::PAGE_ROWS)?;
            for row in &rows {
                let Some(id) = id_behind(&prefix, &row.0) else { continue };
                let mut read = || match uid {
                    Some(_) => decode(row).map(Some),
                    None => self.get(&records::past_run_key(&decode(row)?, &id)),
                };
                if visit(id, &mut read)?.is_break() {
                    return Ok(None);
                }
                visited = Some(id);
            }
            match rows.into_iter().last() {
                Some((key, _)) => after = Some(key),
                None => return Ok(None),
            }
        }
        Ok(visited)
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

    /// Records whose keys begin with `prefix`, from the last one before `end` backwards.
    pub(super) fn backwards<T: DeserializeOwned>(
        &self,
        prefix: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<T>, ReadError> {
        self.0.scan(prefix, end, true, limit)?.iter().map(decode).collect()
    }

    fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, ReadError> {
        self.0.get(key)?.map(|value| decode(&(key.to_vec(), value))).transpose()
    }
}

fn decode<T: DeserializeOwned>((key, value): &Row) -> Result<T, ReadError> {
    records::decode(value)
        .map_err(|source| ReadError::Record { key: key.escape_ascii().to_string(), source })
}

/// The run whose id is what follows `prefix` in `key`.
fn id_behind(prefix: &[u8], key: &[u8]) -> Option<RunId> {
    std::str::from_utf8(key.strip_prefix(prefix)?).ok()?.parse().ok()
}
