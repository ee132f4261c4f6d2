//! What the engine wants done.

use std::{sync::Arc, time::Duration};

use muster_api::{
    AgentId, ExecutorId, OfferId, Resources, RunId, Span, TaskId,
    events::TraceEvent,
    step::Write,
    views::{FireOutcome, ShardCounts},
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
    /// What happened, for those who ask later.
    pub trace: Vec<TraceEvent>,
}

/// What one event led to, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks that are launched.
    pub launches: u32,
    /// Shards that are over, by how; those of other states are none.
    pub shards_over: ShardCounts,
    /// Planned instants that have their outcome now.
    pub fires: FireCounts,
    /// Of each scheduled run whose first task is launched: how long after its instant was due, jitter
    /// included.
    pub lateness: Vec<Duration>,
}

/// Planned instants by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FireCounts {
    /// Their run has launched its first task.
    pub ran: u64,
    /// Another run stands for them.
    pub coalesced: u64,
    /// They were passed over.
    pub skipped: u64,
    /// They were given up because too many waited.
    pub dropped: u64,
    /// Ranges of instants that are in none of these numbers, because nobody counted them.
    pub uncounted_ranges: u64,
}

impl FireCounts {
    /// Adds a range of instants without runs of their own; how many, if somebody counted them.
    pub fn add_range(&mut self, outcome: FireOutcome, count: Option<u64>) {
        let Some(count) = count else {
            self.uncounted_ranges += 1;
            return;
        };
        match outcome {
            FireOutcome::Coalesced => self.coalesced += count,
            FireOutcome::Skipped => self.skipped += count,
            FireOutcome::Dropped => self.dropped += count,
            // A run says these, and no range.
            FireOutcome::Waiting | FireOutcome::Ran => {}
        }
    }

    fn add(&mut self, other: Self) {
        self.ran += other.ran;
        self.coalesced += other.coalesced;
        self.skipped += other.skipped;
        self.dropped += other.dropped;
        self.uncounted_ranges += other.uncounted_ranges;
    }
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
        self.fires.add(other.fires);
        self.lateness.extend(other.lateness);
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
    /// A task that should be dead is alive; it is killed until it ends.
    Zombie {
        /// Which.
        task: TaskId,
    },
    /// A run waits for room: it was tried, and is the first of those that need the same.
    Waits {
        /// Which.
        run: RunId,
    },
    /// A task of an executor did not end when it had to: nothing is launched there again.
    ExecutorClosed {
        /// Which.
        executor: ExecutorId,
    },
    /// A run was overtaken for long and holds hosts for itself and those before it.
    HostsHeld {
        /// Which.
        run: RunId,
        /// How many hosts.
        hosts: usize,
    },
    /// A run does not hold hosts any more.
    HostsReleased {
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
