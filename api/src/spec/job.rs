//! The document of a job.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Constraint, Misfire, Notify, Spread};
use crate::{AppName, InvalidSpan, JobName, Resources, Span, Timestamp};

/// A schedule, a number of shards, their resources and policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Unique name.
    pub name: JobName,
    /// The app whose executors run it.
    pub app: AppName,
    /// What kind of work it is.
    #[serde(rename = "type")]
    pub job_type: JobType,
    /// Name under which the app's executor registered its code; absent: the job's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// What a script job runs; set exactly when the type is `script`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptSpec>,
    /// Whether its tasks come and go with its runs, or stay.
    #[serde(default)]
    pub execution: Execution,
    /// When it fires; absent: only when triggered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSpec>,
    /// Its shards.
    pub sharding: Sharding,
    /// Free text for every shard.
    #[serde(default)]
    pub parameter: String,
    /// What one task uses.
    pub resources: Resources,
    /// Whether shards start one by one.
    #[serde(default)]
    pub launch: Launch,
    /// What becomes of a fire that cannot start when it is planned.
    #[serde(default)]
    pub misfire: Misfire,
    /// How long after its planned time a run may start; zero is no bound.
    #[serde(default)]
    pub start_within: Span,
    /// What happens when a task or its host dies.
    #[serde(default)]
    pub failover: Failover,
    /// What happens when the code of a task fails.
    #[serde(default)]
    pub retry: Retry,
    /// How long a task may take; zero is no bound.
    #[serde(default)]
    pub timeout: Span,
    /// How long a run may take from its first launch; zero is no bound.
    #[serde(default)]
    pub run_timeout: Span,
    /// From asking a task to end to ending it.
    #[serde(default = "default_kill_grace")]
    pub kill_grace: Span,
    /// What the hosts that it runs on must be like: all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// Over what its shards are spread.
    #[serde(default)]
    pub spread: Spread,
    /// 0 to 100, higher first.
    #[serde(default = "default_priority")]
    pub priority: u8,
    /// What is told about it, and where.
    #[serde(default)]
    pub notify: Notify,
    /// Free values for user code.
    #[serde(default)]
    pub props: BTreeMap<String, String>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Operator state. In what a user sends, absent means: leave it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

fn default_kill_grace() -> Span {
    Span::from_secs(5)
}

fn default_priority() -> u8 {
    50
}

/// The kinds of work that jobs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobType {
    /// Calls a handler of the app's executor.
    Simple,
    /// Runs a command line.
    Script,
}

/// Whether the tasks of a job come and go with its runs, or stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execution {
    /// Each fire or trigger is a run, with a task for each shard.
    #[default]
    Transient,
    /// Each shard has one resident task for as long as the job is enabled. Its schedule is followed
    /// inside the executor; what that starts is an execution, and no run (SEMANTICS 6).
    Daemon,
}

/// What a script job runs: a command line, or an inline program for an interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptSpec {
    /// A line for `/bin/sh -c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The program that reads `inline`, such as `bash` or `python3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// The text that `interpreter` runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
    /// Whether the context JSON is appended as the last argument.
    #[serde(default)]
    pub append_context: bool,
}

/// When a job fires. Exactly one of `cron`, `every` and `at` is set.
///
/// Each job in memory has one, so its texts take no more than they hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// A cron expression: Quartz fields, or a crontab line behind the word `crontab`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<Box<str>>,
    /// The IANA name of the time zone of `cron`; absent: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Box<str>>,
    /// What becomes of a local time that does not exist; absent: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// What becomes of a local time that comes twice; absent: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// A period, from 1 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// What the period is counted from; absent: when the schedule was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// One instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Over how long the fires of jobs with the same schedule are spread; see
    /// [`jitter_offset`](crate::schedule::jitter_offset).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter: Span,
}

fn is_zero(span: &Span) -> bool {
    span.is_zero()
}

/// What becomes of a planned local time that does not exist, because the clocks were set forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// It fires at the first instant after the gap.
    #[default]
    RunAfter,
    /// It does not fire.
    Skip,
}

/// What becomes of a planned local time that comes twice, because the clocks were set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It fires in the first pass.
    #[default]
    First,
    /// It fires in the second pass.
    Second,
    /// It fires in both.
    Both,
}

/// The shards of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharding {
    /// How many, from 1.
    pub count: u32,
    /// A parameter for some of them, by item; missing means empty.
    #[serde(default, deserialize_with = "parameters_by_item")]
    pub parameters: BTreeMap<u32, String>,
}

/// Items are texts in JSON. Inside a view, whose document is flattened, serde would take them for
/// texts here too.
fn parameters_by_item<'de, D>(deserializer: D) -> Result<BTreeMap<u32, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let by_text = BTreeMap::<String, String>::deserialize(deserializer)?;
    let entries = by_text.into_iter().map(|(item, text)| Ok((item.parse()?, text)));
    entries.collect::<Result<_, std::num::ParseIntError>>().map_err(D::Error::custom)
}

/// Whether the shards of a run start one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Launch {
    /// Shards start as room comes.
    #[default]
    AsFits,
    /// All shards or none.
    AllAtOnce,
}

/// What happens when a task or its host dies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    /// Whether the shard starts again.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How many deaths of a shard are made good.
    #[serde(default = "default_failover_attempts")]
    pub max_attempts: u32,
    /// How long it waits before each.
    #[serde(default)]
    pub backoff: Backoff,
}

fn yes() -> bool {
    true
}

fn default_failover_attempts() -> u32 {
    3
}

impl Default for Failover {
    fn default() -> Self {
        Self { enabled: true, max_attempts: 3, backoff: Backoff::default() }
    }
}

/// What happens when the code of a task fails.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retry {
    /// How many failures of a shard are tried again.
    #[serde(default)]
    pub max_attempts: u32,
    /// How long it waits before each.
    #[serde(default)]
    pub backoff: Backoff,
}

/// A wait that doubles: `first..max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub first: Span,
    /// The longest.
    pub max: Span,
}

impl Backoff {
    /// The wait before try `n`, from 0: the first wait times two to the `n`, but no more than the
    /// longest.
    pub fn wait(&self, n: u32) -> Duration {
        let factor = 1u64.checked_shl(n).unwrap_or(u64::MAX);
        let millis = self.first.as_millis().saturating_mul(factor).min(self.max.as_millis());
        Duration::from_millis(millis)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Span::from_secs(1), max: Span::from_secs(60) }
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.max)
    }
}

impl FromStr for Backoff {
    type Err = InvalidSpan;
    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let invalid = || InvalidSpan { text: text.to_owned() };
        let (first, max) = text.split_once("..").ok_or_else(invalid)?;
        let (first, max): (Span, Span) = (first.parse()?, max.parse()?);
        if first > max { Err(invalid()) } else { Ok(Self { first, max }) }
    }
}

impl Serialize for Backoff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JobSpec {
    /// The name under which the app's executor registered the code of this job.
    pub fn handler_name(&self) -> &str {
        self.handler.as_deref().unwrap_or_else(|| self.name.as_str())
    }

    /// Whether its tasks are resident.
    pub fn is_daemon(&self) -> bool {
        self.execution == Execution::Daemon
    }

    /// The parameter of shard `item`.
    pub fn shard_parameter(&self, item: u32) -> &str {
        self.sharding.parameters.get(&item).map_or("", String::as_str)
    }
}
