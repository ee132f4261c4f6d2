//! Questions about live state, and their answers. What is over is read from the store instead.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, ExecutorId, JobName, RunId, TaskId, Timestamp,
    explain::{JobExplanation, RunExplanation},
    notices::NoticeView,
    views::{
        AgentView, ClusterView, CredentialView, FrameworkView, HeldView, LeftView, OfferView,
        QueueView, RoleView, RunView, ShardState, ShardView,
    },
};

use crate::{census::Census, items::Items};

/// A question about live state.
#[derive(Debug, Clone)]
pub enum Query {
    /// Runs that are not over, newest first: at most 500.
    Runs {
        /// Only of this job.
        job: Option<JobName>,
        /// Only those that were accepted before this one.
        before: Option<RunId>,
    },
    /// One run that is not over.
    Run {
        /// Which.
        run: RunId,
    },
    /// Shards of a run that is not over, by item.
    Shards {
        /// Which run.
        run: RunId,
        /// Only in this state.
        state: Option<ShardState>,
        /// Only items after this.
        after: Option<u32>,
        /// How many at most.
        limit: usize,
    },
    /// Where the newest task of a shard of a live run is.
    Task {
        /// Which run.
        run: RunId,
        /// Which shard.
        item: u32,
    },
    /// What waits, in the order in which it is served.
    Queue {
        /// How many to pass over.
        skip: usize,
        /// How many at most.
        limit: usize,
    },
    /// Scheduled runs of a job that are not over, as rows of its fire ledger.
    Fires {
        /// Which job.
        job: JobName,
    },
    /// From when on the tasks of a daemon job follow its schedule.
    Follows {
        /// Which job.
        job: JobName,
    },
    /// Why a run that is not over is as it is.
    Explain {
        /// Which run.
        run: RunId,
    },
    /// Why a job does what it does.
    ExplainJob {
        /// Which job.
        job: JobName,
    },
    /// The executor hosts (answered by the master).
    Agents,
    /// What of ours is on an executor host that is drained.
    LeftOn {
        /// Which.
        agent: AgentId,
    },
    /// What is offered, and to whom (answered by the master).
    Offers {
        /// How many to pass over.
        skip: usize,
        /// How many at most.
        limit: usize,
    },
    /// The frameworks (answered by the master).
    Frameworks,
    /// The roles, and what each is worth (answered by the master).
    Roles,
    /// Who may call the master as a framework (answered by the master).
    Credentials,
    /// All that the master has (answered by it).
    Cluster {
        /// How many tasks at most, and how many offers.
        rows: usize,
    },
    /// The notices that wait to be delivered, the oldest first.
    Notices {
        /// How many to pass over.
        skip: usize,
        /// How many at most.
        limit: usize,
    },
    /// Whether this is a restored store that is held.
    Held,
    /// How much there is of everything.
    Census,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// To [`Query::Runs`].
    Runs(Vec<RunView>),
    /// To [`Query::Run`]; nothing when it is over or never was. Without its shards.
    Run(Option<Box<RunView>>),
    /// To [`Query::Shards`]; nothing when the run is over or never was. Shards that are over hold
    /// only their state: their tasks are in the history.
    Shards(Option<Vec<ShardView>>),
    /// To [`Query::Task`]; nothing when the shard has no live task.
    Task(Option<TaskPlace>),
    /// To [`Query::Queue`].
    Queue(Vec<QueueView>),
    /// To [`Query::Follows`]: from now on, unless it is disabled or no such job.
    Follows(Option<Timestamp>),
    /// To [`Query::Fires`].
    Fires(Vec<LiveFire>),
    /// To [`Query::Explain`]; nothing when the run is over or never was.
    Explain(Option<Box<Explained<RunExplanation>>>),
    /// To [`Query::ExplainJob`]; nothing when there is no such job.
    ExplainJob(Option<Box<Explained<JobExplanation>>>),
    /// To [`Query::Offers`].
    Offers(Vec<OfferView>),
    /// To [`Query::LeftOn`].
    LeftOn(Vec<LeftView>),
    /// To [`Query::Agents`].
    Agents(Vec<AgentView>),
    /// To [`Query::Frameworks`].
    Frameworks(Vec<FrameworkView>),
    /// To [`Query::Roles`].
    Roles(Vec<RoleView>),
    /// To [`Query::Credentials`].
    Credentials(Vec<CredentialView>),
    /// To [`Query::Cluster`].
    Cluster(Box<ClusterView>),
    /// To [`Query::Notices`].
    Notices(Vec<NoticeView>),
    /// To [`Query::Held`]; nothing when it is not held.
    Held(Option<HeldView>),
    /// To [`Query::Census`].
    Census(Census),
}

/// What the engine knows to explain, and what is to be filled in from the store: why shards ended
/// that are over. Both are of one moment, so that the counts agree with the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained<T> {
    /// The explanation, with nothing in `over`.
    pub explanation: T,
    /// The shards that are over, by how they ended, of each run in it.
    pub over: BTreeMap<RunId, Vec<(ShardState, Items)>>,
}

/// Where a live task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPlace {
    /// The task.
    pub task: TaskId,
    /// Its attempt.
    pub attempt: u32,
    /// Its agent.
    pub agent: AgentId,
    /// Its executor.
    pub executor: ExecutorId,
}

/// A scheduled run that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFire {
    /// The first planned instant that it stands for.
    pub planned_at: Timestamp,
    /// The run.
    pub run: RunId,
    /// Whether a task of it was launched.
    pub started: bool,
}
