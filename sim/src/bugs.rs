//! Bugs that can be planted, to prove that the oracles find them. None is a switch in a core: each
//! is done to what passes between a core and the world.

use std::{fmt, str::FromStr};

/// A bug that is planted into a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The effects of a commit leave although the commit is lost.
    EffectBeforeCommit,
    /// Acknowledgements leave when they are decided, and not after the commit.
    AckBeforeWrite,
    /// The scheduler's clock runs at double speed, so that it calls tasks dead by their lease, and
    /// starts them again, before their supervisors have ended them.
    FailoverBeforeFencing,
    /// An agent that comes back names each executor twice, so that it is charged twice.
    OverheadTwice,
    /// Ranges of the fire ledger that were made for instants of a downtime are not stored.
    LedgerRangeMissing,
    /// An agent that has just started leaves those tasks out of its hello whose executors it has
    /// not heard of yet, so that what is unknown is taken for dead.
    UnknownIsDead,
    /// An agent carries out what it decided without writing it into its journal.
    JournalSkipped,
    /// Supervisors let executors live on when their leases have ended.
    LeasesIgnored,
    /// Supervisors report the end of an executor while code that it started still runs.
    OrphansLeft,
    /// A record that a commit deletes stays on the disk.
    DeletesForgotten,
    /// Instants that were merged into a run are written down as dropped.
    MergedAsDropped,
    /// At each start of the scheduler the time of runs begins anew.
    RunTimeoutLost,
    /// The key that makes a repeated request for a rerun the same request is lost on the way.
    RerunKeyLost,
    /// An agent that was declared gone comes back as another one with all that lived there.
    GoneAdopted,
    /// The scheduler lets one task more be there than its limit says.
    LimitOffByOne,
    /// At each start of the scheduler notices that wait are lost.
    NoticesLost,
    /// At each start of the scheduler it is lost that hosts are drained.
    DrainsForgotten,
    /// An executor that asks code to end takes it for ended.
    AskedIsEnded,
    /// A resident task is handed over as if that had been a minute ago, so that it stands for instants
    /// of the one that it replaces.
    InstantsCarriedOver,
    /// An executor takes executions of resident tasks for ended that have just begun.
    ExecutionsOverlap,
    /// What is sent to another master and was not answered before the connection broke is sent again
    /// if it is a launch.
    LaunchResent,
    /// The scheduler calls tasks dead after a second of which another master cannot say whether they
    /// live.
    UnreachableWaitShort,
    /// The id of our framework on another master is not stored.
    FrameworkIdLost,
    /// Of a launch that another master may have or not, as its answer is lost, it is said that it was
    /// never sent.
    UnclearIsNever,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::EffectBeforeCommit,
        Self::AckBeforeWrite,
        Self::FailoverBeforeFencing,
        Self::OverheadTwice,
        Self::LedgerRangeMissing,
        Self::UnknownIsDead,
        Self::JournalSkipped,
        Self::LeasesIgnored,
        Self::OrphansLeft,
        Self::DeletesForgotten,
        Self::MergedAsDropped,
        Self::RunTimeoutLost,
        Self::RerunKeyLost,
        Self::GoneAdopted,
        Self::LimitOffByOne,
        Self::NoticesLost,
        Self::DrainsForgotten,
        Self::AskedIsEnded,
        Self::InstantsCarriedOver,
        Self::ExecutionsOverlap,
        Self::LaunchResent,
        Self::UnreachableWaitShort,
        Self::FrameworkIdLost,
        Self::UnclearIsNever,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::EffectBeforeCommit => "effect-before-commit",
            Self::AckBeforeWrite => "ack-before-write",
            Self::FailoverBeforeFencing => "failover-before-fencing",
            Self::OverheadTwice => "overhead-twice",
            Self::LedgerRangeMissing => "ledger-range-missing",
            Self::UnknownIsDead => "unknown-is-dead",
            Self::JournalSkipped => "journal-skipped",
            Self::LeasesIgnored => "leases-ignored",
            Self::OrphansLeft => "orphans-left",
            Self::DeletesForgotten => "deletes-forgotten",
            Self::MergedAsDropped => "merged-as-dropped",
            Self::RunTimeoutLost => "run-timeout-lost",
            Self::RerunKeyLost => "rerun-key-lost",
            Self::GoneAdopted => "gone-adopted",
            Self::LimitOffByOne => "limit-off-by-one",
            Self::NoticesLost => "notices-lost",
            Self::DrainsForgotten => "drains-forgotten",
            Self::AskedIsEnded => "asked-is-ended",
            Self::InstantsCarriedOver => "instants-carried-over",
            Self::ExecutionsOverlap => "executions-overlap",
            Self::LaunchResent => "launch-resent",
            Self::UnreachableWaitShort => "unreachable-wait-short",
            Self::FrameworkIdLost => "framework-id-lost",
            Self::UnclearIsNever => "unclear-is-never",
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No bug has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no bug `{name}`; there are {}", Bug::ALL.map(|bug| bug.to_string()).join(", "))]
pub struct UnknownBug {
    name: String,
}

impl FromStr for Bug {
    type Err = UnknownBug;
    fn from_str(name: &str) -> Result<Self, UnknownBug> {
        let bug = Self::ALL.into_iter().find(|bug| bug.name() == name);
        bug.ok_or_else(|| UnknownBug { name: name.to_owned() })
    }
}
