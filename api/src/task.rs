//! What the engine tells an executor about a task, and what it hears back.
//!
//! Both travel inside Mesos messages (`TaskInfo.data`, `TaskStatus.data`) as JSON behind a
//! version byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    JobName, RunId, Span, TaskId, Timestamp,
    spec::{MisfirePolicy, ScheduleSpec, ScriptSpec},
};

/// Label on an executor: its lease as a span, or `off`.
pub const LABEL_LEASE: &str = "muster.lease";
/// Label on a task: whether its executor is expected `new` or `alive`.
pub const LABEL_EXPECT: &str = "muster.executor";
/// Value of [`LABEL_EXPECT`]: the executor does not live yet.
pub const EXPECT_NEW: &str = "new";
/// Value of [`LABEL_EXPECT`]: the executor lives.
pub const EXPECT_ALIVE: &str = "alive";
/// Label on a terminal status: the task's own time-out ended it.
pub const LABEL_TIMEOUT: &str = "muster.timeout";
/// Label on a GONE status: the lease of its executor has ended.
pub const LABEL_FENCED: &str = "muster.fenced";
/// Label on a KILLING status of an executor: the task was asked to end and did not at its
/// `kill_grace`, so that its executor gives itself up.
pub const LABEL_STUCK: &str = "muster.stuck";
/// Value of [`LABEL_STUCK`]: the task was told to end.
pub const STUCK_KILLED: &str = "killed";
/// Value of [`LABEL_STUCK`]: the task has reached its time-out.
pub const STUCK_TIMED_OUT: &str = "timed_out";
/// Label on the terminal status of a task whose executor was ended: by whose doing.
pub const LABEL_ENDED: &str = "muster.ended";
/// Value of [`LABEL_ENDED`]: another task there did not end when it had to.
pub const ENDED_FOR_NEIGHBOUR: &str = "neighbour";
/// Value of [`LABEL_ENDED`]: somebody wanted it so, or it was ended for this very task.
pub const ENDED_BY_ORDER: &str = "order";

/// The exit code of an executor that gave itself up because a handler did not end when it had to.
pub const EXIT_STUCK: u8 = 86;

/// What user code is given, under the names that it sees in `MUSTER_CONTEXT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardContext {
    /// The job.
    pub job: JobName,
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// Which attempt at this shard it is, from 1.
    pub attempt: u32,
    /// Grows with every task of the installation; for users to fence their own writes with.
    pub epoch: u64,
    /// How many shards the run has.
    pub shard_count: u32,
    /// Which of them this is, from 0.
    pub shard_item: u32,
    /// The parameter of this shard.
    #[serde(default)]
    pub shard_parameter: String,
    /// The parameter of the job, or the one given with the trigger.
    #[serde(default)]
    pub job_parameter: String,
    /// When the run was planned; for a merged run the first of its instants.
    pub planned_time: Timestamp,
    /// The last instant of a merged run; else the same as `planned_time`.
    pub planned_until: Timestamp,
    /// How many planned instants the run stands for; null when nobody counted them.
    pub fires: Option<u64>,
    /// When this task was launched.
    pub fire_time: Timestamp,
    /// Free values of the job.
    #[serde(default)]
    pub props: BTreeMap<String, String>,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Work {
    /// Calls a handler that the app's executor registered.
    Simple {
        /// Its name.
        handler: String,
    },
    /// Runs a command line.
    Script(ScriptSpec),
}

/// What an executor is told about a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskPayload {
    /// What user code is given.
    pub context: ShardContext,
    /// What is to be done.
    pub work: Work,
    /// How long user code may take; zero is no bound.
    pub timeout: Span,
    /// From asking user code to end to ending it.
    pub kill_grace: Span,
    /// Present when the task is resident: it stays, and its code is called again and again. Each call
    /// is an execution, with `timeout` as its bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident: Option<Resident>,
}

/// When the code of a resident task is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// Its schedule.
    pub schedule: ScheduleSpec,
    /// What its period is counted from.
    pub anchor: Timestamp,
    /// How much later than planned each execution begins: the job's jitter.
    #[serde(default)]
    pub offset: Span,
    /// What becomes of an instant that comes while the former execution goes on, or that is noticed
    /// late: it is skipped, or one execution stands for all of them.
    pub misfire: MisfirePolicy,
    /// How long ago an instant may have been due to count still.
    pub grace: Span,
    /// Of the executions that succeed, every so-manieth is reported; 0 and 1: all.
    #[serde(default)]
    pub sampling: u32,
}

/// What an executor says of the executions of its resident tasks: a message, which may get lost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExecutionBatch {
    /// They, oldest first, at most [`crate::limits::EXECUTIONS_PER_MESSAGE`].
    pub executions: Vec<ExecutionReport>,
    /// What is in no batch, by task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// One execution of a resident task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionReport {
    /// The task.
    pub task: TaskId,
    /// The planned instant that it stands for; the first of them.
    pub planned_at: Timestamp,
    /// The last of them.
    pub planned_until: Timestamp,
    /// How many they are.
    pub fires: u64,
    /// When its code began, on the wall clock of its host.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: ExecutionOutcome,
    /// Why it did not succeed, at most [`crate::limits::OUTPUT_TAIL_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The exit code of its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionOutcome {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// It took longer than it may.
    TimedOut,
    /// Its task was told to end.
    Cancelled,
}

/// Counts of what a resident task does not report, since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The task.
    pub task: TaskId,
    /// Executions that succeeded and were left out by sampling.
    pub sampled: u64,
    /// Executions that waited to be reported for too long and were dropped.
    pub dropped: u64,
    /// Planned instants that were skipped.
    pub skipped: u64,
}

/// What an executor reports with a status beside the state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskReport {
    /// When user code began, on the wall clock of its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The exit code of a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What user code returned, at most [`crate::limits::RESULT_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The last output of a task that did not succeed, at most
    /// [`crate::limits::OUTPUT_TAIL_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// Bytes that hold no such message.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMessage {
    /// No bytes, or of a version that is not known here.
    #[error("the message begins with version {found:?}, and 1 is understood")]
    Version {
        /// The first byte.
        found: Option<u8>,
    },
    /// The JSON is not what was expected.
    #[error("the message cannot be read")]
    Json(#[from] serde_json::Error),
}

const VERSION: u8 = 1;

fn encode(message: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, message).expect("these types always become JSON");
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidMessage> {
    match bytes.split_first() {
        Some((&VERSION, json)) => Ok(serde_json::from_slice(json)?),
        other => Err(InvalidMessage::Version { found: other.map(|(first, _)| *first) }),
    }
}

impl TaskPayload {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        decode(bytes)
    }
}

impl ExecutionBatch {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        decode(bytes)
    }
}

impl TaskReport {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        decode(bytes)
    }
}
