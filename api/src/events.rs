//! What happened: the rows that `GET /v1/events` answers and its stream sends.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{AgentId, AppName, ExecutorId, JobName, RunId, TaskId, Timestamp};

/// Something that happened and that people may ask about.
///
/// What is not set does not belong to it. A field is a filter of the query where that has one of
/// its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// When it happened, as its source says.
    pub at: Timestamp,
    /// What it is about.
    pub kind: EventKind,
    /// What became of that: a state of a task, run or host, the outcome of a fire or an execution,
    /// or what was changed.
    pub state: Cow<'static, str>,
    /// Who says so.
    pub source: EventSource,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The item of its shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Its attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The task that it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<TaskId>,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The host name of that agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<ExecutorId>,
    /// The planned instant, or the first of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<Timestamp>,
    /// The last of several planned instants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_until: Option<Timestamp>,
    /// How many planned instants they are, or how many executions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// When the code of an execution began; it ended at `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The exit code of a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Who made a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The version that a change led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

impl TraceEvent {
    /// An event with nothing beside what each has.
    pub fn new(
        at: Timestamp,
        kind: EventKind,
        state: impl Into<Cow<'static, str>>,
        source: EventSource,
    ) -> Self {
        Self {
            at,
            kind,
            state: state.into(),
            source,
            message: None,
            app: None,
            job: None,
            run: None,
            task: None,
            item: None,
            attempt: None,
            replaces: None,
            agent: None,
            hostname: None,
            executor: None,
            planned_at: None,
            planned_until: None,
            count: None,
            started_at: None,
            exit_code: None,
            actor: None,
            version: None,
        }
    }
}

/// What an event is about. Readers must accept kinds that they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A task: `staging`, `starting`, `running`, `killing`, and how it ended.
    Task,
    /// A run, by its states.
    Run,
    /// Planned instants that became no run of their own, by outcome.
    Fire,
    /// Executions of a resident task, by outcome.
    Execution,
    /// An executor host.
    Host,
    /// A notice to a webhook.
    Notice,
    /// A change that somebody made: the audit trail.
    Change,
    /// The scheduler itself: its start, clocks that jump.
    Scheduler,
}

/// Who says that something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventSource {
    /// The scheduler with its master.
    #[default]
    Scheduler,
    /// The agent of a host.
    Agent,
    /// An executor.
    Executor,
}
