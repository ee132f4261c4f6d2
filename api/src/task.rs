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
/// Value of [`LABEL_ENDED`]: somebody wanted it so, or it was ended for this very task. An executor
/// says it of tasks that end because it was sent SIGTERM; its agent finds out what that was for.
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

/// What an executor says of the executions of its resident tasks.
///
/// It travels as a message and is sent again until somebody has taken it, so that it may come twice:
/// then both have the same number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExecutionBatch {
    /// Counts up from 1 in the life of the executor.
    pub number: u64,
    /// The tasks that this is about. They may be over when it comes.
    pub tasks: Vec<ResidentTask>,
    /// Executions, oldest first, at most [`crate::limits::EXECUTIONS_PER_MESSAGE`].
    pub executions: Vec<ExecutionReport>,
    /// What is in no batch, by task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// What a resident task is to those who read of its executions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidentTask {
    /// The task.
    pub task: TaskId,
    /// Its job.
    pub job: JobName,
    /// Its run.
    pub run: RunId,
    /// The item of its shard.
    pub item: u32,
    /// Which attempt at this shard it is.
    pub attempt: u32,
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

impl ExecutionOutcome {
    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Counts of what a resident task does not report, since the last batch that had counts of it.
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
    /// How often so many planned instants were skipped at once that nobody counted them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uncounted_ranges: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 0.1 sent it, before there were resident tasks.
    const OLD_PAYLOAD: &str = concat!(
        "\u{1}",
        r#"{"context":{"job":"j","run":"018bcfe5-6800-7ccc-b9fb-27c4b5fe626e","#,
        r#""task":"018bcfe5-6800-7d00-8000-000000000901","attempt":2,"epoch":7,"shard_count":3,"#,
        r#""shard_item":1,"shard_parameter":"p","job_parameter":"","#,
        r#""planned_time":"2026-01-01T00:00:00Z","planned_until":"2026-01-01T00:00:10Z","fires":2,"#,
        r#""fire_time":"2026-01-01T00:00:11Z","props":{}},"#,
        r#""work":{"type":"simple","handler":"h"},"timeout":"0s","kill_grace":"5s"}"#,
    );

    #[test]
    fn a_payload_of_a_task_that_does_not_stay_has_the_bytes_it_always_had() {
        let payload = TaskPayload::decode(OLD_PAYLOAD.as_bytes()).expect("it was sent once");
        assert_eq!(payload.resident, None);
        let bytes = String::from_utf8(payload.encode()).expect("it is JSON behind a byte");
        assert_eq!(bytes, OLD_PAYLOAD);
    }

    #[test]
    fn what_stays_comes_back_as_it_was_sent() {
        let mut payload = TaskPayload::decode(OLD_PAYLOAD.as_bytes()).expect("it was sent once");
        payload.resident = Some(Resident {
            schedule: ScheduleSpec { every: Some(Span::from_secs(1)), ..ScheduleSpec::default() },
            anchor: payload.context.fire_time,
            offset: Span::from_millis(250),
            misfire: MisfirePolicy::Skip,
            grace: Span::from_secs(60),
            sampling: 10,
        });
        let again = TaskPayload::decode(&payload.encode()).expect("it was just made");
        assert_eq!(again, payload);
    }
}
