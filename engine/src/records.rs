//! What the engine stores: one type, one key and one sample of old bytes for each kind of record.
//!
//! A key begins with the ordinal of its kind, one letter and a slash, which never changes its
//! meaning; history begins with `h/`. A value is a version byte and JSON. Readers accept every
//! version that was ever written, and fields that they do not know.

use std::sync::Arc;

use muster_api::{
    AgentId, AppName, AppUid, ExecutorId, JobName, JobUid, RunId, Timestamp,
    spec::{AppSpec, JobSpec},
    step::Write,
    views::{RerunRequest, RunView, TriggerRequest},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

mod history_keys;
mod notices;
mod past;
mod runs;
mod text_bytes;

pub use history_keys::*;
pub use notices::*;
pub use past::*;
pub use runs::*;

/// A stored record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecord {
    /// It was written by a newer Muster, or by something else.
    #[error("the record begins with version {found:?}, and 1 is the newest that is understood")]
    Version {
        /// The first byte.
        found: Option<u8>,
    },
    /// The JSON is not what was expected.
    #[error("the record is damaged")]
    Json(#[from] serde_json::Error),
}

const VERSION: u8 = 1;

/// The bytes of a record.
pub fn encode(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, record).expect("records always become JSON");
    bytes
}

/// The record in some bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidRecord> {
    match bytes.split_first() {
        Some((&VERSION, json)) => Ok(serde_json::from_slice(json)?),
        other => Err(InvalidRecord::Version { found: other.map(|(first, _)| *first) }),
    }
}

/// Key prefix of apps.
pub const APPS: &str = "a/";
/// Key prefix of the revisions of apps that executors use.
pub const REVISIONS: &str = "v/";
/// Key prefix of jobs.
pub const JOBS: &str = "j/";
/// Key prefix of the versions of jobs that runs use.
pub const VERSIONS: &str = "w/";
/// Key prefix of cursors.
pub const CURSORS: &str = "c/";
/// Key prefix of runs that are not over.
pub const RUNS: &str = "r/";
/// Key prefix of tasks that are not over.
pub const TASKS: &str = "t/";
/// Key prefix of executors that are not gone.
pub const EXECUTORS: &str = "e/";
/// Key prefix of idempotency keys.
pub const IDEMPOTENCY: &str = "i/";
/// Key prefix of notices that wait to be delivered.
pub const NOTICES: &str = "n/";
/// Key prefix of what was told of jobs.
pub const TOLD: &str = "q/";
/// Key prefix of the executor hosts of which was told that they are lost.
pub const LOST: &str = "l/";
/// Key of the counters.
pub const COUNTERS: &str = "m/counters";
/// Key of the mark that a restored store is held.
pub const HELD: &str = "m/held";
/// Key of what the last resume passes over.
pub const RESUMED: &str = "m/resumed";
/// Key of the mark that launches wait after a resume.
pub const SETTLING: &str = "m/settling";
/// Key of the time zone data that the next instants are reckoned with.
pub const ZONES: &str = "m/zones";
/// Key of what is known of a framework that its master has removed.
pub const DISOWNED: &str = "m/disowned";

/// Key of an app.
pub fn app_key(name: &AppName) -> Vec<u8> {
    format!("{APPS}{name}").into_bytes()
}

/// Key of a job.
pub fn job_key(name: &JobName) -> Vec<u8> {
    format!("{JOBS}{name}").into_bytes()
}

/// Key of the cursor of a job.
pub fn cursor_key(uid: &JobUid) -> Vec<u8> {
    format!("{CURSORS}{uid}").into_bytes()
}

/// Key of a run that is not over.
pub fn run_key(id: &RunId) -> Vec<u8> {
    format!("{RUNS}{id}").into_bytes()
}

/// A stored app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppRecord {
    /// From its creation to its deletion.
    pub uid: AppUid,
    /// Grows with every stored change.
    pub version: u64,
    /// Grows with each change that needs new executors.
    pub revision: u64,
    /// The document.
    pub spec: Arc<AppSpec>,
    /// Operator state.
    pub disabled: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// A change that not all of its jobs have taken over yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepRecord>,
}

/// A change of an app that its jobs take over a few at a time, in the order of their names: an app
/// may have a million.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRecord {
    /// What it is.
    pub change: AppChange,
    /// When it was asked for, which is when it counts from.
    pub at: Timestamp,
    /// The last job that has taken it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<JobName>,
}

