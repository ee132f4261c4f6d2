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
    records::NoticeRecord,
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
    /// Executions of resident tasks that executors tell of.
    pub executions: ExecutionCounts,
    /// Notices by what became of them.
    pub notices: NoticeCounts,
}

/// Notices by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoticeCounts {
    /// They are to be delivered.
    pub decided: u64,
    /// Their webhooks have taken them.
    pub sent: u64,
    /// Tries in vain.
    pub failed: u64,
    /// They were given up.
    pub given_up: u64,
    /// How many wait now, where that has changed.
    pub waiting: Option<u64>,
}

impl NoticeCounts {
    fn add(&mut self, other: Self) {
        self.decided += other.decided;
        self.sent += other.sent;
        self.failed += other.failed;
        self.given_up += other.given_up;
        self.waiting = other.waiting.or(self.waiting);
    }
}

/// Executions of resident tasks by what became of them, and planned instants that became none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExecutionCounts {
    /// They ended well, told of one by one or not.
    pub succeeded: u64,
    /// They ended badly.
    pub failed: u64,
    /// They took longer than they may.
    pub timed_out: u64,
    /// Their task was told to end.
    pub cancelled: u64,
    /// They waited to be told of for too long; nobody knows how they ended.
    pub dropped: u64,
    /// Planned instants that were passed over.
    pub skipped: u64,
    /// Ranges of such instants that are not in that number, because nobody counted them.
    pub uncounted_ranges: u64,
}

impl ExecutionCounts {
    pub(crate) fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.cancelled += other.cancelled;
        self.dropped += other.dropped;
        self.skipped += other.skipped;
        self.uncounted_ranges += other.uncounted_ranges;
    }
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
        self.executions.add(other.executions);
        self.notices.add(other.notices);
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
    /// Give offers back.
    Decline {
        /// The offers.
        offers: Vec<OfferId>,
        /// For how long the same is not wanted again; for no time: they are to be offered again at
        /// once as one.
        refuse: Span,
    },
    /// Want no offers until [`Effect::Revive`].
    Suppress,
    /// Want offers again, also of what was given back for a while.
    Revive,
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
    /// Send a notice to its webhook, and say what became of that
    /// ([`Event::NoticeTried`](crate::event::Event::NoticeTried)).
    Deliver(Arc<NoticeRecord>),
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
    /// What an executor tells of executions was passed over.
    ExecutionsPassedOver {
        /// Which.
        executor: ExecutorId,
        /// Why.
        why: &'static str,
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
