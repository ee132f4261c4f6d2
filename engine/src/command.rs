//! What users ask to be changed, and what they are answered.

use muster_api::{
    AgentId, AppName, JobName, RunId, Span,
    spec::{AppSpec, Fault, JobSpec},
    views::{
        AgentView, AppView, CredentialView, JobView, RerunRequest, RoleView, RunView,
        TriggerRequest,
    },
};

use crate::records::RunRecord;

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
    /// Say what a role is worth against others (carried out by the master).
    SetWeight {
        /// Which.
        role: String,
        /// How much, in thousandths of what most are.
        thousandths: u32,
    },
    /// Let a principal call the master as a framework (carried out by the master).
    CreateCredential {
        /// Who.
        principal: String,
        /// The SHA-256 of its secret.
        digest: [u8; 32],
    },
    /// Let a principal call the master no longer (carried out by the master).
    RevokeCredential {
        /// Who.
        principal: String,
    },
    /// Remove a framework for ever, with all that it runs (carried out by the master).
    RemoveFramework {
        /// Its id.
        framework: String,
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
    Deleted {
        /// The app, or that of the job.
        app: AppName,
    },
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
    /// The role as it is now.
    Role(Box<RoleView>, Change),
    /// The principal has a credential now.
    Credential(CredentialView),
    /// The principal has none any more.
    Revoked,
    /// The framework is removed.
    Removed,
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
