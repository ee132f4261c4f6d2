//! Loading: stored records come one by one and become the tables of the world.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use muster_api::{
    AgentId, AppName, AppUid, ExecutorId, JobName, JobUid, NoticeId, Now, RunId, TaskId,
    spec::{AppSpec, JobSpec},
};
use serde::de::DeserializeOwned;

use crate::{
    effect::Step,
    engine::{Engine, EngineConfig, RestoreError},
    records::{
        self, AppRecord, CountersRecord, CursorRecord, DisownedRecord, ExecutorRecord, HeldRecord,
        IdempotencyRecord, JobRecord, LostRecord, NoticeRecord, ResumedRecord, RunRecord,
        SettlingRecord, TaskRecord, ToldRecord, ZonesRecord,
    },
};

/// Takes in what is stored, record by record, so that there is never a second copy of it all.
///
/// Rows are kept as they come and become maps at the end: a map that is built from sorted rows is
/// packed as tightly as can be.
#[derive(Debug, Default)]
pub struct Loader {
    pub(crate) apps: Rows<AppName, AppRecord>,
    pub(crate) revisions: Rows<(AppUid, u64), Arc<AppSpec>>,
    pub(crate) jobs: Rows<JobName, JobRecord>,
    pub(crate) versions: Rows<(JobUid, u64), Arc<JobSpec>>,
    pub(crate) cursors: Rows<JobUid, CursorRecord>,
    pub(crate) runs: Rows<RunId, RunRecord>,
    pub(crate) tasks: Rows<TaskId, TaskRecord>,
    pub(crate) executors: Rows<ExecutorId, ExecutorRecord>,
    pub(crate) idempotency: Rows<(JobUid, String), IdempotencyRecord>,
    pub(crate) counters: Rows<(), CountersRecord>,
    pub(crate) held: Rows<(), HeldRecord>,
    pub(crate) resumed: Rows<(), ResumedRecord>,
    pub(crate) settling: Rows<(), SettlingRecord>,
    pub(crate) zones: Rows<(), ZonesRecord>,
    pub(crate) disowned: Rows<(), DisownedRecord>,
    pub(crate) notices: Rows<NoticeId, NoticeRecord>,
    pub(crate) told: Rows<JobUid, ToldRecord>,
    pub(crate) lost: Rows<AgentId, LostRecord>,
    /// The app of the job before: jobs of one app share its name in memory.
    app_of_last_job: Option<AppName>,
}

/// The rows of a table, in the order in which they came.
pub(crate) type Rows<K, V> = Vec<(K, V)>;

impl Loader {
    /// Takes in one record; says whether it is of a kind that the engine stores.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<bool, RestoreError> {
        let Some((kind, rest)) =
            std::str::from_utf8(key).ok().and_then(|key| key.split_at_checked(2))
        else {
            return Ok(false);
        };
        let row = Row { key, rest, value };
        match kind {
            records::APPS => row.read(name, &mut self.apps),
            records::REVISIONS => row.read(numbered, &mut self.revisions),
            records::JOBS => {
                row.read(name, &mut self.jobs)?;
                self.share_names(key)
            }
            records::VERSIONS => row.read(numbered, &mut self.versions),
            records::CURSORS => row.read(name, &mut self.cursors),
            records::RUNS => row.read(name, &mut self.runs),
            records::TASKS => row.read(name, &mut self.tasks),
            records::EXECUTORS => row.read(name, &mut self.executors),
            records::IDEMPOTENCY => row.read(job_and_key, &mut self.idempotency),
            records::NOTICES => row.read(name, &mut self.notices),
            records::TOLD => row.read(name, &mut self.told),
            records::LOST => row.read(name, &mut self.lost),
            _ => match key {
                key if key == records::COUNTERS.as_bytes() => row.read(single, &mut self.counters),
                key if key == records::HELD.as_bytes() => row.read(single, &mut self.held),
                key if key == records::RESUMED.as_bytes() => row.read(single, &mut self.resumed),
                key if key == records::SETTLING.as_bytes() => row.read(single, &mut self.settling),
                key if key == records::ZONES.as_bytes() => row.read(single, &mut self.zones),
                key if key == records::DISOWNED.as_bytes() => row.read(single, &mut self.disowned),
                _ => return Ok(false),
            },
        }?;
        Ok(true)
    }

    /// The engine as it was when these records were written. `seed` is fresh entropy.
    pub fn finish(
        self,
        config: EngineConfig,
        seed: u64,
        now: Now,
    ) -> Result<(Engine, Step), RestoreError> {
        Engine::loaded(config, seed, self, now)
    }

    /// Lets the job that came last have its name, and that of its app, in common with others.
    fn share_names(&mut self, key: &[u8]) -> Result<(), RestoreError> {
        let Some((name, job)) = self.jobs.last_mut() else { return Ok(()) };
        let spec = Arc::get_mut(&mut job.spec).expect("a record just read is nobody else's yet");
        if spec.name != *name {
            return Err(unknown(key));
        }
        *name = spec.name.clone();
        match &self.app_of_last_job {
            Some(app) if *app == spec.app => spec.app = app.clone(),
            _ => self.app_of_last_job = Some(spec.app.clone()),
        }
        Ok(())
    }
}

/// A stored record of a known kind.
struct Row<'a> {
    key: &'a [u8],
    /// The key without its kind.
    rest: &'a str,
    value: &'a [u8],
}

impl Row<'_> {
    fn read<K, V: DeserializeOwned>(
        self,
        key_of: impl Fn(&str) -> Option<K>,
        rows: &mut Rows<K, V>,
    ) -> Result<(), RestoreError> {
        let key = key_of(self.rest).ok_or_else(|| unknown(self.key))?;
        let record = records::decode(self.value).map_err(|source| RestoreError::Record {
            key: String::from_utf8_lossy(self.key).into_owned(),
            source,
        })?;
        rows.push((key, record));
        Ok(())
    }
}

fn unknown(key: &[u8]) -> RestoreError {
    RestoreError::UnknownKey { key: String::from_utf8_lossy(key).into_owned() }
}

fn name<K: FromStr>(text: &str) -> Option<K> {
    text.parse().ok()
}

/// A key of two parts: a uid and a number.
fn numbered<K: FromStr>(text: &str) -> Option<(K, u64)> {
    let (uid, number) = text.split_once('/')?;
    Some((uid.parse().ok()?, number.parse().ok()?))
}

/// A key of two parts: the uid of a job and an idempotency key.
fn job_and_key(text: &str) -> Option<(JobUid, String)> {
    let (uid, key) = text.split_once('/')?;
    Some((uid.parse().ok()?, key.to_owned()))
}

/// The key of the only record of its kind says nothing.
#[allow(clippy::unnecessary_wraps, reason = "it stands beside those that can fail")]
fn single(_: &str) -> Option<()> {
    Some(())
}

/// The rows of a table as a map.
pub(crate) fn packed<K: Ord, V>(rows: Rows<K, V>) -> BTreeMap<K, V> {
    rows.into_iter().collect()
}
