//! What the REST API answers, beside the documents themselves.

mod offer;

use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AppName, ExecutorId, JobName, Resources, RunId, Span, TaskId, Timestamp,
    schedule::Schedule,
    spec::{AppSpec, Fault, JobSpec},
};

pub use offer::OfferView;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What `cursor` is to be for the next page; absent on the last.
    pub next: Option<String>,
}

/// An error (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI reference for the kind of error: `/problems/{code}`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What failed, on what, what to do.
    pub detail: String,
    /// The kind for programs; it never changes.
    pub code: String,
    /// Every fault of a document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// An app as `GET` answers it: its document, with version and status beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppView {
    /// `app`.
    pub kind: String,
    /// The document.
    #[serde(flatten)]
    pub spec: AppSpec,
    /// Grows with every stored change.
    pub version: u64,
    /// What is so now.
    pub status: AppStatus,
}

/// What is so of an app now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Whether an operator disabled it.
    pub disabled: bool,
    /// Grows with each change that needs new executors.
    pub revision: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A job as `GET` answers it: its document, with version and status beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// `job`.
    pub kind: String,
    /// The document.
    #[serde(flatten)]
    pub spec: JobSpec,
    /// Grows with every stored change.
    pub version: u64,
    /// What is so now.
    pub status: JobStatus,
}

/// What is so of a job now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Whether it and its app are enabled.
    pub enabled: bool,
    /// When it fires next; absent when it does not.
    pub next_fire: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A coming fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextFire {
    /// The planned instant.
    pub planned_at: Timestamp,
    /// The same in the time zone of the schedule, in RFC 3339 with the name of the zone behind it;
    /// absent for schedules without local times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// When it really fires; absent without jitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fires_at: Option<Timestamp>,
    /// What is odd about it, because clocks are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl NextFire {
    /// An instant of a schedule; with jitter, it fires so much later.
    pub fn new(schedule: &Schedule, planned_at: Timestamp, jitter: Option<Span>) -> Self {
        Self {
            planned_at,
            local: schedule.local(planned_at),
            fires_at: jitter.map(|offset| planned_at + offset.duration()),
            note: schedule.remark(planned_at).map(|remark| remark.to_string()),
        }
    }
}

/// One row of the fire ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FireView {
    /// The planned instant.
    pub planned_at: Timestamp,
    /// What became of it.
    pub outcome: FireOutcome,
    /// Why, where that needs words.
    pub reason: Option<String>,
    /// The run that it became, or was merged into.
    pub run: Option<RunId>,
}

/// What became of a planned instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FireOutcome {
    /// Its run exists and nothing of it has started.
    Waiting,
    /// Its run has started.
    Ran,
    /// Another run stands for it.
    Coalesced,
    /// It was passed over.
    Skipped,
    /// It was given up for lack of room.
    Dropped,
}

impl FireOutcome {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ran => "ran",
            Self::Coalesced => "coalesced",
            Self::Skipped => "skipped",
            Self::Dropped => "dropped",
        }
    }
}

/// What started a run. Readers must accept causes that they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The job's schedule.
    Schedule,
    /// A user.
    Trigger,
    /// A user, who wants a run that is over once more.
    Rerun,
    /// A daemon job is enabled: this is its one run, until it is disabled.
    Daemon,
}

/// The states of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Nothing of it has started.
    Pending,
    /// It has started.
    Running,
    /// It is being ended.
    Stopping,
    /// Every shard succeeded.
    Succeeded,
    /// A shard failed.
    Failed,
    /// A shard took too long, and none failed.
    TimedOut,
    /// It was told to end, or nothing of it ever started.
    Cancelled,
}

impl RunState {
    /// Whether it is over.
    pub fn is_over(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Stopping => false,
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled => true,
        }
    }

    /// Its word in documents and stored keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The states of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardState {
    /// It waits for its first or next start.
    Pending,
    /// Its task is on the way to its executor.
    Launching,
    /// Its code runs.
    Running,
    /// Its task is being ended.
    Killing,
    /// It waits out its back-off.
    BackingOff,
    /// Its code ended well.
    Succeeded,
    /// It failed, and is not tried again.
    Failed,
    /// It took too long, and is not tried again.
    TimedOut,
    /// It was told to end.
    Cancelled,
}

impl ShardState {
    /// Every state, in the order of a shard's life.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Launching,
        Self::Running,
        Self::Killing,
        Self::BackingOff,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
    ];

    /// Its word in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Launching => "launching",
            Self::Running => "running",
            Self::Killing => "killing",
            Self::BackingOff => "backing_off",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the shard is over.
    pub fn is_over(self) -> bool {
        match self {
            Self::Pending | Self::Launching | Self::Running | Self::Killing | Self::BackingOff => {
                false
            }
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Cancelled => true,
        }
    }
}

/// How many shards of a run are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the states of `ShardState`")]
pub struct ShardCounts {
    pub pending: u32,
    pub launching: u32,
    pub running: u32,
    pub killing: u32,
    pub backing_off: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub timed_out: u32,
    pub cancelled: u32,
}

impl ShardCounts {
    /// The counter of `state`.
    pub fn of(&mut self, state: ShardState) -> &mut u32 {
        match state {
            ShardState::Pending => &mut self.pending,
            ShardState::Launching => &mut self.launching,
            ShardState::Running => &mut self.running,
            ShardState::Killing => &mut self.killing,
            ShardState::BackingOff => &mut self.backing_off,
            ShardState::Succeeded => &mut self.succeeded,
            ShardState::Failed => &mut self.failed,
            ShardState::TimedOut => &mut self.timed_out,
            ShardState::Cancelled => &mut self.cancelled,
        }
    }