/// The changes that concern the jobs of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppChange {
    /// It is enabled.
    Enable,
    /// It is disabled; runs that have started end by themselves.
    Disable,
    /// It is disabled, and all runs are killed.
    DisableAndKill,
    /// It is deleted.
    Delete,
    /// The time zone data of this program are others than those of the one before.
    Zones,
}

/// A stored job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// From its creation to its deletion.
    pub uid: JobUid,
    /// Grows with every stored change.
    pub version: u64,
    /// The document; `disabled` is set in it.
    pub spec: Arc<JobSpec>,
    /// When it was created; what `every` without `from` is counted from.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl JobRecord {
    /// Operator state of the job alone.
    pub fn disabled(&self) -> bool {
        self.spec.disabled.unwrap_or(false)
    }
}

/// How far a job's schedule is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRecord {
    /// Every planned instant up to this one has an outcome.
    pub settled: Timestamp,
    /// The next instant; absent while the job is disabled and when there is none.
    pub next: Option<Timestamp>,
}

/// A stored task that is not over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Its run.
    pub run: RunId,
    /// Its shard.
    pub item: u32,
    /// What its shard went through, this task included.
    pub tries: Tries,
    /// Its epoch.
    pub epoch: u64,
    /// Where.
    pub agent: AgentId,
    /// The host name of that agent.
    pub hostname: String,
    /// In which executor.
    pub executor: ExecutorId,
    /// When it was launched.
    pub launched_at: Timestamp,
    /// The version of its job that it was launched with, if it is resident: its run follows the newest
    /// one. Others have the version of their run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why it is ended, when that is by a rule of the engine's own, or it alone of its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_for: Option<EndedFor>,
}

/// Why a task is ended whose run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedFor {
    /// It took longer than its time-out.
    Timeout,
    /// It was launching for too long.
    Launching,
    /// Its shard is to start anew; why is in its [`Tries::reason`].
    Restart,
    /// An operator wanted it to end.
    Operator,
}

/// A stored executor that is not gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutorRecord {
    /// The name of its app.
    pub app: AppName,
    /// The app itself.
    pub app_uid: AppUid,
    /// Of which revision.
    pub revision: u64,
    /// Where.
    pub agent: AgentId,
    /// Its state.
    pub state: ExecutorState,
    /// The exact description that it was launched with.
    #[serde(with = "text_bytes")]
    pub info: Arc<[u8]>,
}

/// The states of an executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorState {
    /// Launched, and nothing heard of it yet.
    Starting,
    /// Something was heard of it.
    Alive,
    /// A task there does not end: nothing is launched there again, and it ends with its last task
    /// or by itself.
    Closed,
    /// It is told to end; nothing is launched there again.
    Stopping,
    /// It has ended, and what became of some of its tasks has not been said yet.
    Gone,
}

impl ExecutorState {
    /// Whether tasks may be launched there.
    pub fn takes_tasks(self) -> bool {
        match self {
            Self::Starting | Self::Alive => true,
            Self::Closed | Self::Stopping | Self::Gone => false,
        }
    }
}

/// An idempotency key that was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// What was asked for; nothing of it when it was a rerun.
    pub request: TriggerRequest,
    /// The rerun that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<RerunRecord>,
    /// What was answered.
    pub answer: RunView,
    /// When.
    pub at: Timestamp,
}

/// What a rerun asked for, as far as that makes it the same when it comes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerunRecord {
    /// The run to be repeated.
    pub of: RunId,
    /// How.
    pub request: RerunRequest,
}

/// Counters of the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CountersRecord {
    /// No epoch at or above this was given out.
    pub epoch_bound: u64,
    /// The newest epoch by the last resume: tasks up to it are of the backup that was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_up_to: Option<u64>,
}

/// The mark of a restored store: until it is resumed nothing fires, is launched or is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRecord {
    /// When it was restored.
    pub since: Timestamp,
}

/// The write that marks a store as held. Whoever restores a backup makes it the last one.
pub fn held_write(at: Timestamp) -> Write {
    Write::Put { key: HELD.into(), value: encode(&HeldRecord { since: at }) }
}

/// What the last resume passes over: kept until every job that it concerns was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumedRecord {
    /// What came due by then is skipped.
    pub skip_until: Timestamp,
}

/// The mark of a store that was resumed a moment ago: nothing is launched until what it does not know
/// had the time to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlingRecord {
    /// When it was resumed.
    pub since: Timestamp,
}

/// That a master has removed our framework: what it says of tasks from before means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisownedRecord {
    /// The newest epoch by then.
    pub up_to: u64,
}

/// The time zone data that the next instants of cursors are reckoned with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZonesRecord {
    /// Its version.
    pub version: String,
}
