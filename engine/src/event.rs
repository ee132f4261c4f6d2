//! What reaches the engine.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, ExecutorId, Mono, NoticeId, OfferId, Resources, TaskId, Timestamp,
    events::EventSource,
    task::{ExecutionBatch, TaskReport},
};

pub use crate::command::{Accepted, Change, Command, CommandReply, Expect, Rejected};
use crate::query::Query;

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
    /// A master that is not our own has lost an agent: nobody can say what lives there.
    AgentLost(AgentId),
    /// The master has removed our framework and ends all that it has. Whatever it says of tasks from
    /// before is said of a framework that has none of them.
    Disowned,
    /// The hosts are those of another master than when this was stored, and no task is left on the
    /// former ones: they and what idles there are forgotten.
    Moved,
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
    /// Our executors that live there, as far as a master that is not our own knows.
    pub executors: Vec<ExecutorId>,
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
    /// A host of another master could not make the container of its new executor, or fetch what
    /// belongs there, our program among it.
    NoContainer,
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
    /// Its master knows it, and cannot say whether it lives.
    PerhapsAlive,
    /// Nobody can say whether it lives, nor may anybody ever. Where leases end tasks, this says no more
    /// than that it perhaps lives; elsewhere it counts as dead after a wait.
    Unreachable,
    /// The master refuses its description.
    Invalid,
}

impl Signal {
    /// Whether only an agent that is there can be the source of this.
    pub(crate) fn is_of_its_agent(self) -> bool {
        self != Self::Unreachable
    }
}
