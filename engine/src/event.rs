//! What reaches the engine.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, AppName, ExecutorId, JobName, Mono, NoticeId, OfferId, Resources, RunId, Span, TaskId,
    Timestamp,
    events::EventSource,
    spec::{AppSpec, Fault, JobSpec},
    task::{ExecutionBatch, TaskReport},
    views::{AgentView, AppView, JobView, RerunRequest, RunView, TriggerRequest},
};

use crate::{query::Query, records::RunRecord};

/// Names a request of a user, so that its answer finds the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Everything that can happen to the engine.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and never kept")]
pub enum Event {
    /// A user asks for a change.
    Command {
        /// Comes back with the reply.
        request: RequestId,
        /// The change.
        command: Command,
    },
    /// A user asks about live state.
    Query {
        /// Comes back with the answer.
        request: RequestId,
        /// The question.
        query: Query,
    },
    /// The master accepted our subscription; all former offers are void.
    Subscribed,
    /// The subscription broke; all offers are void until the next one.
    Unsubscribed,
    /// Whether other frameworks want the hosts of this master too. A master that is not our own
    /// counts as shared.
    Shared(bool),
    /// The master offers resources.
    Offers(Vec<Offer>),
    /// The master withdraws an offer.
    Rescinded(OfferId),
    /// The master or an agent says what became of a task.
    Task(TaskUpdate),
    /// An executor tells of executions of its resident tasks.
    Executions {
        /// Which executor.
        executor: ExecutorId,
        /// On which agent.
        agent: AgentId,
        /// What it tells.
        batch: ExecutionBatch,
    },
    /// An executor has ended, with all its descendants.
    ExecutorExited(ExecutorId),
    /// An agent has registered, for the first time or again.
    AgentRegistered(AgentRegistered),
    /// Nothing has been heard of an agent since an instant.
    AgentSilent {
        /// Which.
        agent: AgentId,
        /// Since when.
        since: Mono,
    },
    /// A silent agent is heard again.
    AgentHeard(AgentId),
    /// An operator says that an agent will never come back: nothing lives there.
    AgentGone(AgentId),
    /// An agent is to give up its work: nothing new starts there, and at the deadline, if there is one,
    /// its tasks are moved.
    AgentDraining {
        /// Which.
        agent: AgentId,
        /// When its tasks are moved.
        deadline: Option<Mono>,
    },
    /// An agent that was to give up its work may be used again.
    AgentActivated(AgentId),
    /// A try to deliver a notice has ended.
    NoticeTried {
        /// Which notice.
        notice: NoticeId,
        /// How.
        outcome: Tried,
    },
    /// Time has passed: do what is due.
    Tick,
}

/// What became of a try to deliver a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// Its webhook has taken it.
    Delivered,
    /// It has answered that it does not take it; perhaps it will.
    Refused {
        /// Its words.
        why: String,
    },
    /// Nothing was heard of it, as with any other notice; perhaps that will change.
    Failed {
        /// Why, in words.
        why: String,
    },
    /// It never will: it says that it is gone.
    Gone {
        /// Its words.
        why: String,
    },
}

/// Free resources of one agent that the engine may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub id: OfferId,
    /// Of which agent.
    pub agent: AgentId,
    /// The agent's host name.
    pub hostname: String,
    /// What else is known of its host.
    pub attributes: BTreeMap<String, String>,
    /// What is free.
    pub resources: Resources,
}

/// An agent, as it is when it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRegistered {
    /// Which.
    pub agent: AgentId,
    /// Its host name.
    pub hostname: String,
    /// What else is known of its host.
    pub attributes: BTreeMap<String, String>,
    /// All that it has.
    pub resources: Resources,
    /// Its host has booted since it registered before: nothing of then can live.
    pub rebooted: bool,
    /// Our tasks that it knows; none other of ours lives there.
    pub tasks: Vec<TaskId>,
    /// Our executors that live there; none other does.
    pub executors: Vec<ExecutorId>,
}

/// What is said of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskUpdate {
    /// Which task.
    pub task: TaskId,
    /// The agent that says so, when one does.
    pub agent: Option<AgentId>,
    /// What happened.
    pub signal: Signal,
    /// Who says so.
    pub source: EventSource,
    /// When, as its source says.
    pub at: Option<Timestamp>,
    /// Words for people.
    pub message: String,
    /// What the executor reported beside.
    pub report: TaskReport,
    /// Present when the update must be acknowledged.
    pub uuid: Option<[u8; 16]>,
}

/// What a status means to a task: the rows of SEMANTICS section 5, before it is known what the
/// task was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// The executor has it.
    Starting,
    /// Its code runs.
    Running,
    /// It is being killed.
    Killing,
    /// It was asked to end and does not, so that its executor will end with all that is in it.
    Stuck {
        /// For it has reached its time-out.
        timed_out: bool,
    },
    /// Its code ended well.
    Finished,
    /// Its code ended badly.
    CodeFailed,
    /// Its time-out ended it.
    TimedOut,
    /// Its executor could not be started.
    CannotStart,
    /// It was killed.
    Killed,
    /// It never started.
    NeverStarted,
    /// It is dead, with its host or by somebody's doing.
    Died,
    /// It is dead with its executor, which nobody has ended: it may have been its own doing.
    DiedWithExecutor,
    /// It is dead with its executor, in which another task did not end when it had to.
    Neighbour,
    /// It is dead, by the end of its lease.
    Fenced,
    /// Nobody can say whether it lives.
    PerhapsAlive,
    /// The master refuses its description.
    Invalid,
}

