//! The kinds of faults.

use std::fmt;

macro_rules! faults {
    ($($(#[$doc:meta])+ $name:ident: $words:literal,)+) => {
        /// The kinds of faults.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])+ $name,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }

        impl fmt::Display for Fault {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $words,)+
                })
            }
        }
    };
}

impl Fault {
    /// Whether it needs a master that is not the scheduler's own.
    pub(crate) fn is_of_master(self) -> bool {
        matches!(
            self,
            Self::MasterKilled
                | Self::MasterForgets
                | Self::MasterCommitLost
                | Self::MasterCommitKept
                | Self::MasterDiskSlow
                | Self::MasterFrozen
                | Self::MasterCutOff
                | Self::FrameworkRemoved
        )
    }

    /// Whether it needs a framework that makes calls over the network.
    pub(crate) fn is_of_calls(self) -> bool {
        matches!(
            self,
            Self::CallsBroken | Self::CallsStalled | Self::LaunchLost | Self::LaunchUnanswered
        )
    }
}

faults! {
    /// The scheduler is killed, and starts again.
    SchedulerKilled: "scheduler killed",
    /// The scheduler is killed before its next commit is on the disk.
    CommitLost: "scheduler killed before a commit",
    /// The scheduler is killed after its next commit, before any effect of it.
    CommitKept: "scheduler killed between a commit and its effects",
    /// The scheduler's disk takes long for each commit for a while.
    SchedulerDiskSlow: "scheduler's disk slow",
    /// Each commit fails for a while, so that the scheduler stops again and again.
    SchedulerDiskFull: "scheduler's disk full",
    /// One commit fails, and the scheduler stops.
    SchedulerDiskFails: "a write of the scheduler's disk fails",
    /// The scheduler's process is stopped, and goes on later.
    SchedulerFrozen: "scheduler frozen",
    /// The wall clock of the scheduler's host is set, forwards or backwards.
    SchedulerClockSet: "scheduler's wall clock set",
    /// A master that is not the scheduler's own is killed, and starts again.
    MasterKilled: "master killed",
    /// Another master of its cluster leads, which knows hosts and no frameworks.
    MasterForgets: "master replaced by one that knows no frameworks",
    /// The master is killed before its next commit is on the disk.
    MasterCommitLost: "master killed before a commit",
    /// The master is killed after its next commit, before any effect of it.
    MasterCommitKept: "master killed between a commit and its effects",
    /// The master's disk takes long for each commit for a while.
    MasterDiskSlow: "master's disk slow",
    /// The master's process is stopped, and goes on later.
    MasterFrozen: "master frozen",
    /// The connection breaks by which a framework sends its next launch, before that arrives.
    LaunchLost: "launch lost on its way to the master",
    /// The same, before the answer to it arrives.
    LaunchUnanswered: "answer to a launch lost",
    /// A connection between a framework and its master breaks.
    CallsBroken: "connection between framework and master broken",
    /// What is sent one way between a framework and its master waits, longer than newer connections take.
    CallsStalled: "connection between framework and master stalled one way",
    /// Nothing gets between scheduler and master for a while.
    MasterCutOff: "scheduler cut off from the master",
    /// An operator of that master removes a framework: its tasks end, and its id is of no use any more.
    FrameworkRemoved: "framework removed by an operator",
    /// An agent is killed, and starts again.
    AgentKilled: "agent killed",
    /// An agent is killed before what it decided is in its journal.
    EntryLost: "agent killed before a write of its journal",
    /// An agent is killed while it writes its journal: some entries are in it, the others not.
    EntryTorn: "agent killed within a write of its journal",
    /// An agent is killed after a write of its journal, before anything follows from it.
    EntryKept: "agent killed between its journal and the effects",
    /// An agent's disk takes long for each write for a while.
    AgentDiskSlow: "agent's disk slow",
    /// Each write of an agent's journal fails for a while, so that it stops again and again.
    AgentDiskFull: "agent's disk full",
    /// One write of an agent's journal fails, and the agent stops.
    AgentDiskFails: "a write of an agent's disk fails",
    /// An agent's process is stopped, and goes on later.
    AgentFrozen: "agent frozen",
    /// A supervisor is stopped, and goes on later; what is under it runs.
    SupervisorFrozen: "supervisor frozen",
    /// The process of an executor is stopped, with the handlers in it, and goes on later.
    ExecutorFrozen: "executor frozen",
    /// A host sleeps, with all that lives on it, and its clocks go on.
    HostFrozen: "host frozen",
    /// The wall clock of an agent's host is set, forwards or backwards.
    AgentClockSet: "agent's wall clock set",
    /// A supervisor is killed, apart from everything else.
    SupervisorKilled: "supervisor killed",
    /// The next supervisor under which nothing is left is killed before it can say so.
    SupervisorSpeechless: "supervisor killed before its last word",
    /// The process of an executor is killed.
    ExecutorKilled: "executor killed",
    /// What the next executors need cannot be fetched.
    FetchFails: "artifacts not to be had",
    /// The wire between an agent and the master breaks.
    LinkBroken: "wire between agent and master broken",
    /// What is sent one way between an agent and the master waits, longer than newer wires take.
    LinkStalled: "wire between agent and master stalled one way",
    /// The wire between an executor and its agent breaks.
    StreamBroken: "wire between executor and agent broken",
    /// Nothing gets between a host and the master for a while.
    CutOff: "host cut off from the master",
    /// Nothing gets from a host to the master, or from the master to it, for a while.
    CutOffOneWay: "host cut off from the master one way",
    /// A host loses its power, and boots anew.
    HostRebooted: "host rebooted",
    /// A host loses its power, and is away for longer than leases and operators wait.
    HostAway: "host away for long",
    /// A request of a user does not arrive.
    RequestLost: "request lost",
    /// A request of a user arrives late, after others that were sent later.
    RequestDelayed: "request delayed",
    /// A request of a user arrives twice.
    RequestRepeated: "request repeated",
    /// The answer to a request does not arrive.
    AnswerLost: "answer lost",
}