    /// All shards.
    pub fn total(&self) -> u32 {
        self.pending + self.launching + self.running + self.killing + self.backing_off + self.over()
    }

    /// The shards that are over.
    pub fn over(&self) -> u32 {
        self.succeeded + self.failed + self.timed_out + self.cancelled
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// Of which job.
    pub job: JobName,
    /// Of which version of the job; absent until its first task launches.
    pub version: Option<u64>,
    /// What started it.
    pub cause: Cause,
    /// The run that it repeats; absent unless the cause is `rerun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<RunId>,
    /// Its state.
    pub state: RunState,
    /// Why it is in this state, where that needs words.
    pub reason: Option<String>,
    /// The planned instant; of a merged run the first.
    pub planned_at: Timestamp,
    /// The last planned instant of a merged run.
    pub planned_until: Timestamp,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first task was launched.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Its shards by state.
    pub counts: ShardCounts,
    /// Its first shards, up to 1,000; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Vec<ShardView>>,
}

/// A shard of a run, with its newest task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardView {
    /// Which.
    pub item: u32,
    /// Its parameter.
    pub parameter: String,
    /// Its state.
    pub state: ShardState,
    /// Its newest task.
    pub task: Option<TaskId>,
    /// The agent of that task.
    pub agent: Option<AgentId>,
    /// The host name of that agent.
    pub hostname: Option<String>,
    /// The executor of that task.
    pub executor: Option<ExecutorId>,
    /// Which attempt it is, from 1; 0 before the first.
    pub attempt: u32,
    /// The epoch of that task.
    pub epoch: Option<u64>,
    /// When its code began to run.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The exit code of its process.
    pub exit_code: Option<i32>,
    /// Why it is in this state, where that needs words.
    pub reason: Option<String>,
    /// What its code returned.
    pub result: Option<String>,
    /// Its last output, when it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// An executor host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Its id.
    pub id: AgentId,
    /// Its host name.
    pub hostname: String,
    /// Whether it is there.
    pub state: AgentState,
    /// All that it has.
    pub resources: Resources,
    /// What is in use, executors included.
    pub used: Resources,
    /// Facts about it.
    pub attributes: std::collections::BTreeMap<String, String>,
    /// Tasks on it that are not over.
    pub tasks: u32,
    /// Executors on it that are not gone.
    pub executors: u32,
    /// Since when nothing is heard of it, if it is not heard: its last heartbeat, or the start of
    /// this scheduler if it has not come since. Leases are counted from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// How long that is, by a clock that nobody sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_for: Option<Span>,
    /// When an operator said that it will never come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<Timestamp>,
    /// That it is drained, as an operator wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainView>,
    /// Of one that is drained: what is left there and what becomes of it. Not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftView>,
}

/// Tasks of one run that are left on an executor host which is drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftView {
    /// Their run.
    pub run: RunId,
    /// Its job.
    pub job: JobName,
    /// How many they are.
    pub tasks: u32,
    /// The items of their shards, such as `0..3, 7`.
    pub items: String,
    /// What becomes of them, in words.
    pub detail: String,
}

/// That an executor host is to give up its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainView {
    /// When that was asked for.
    pub since: Timestamp,
    /// When the tasks that are left there then are moved; absent: they may end by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// Body of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// How long tasks may go on by themselves before they are moved; zero moves them at once, absent
    /// never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
}

/// That the master is asked for the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcilingView {
    /// About how many tasks.
    pub tasks: u64,
}

/// Whether an executor host is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// It sends heartbeats.
    Active,
    /// It is told to give up its work: nothing new starts there.
    Draining,
    /// It was told so, and nothing of it runs there any more. It stays so until it is activated.
    Drained,
    /// It has not been heard of for a while.
    Unreachable,
    /// An operator said that it will never come back: nothing of it counts as alive.
    Gone,
}

/// A run that waits, in the order in which runs are served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueView {
    /// The run.
    pub run: RunId,
    /// Its job.
    pub job: JobName,
    /// The app of that job.
    pub app: AppName,
    /// Its priority.
    pub priority: u8,
    /// Its planned instant.
    pub planned_at: Timestamp,
    /// Shards that wait for room.
    pub pending: u32,
    /// Why they wait.
    pub reason: WaitReason,
    /// The same in words.
    pub detail: String,
}

/// Why a shard waits. Readers must accept reasons that they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// It will be looked at next.
    NotTried,
    /// No host is there.
    NoAgents,
    /// No host has room.
    NoRoom,
    /// No host is what the constraints of its job ask for.
    Constrained,
    /// As many tasks run as may, of its app or in all.
    Limit,
    /// Hosts are held for a run that was overtaken for too long.
    Blocked,
    /// Its back-off is not over.
    BackingOff,
    /// A former run of the job goes on.
    FormerRun,
    /// Nothing starts after a restore until `muster resume`.
    Held,
}

/// A restored store that waits for `muster resume`: nothing fires, is launched or is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldView {
    /// When it was restored.
    pub since: Timestamp,
}

/// Body of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// Takes the place of the job's parameter for this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The shards to run; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<u32>>,
}

/// Body of a rerun.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerunRequest {
    /// The shards to run; absent: all those of the run that is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<u32>>,
    /// Only the shards of that run that did not succeed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}