/// A change that a user asks for.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "moved once, by value, and never kept")]
pub enum Command {
    /// Create or replace an app.
    PutApp {
        /// The document.
        spec: AppSpec,
        /// What must be there now.
        expect: Expect,
    },
    /// Delete an app, its jobs, their tasks and its executors.
    DeleteApp {
        /// Which.
        name: AppName,
        /// What must be there now.
        expect: Expect,
    },
    /// Enable or disable an app, and with it its jobs.
    SetAppDisabled {
        /// Which.
        name: AppName,
        /// The state wanted.
        disabled: bool,
        /// Whether running runs are killed as well.
        kill: bool,
    },
    /// Create or replace a job.
    PutJob {
        /// The document.
        spec: JobSpec,
        /// What must be there now.
        expect: Expect,
    },
    /// Delete a job and kill its tasks.
    DeleteJob {
        /// Which.
        name: JobName,
        /// What must be there now.
        expect: Expect,
    },
    /// Enable or disable a job.
    SetJobDisabled {
        /// Which.
        name: JobName,
        /// The state wanted.
        disabled: bool,
        /// Whether a running run is killed as well.
        kill: bool,
    },
    /// Start a run now.
    Trigger {
        /// Of which job.
        job: JobName,
        /// How.
        request: TriggerRequest,
        /// A trigger with the same key within 24 h is the same trigger.
        idempotency_key: Option<String>,
    },
    /// Start a run once more that is over.
    Rerun {
        /// That run, as it is stored: the engine knows only those that go on.
        former: Box<RunRecord>,
        /// How.
        request: RerunRequest,
        /// A rerun with the same key within 24 h is the same rerun.
        idempotency_key: Option<String>,
    },
    /// End a run.
    Cancel {
        /// Which.
        run: RunId,
    },
    /// End the task of one shard; the others of its run go on.
    KillTask {
        /// Of which run.
        run: RunId,
        /// Of which shard.
        item: u32,
    },
    /// Let a restored store that is held go on.
    Resume {
        /// Whether what was due while it was held is made good by the misfire rule. Otherwise it is
        /// passed over.
        replay: bool,
    },
    /// Ask the master for the truth about every task.
    Reconcile,
    /// Say that an agent will never come back (carried out by the master).
    MarkAgentGone {
        /// Which.
        agent: AgentId,
    },
    /// Have an agent give up its work (carried out by the master).
    DrainAgent {
        /// Which.
        agent: AgentId,
        /// How long its tasks may go on before they are moved; absent: as long as they take.
        deadline: Option<Span>,
    },
    /// Let an agent that is drained be used again (carried out by the master).
    ActivateAgent {
        /// Which.
        agent: AgentId,
    },
}

/// What must be stored for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything or nothing.
    Anything,
    /// Nothing.
    Nothing,
    /// This version.
    Version(u64),
}

/// What became of a [`Command`].
pub type CommandReply = Result<Accepted, Rejected>;

/// A change that was made.
#[derive(Debug, Clone)]
pub enum Accepted {
    /// The app as it is now.
    App(Box<AppView>, Change),
    /// The job as it is now.
    Job(Box<JobView>, Change),
    /// It is deleted.
    Deleted,
    /// The run as it is now.
    Run(Box<RunView>),
    /// What was held goes on.
    Resumed,
    /// The master is asked for the truth.
    Reconciling {
        /// About how many tasks.
        tasks: u64,
    },
    /// The agent as it is now.
    Agent(Box<AgentView>),
}

/// What a PUT did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    Created,
    /// It is another now.
    Updated,
    /// It was the same before: no new version.
    Unchanged,
}

/// A change that was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// There is no such thing (404).
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// `app`, `job`, `run` or `agent`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Another version is stored than the caller expects (412).
    #[error("{} is stored, which is not what the request expects", stored_words(*stored))]
    VersionMismatch {
        /// What is stored.
        stored: Option<u64>,
    },
    /// The document does not fit what is stored (422).
    #[error("the document does not fit what is stored")]
    Invalid {
        /// Every fault.
        faults: Vec<Fault>,
    },
    /// The present state does not allow it (409).
    #[error("{detail}")]
    Conflict {
        /// Why, and what to do.
        detail: String,
    },
    /// Too many triggered runs of this job wait (429).
    #[error("{waiting} triggered runs of job `{job}` wait already; try again when one has started")]
    TooManyWaiting {
        /// The job.
        job: JobName,
        /// How many wait.
        waiting: usize,
    },
    /// Too many runs of all jobs wait (503).
    #[error("{waiting} runs wait, which is all that may; try again when some have started")]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
}

fn stored_words(stored: Option<u64>) -> String {
    stored.map_or_else(|| "nothing".to_owned(), |version| format!("version {version}"))
}
