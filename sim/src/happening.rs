//! Everything that can happen in the world.

use std::sync::Arc;

use muster_agent::{core as agent, supervise};
use muster_api::{
    NoticeId, RunId,
    views::{AgentView, RerunRequest},
};
use muster_engine::{
    event::{CommandReply, Event, RequestId, Tried},
    records::NoticeRecord,
};
use muster_executor::core as executor;
use muster_master::core::Stream;
use muster_proto::{ExecutorId, TaskId};
use muster_session::link::{Attempt, Event as LinkEvent};

use crate::{
    frozen::Who,
    network::{Packet, Side, WireId},
    scheduler_node::Errand,
};

/// Everything that can happen in the world.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved a few times, and soon gone")]
pub(crate) enum Happening {
    /// A packet comes out of a wire.
    Arrives { wire: WireId, to: Side, packet: Packet },
    /// A process that was frozen, or a host, goes on.
    Thaws { who: Who, freeze: u64 },
    /// The process of the scheduler starts.
    SchedulerStarts,
    /// Whoever has the hosts finds that an agent has dialled it.
    MasterAccepts { wire: WireId },
    /// The scheduler's disk is done with a commit.
    SchedulerCommits { process: u64 },
    /// The time has come that the scheduler asked to be woken at.
    SchedulerWakes,
    /// The scheduler dials a master that is not its own.
    SchedulerDials { process: u64, attempt: Attempt, errand: Errand },
    /// Something reaches the scheduler's link to that master.
    SchedulerHears { process: u64, event: Box<LinkEvent> },
    /// The process of that master starts.
    MasterStarts,
    /// Its disk is done with a commit.
    MasterCommits { process: u64 },
    /// The time has come that it asked to be woken at.
    MasterWakes,
    /// The time has come for a heartbeat on one of its streams.
    StreamBeats { process: u64, stream: Stream },
    /// The process of an agent starts.
    AgentStarts { host: usize },
    /// An agent dials its master.
    AgentDials { host: usize, process: u64 },
    /// A handshake has had its time.
    HandshakeOver { host: usize, process: u64, connection: agent::Connection },
    /// The time has come that an agent asked to be woken at.
    AgentWakes { host: usize },
    /// The disk of an agent's host is done with a write of its journal.
    AgentWrites { host: usize, process: u64 },
    /// Something of its host reaches an agent.
    AgentHears { host: usize, process: u64, event: agent::Event },
    /// The process of a supervisor begins.
    SupervisorBegins { host: usize, executor: ExecutorId },
    /// An agent looks for the supervisor of an executor from before its start.
    SupervisorSought { host: usize, process: u64, executor: ExecutorId },
    /// An agent has ended what a dead supervisor has left behind.
    LeftoversEnd { host: usize, process: u64, executor: ExecutorId },
    /// Something reaches a supervisor.
    SupervisorHears { host: usize, executor: ExecutorId, event: supervise::Event },
    /// A supervisor greets an agent that has found it.
    SupervisorGreets { host: usize, executor: ExecutorId },
    /// The time has come that a supervisor asked to be woken at.
    SupervisorWakes { host: usize, executor: ExecutorId },
    /// An executor dials its agent.
    ExecutorDials { host: usize, executor: ExecutorId },
    /// Something of its host reaches an executor.
    ExecutorHears { host: usize, executor: ExecutorId, event: Box<executor::Event> },
    /// The time has come that an executor asked to be woken at.
    ExecutorWakes { host: usize, executor: ExecutorId },
    /// User code of a task begins to run.
    CodeBegins { host: usize, executor: ExecutorId, task: TaskId },
    /// User code of a task comes to its end.
    CodeEnds { host: usize, executor: ExecutorId, task: TaskId },
    /// Users do the next thing that they planned.
    UsersAct,
    /// A request of a user reaches the scheduler.
    RequestArrives { event: Event },
    /// A request to start a run once more reaches the scheduler.
    RerunArrives { request: RequestId, run: RunId, rerun: RerunRequest, key: String },
    /// A notice reaches its webhook.
    WebhookHears { process: u64, record: Arc<NoticeRecord> },
    /// The answer of a webhook, or that none came, reaches the scheduler's process that waits for it.
    NoticeTried { process: u64, notice: NoticeId, outcome: Tried },
    /// A user sees which hosts there are.
    UserSees { agents: Vec<AgentView> },
    /// A user reads an answer.
    UserHears { request: RequestId, reply: CommandReply },
    /// A user sends again what was not answered.
    UserAsksAgain { request: RequestId },
    /// A framework beside the scheduler does something.
    GuestActs,
    /// It dials the master.
    GuestDials { attempt: u64 },
    /// Some fault happens.
    FaultStrikes,
    /// Faults are over, and users want nothing new.
    CalmBegins,
    /// Everything that users sent before the calm has arrived: they take their schedules back.
    UsersCalmDown,
}
