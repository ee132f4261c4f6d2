//! What happened: the rows that `GET /v1/events` answers and its stream sends.

mod kind;

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{AgentId, AppName, ExecutorId, JobName, RunId, TaskId, Timestamp};

pub use kind::EventKind;

/// The place of an event in the log of events: it grows with every event, over restarts too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId {
    /// The record of the log: the Unix milliseconds of its commit, or one more than the record
    /// before it where that is more.
    pub sequence: u64,
    /// Which event of that record it is, from 0.
    pub index: u32,
}

/// A text that is no id of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event is named by two numbers, as in 1767225600000-0")]
pub struct InvalidEventId;

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (sequence, index) = text.split_once('-').ok_or(InvalidEventId)?;
        if !digits(sequence) || !digits(index) {
            return Err(InvalidEventId);
        }
        let sequence = sequence.parse().map_err(|_| InvalidEventId)?;
        Ok(Self { sequence, index: index.parse().map_err(|_| InvalidEventId)? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequence, self.index)
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An event as users see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// Its place in the log.
    pub id: EventId,
    /// What happened.
    #[serde(flatten)]
    pub event: TraceEvent,
}

/// Something that happened and that people may ask about.
///
/// What is not set does not belong to it. A field is a filter of the query where that has one of
/// its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// When it happened, as its source says.
    pub at: Timestamp,
    /// What it is about.
    #[serde(deserialize_with = "kind::known_or_other")]
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
    /// When what ended at `at` had begun: a run its first task, a task or an execution its code.
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

impl EventSource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Scheduler, Self::Agent, Self::Executor];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_sort_as_their_numbers_do() {
        let id = EventId { sequence: 1_767_225_600_000, index: 12 };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"1767225600000-12\"");
        assert!(EventId { sequence: 2, index: 0 } > EventId { sequence: 1, index: 9 });
        for text in ["", "1", "1-", "-1", "1-2-3", "+1-2", "1--2", "1-4294967296", "a-b", " 1-2"] {
            assert_eq!(text.parse::<EventId>(), Err(InvalidEventId), "{text}");
        }
    }
}
