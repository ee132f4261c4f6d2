//! What the engine wants done.

use std::sync::Arc;

use muster_api::{
    AgentId, ExecutorId, OfferId, Resources, RunId, Span, TaskId, step::Write, views::ShardCounts,
};

use crate::{
    event::{CommandReply, RequestId},
    query::Answer,
};

/// What one event led to. `writes` must be durable before any of `effects` leaves the process.
#[derive(Debug, Default)]
pub struct Step {
    /// The records that changed.
    pub writes: Vec<Write>,
    /// What is to be done, in order.
    pub effects: Vec<Effect>,
    /// What an operator may ask about.
    pub notes: Vec<Note>,
    /// What is only counted.
    pub tally: Tally,
}

/// What one event led to, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks that are launched.
    pub launches: u32,
    /// Shards that are over, by how; those of other states are none.
    pub shards_over: ShardCounts,
}

impl Tally {
    /// Adds what another event led to.
    pub fn add(&mut self, other: Self) {
        self.launches += other.launches;
        let (over, more) = (&mut self.shards_over, other.shards_over);
        over.succeeded += more.succeeded;
        over.failed += more.failed;
        over.timed_out += more.timed_out;
        over.cancelled += more.cancelled;
    }
}

/// Something that the engine wants done.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Tell a user what became of a change.
    Reply {
        /// Whose.
        request: RequestId,
        /// What.
        reply: CommandReply,
    },
    /// Tell a user about live state.
    Answer {
        /// Who asked.
        request: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// Use up offers of one agent to launch tasks.
    Launch(LaunchBatch),
    /// Give offers back, to be offered again at once as one.
    Decline {
        /// The offers.
        offers: Vec<OfferId>,
    },
    /// End a task.
    Kill {
        /// Which.
        task: TaskId,
        /// Where.
        agent: AgentId,
        /// From asking to forcing.
        grace: Span,
    },
    /// End an executor that has nothing to do.
    Shutdown {
        /// Which.
        executor: ExecutorId,
        /// Where.
        agent: AgentId,
    },
    /// Take custody of an update.
    Acknowledge {
        /// Of which task.
        task: TaskId,
        /// From which agent.
        agent: AgentId,
        /// Which update.
        uuid: [u8; 16],
    },
    /// Ask the master what it knows of tasks.
    Reconcile {
        /// The tasks, with their agents.
        tasks: Vec<(TaskId, AgentId)>,
    },
    /// A run is over: whoever waits for it may look.
    RunOver(RunId),
}

/// Tasks for one agent.
#[derive(Debug, Clone)]
pub struct LaunchBatch {
    /// The agent.
    pub agent: AgentId,
    /// Its offers, all used up.
    pub offers: Vec<OfferId>,
    /// The tasks.
    pub tasks: Vec<TaskLaunch>,
}

/// A task to launch.
#[derive(Debug, Clone)]
pub struct TaskLaunch {
    /// Its id.
    pub task: TaskId,
    /// A name for people.
    pub name: String,
    /// What it uses, beside its executor.
    pub resources: Resources,
    /// Its executor.
    pub executor: ExecutorId,
    /// The description of that executor, the same bytes as ever.
    pub executor_info: Arc<[u8]>,
    /// Whether this is the launch that starts the executor.
    pub executor_is_new: bool,
    /// What the executor is told: an encoded [`muster_api::task::TaskPayload`].
    pub payload: Vec<u8>,
}

/// A decision that an operator may ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A run was made.
    RunCreated {
        /// Which.
        run: RunId,
    },
    /// A run is over.
    RunEnded {
        /// Which.
        run: RunId,
        /// How.
        state: muster_api::views::RunState,
    },
    /// A task ended in a way that leads to another try, or to the end of its shard.
    TaskEnded {
        /// Which.
        task: TaskId,
        /// How, in words.
        how: String,
    },
    /// A task that should be dead is alive; it is killed.
    Zombie {
        /// Which.
        task: TaskId,
    },
    /// A run waits for room: it was tried, and is the first of those that need the same.
    Waits {
        /// Which.
        run: RunId,
    },
    /// An executor is told to end because it is idle.
    ExecutorIdle {
        /// Which.
        executor: ExecutorId,
    },
    /// The lease of an executor on a silent agent has ended: its tasks are dead.
    Fenced {
        /// Which.
        executor: ExecutorId,
        /// Where.
        agent: AgentId,
    },
    /// Planned instants were merged or passed over.
    FiresMissed {
        /// Of which job.
        job: muster_api::JobName,
        /// How many, when that is known.
        count: Option<u64>,
    },
}
