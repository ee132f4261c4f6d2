//! Where an executor comes from, and what its agent owes it for that.

use std::time::Duration;

use muster_api::{Span, limits, task::LABEL_LEASE};
use muster_proto::{ExecutorInfo, FrameworkInfo, agent::Launcher};

use super::agent::Config;

/// Where an executor comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is one of Muster's engine: it may have a lease, and its id is never used again.
    Ours,
    /// A framework of Mesos has described it.
    Foreign,
    /// This agent has made it for a task that is a command.
    Command,
}

impl Origin {
    /// That of an executor which has been described to this agent. Labels are anybody's to write, so
    /// they count only where the master, or the journal, is from before it was said who launches.
    pub(super) fn of(launcher: Launcher, info: &ExecutorInfo) -> Self {
        let labels_are_ours =
            || info.labels.as_ref().is_some_and(|labels| labels.get(LABEL_LEASE).is_some());
        match launcher {
            Launcher::Engine => Self::Ours,
            Launcher::Framework => Self::Foreign,
            Launcher::Unsaid if labels_are_ours() => Self::Ours,
            Launcher::Unsaid => Self::Foreign,
        }
    }

    /// Who has launched it.
    pub(super) fn launcher(self) -> Launcher {
        match self {
            Self::Ours => Launcher::Engine,
            Self::Foreign | Self::Command => Launcher::Framework,
        }
    }

    /// The lease of an executor of this description; `None` is off, as with all that is not ours.
    ///
    /// A text that is no span counts as the shortest lease: to end work too early is safe, to let it
    /// run on after the master has called it dead is not.
    pub(super) fn lease(self, executor: &ExecutorInfo) -> Option<Duration> {
        let labels = executor.labels.as_ref().filter(|_| self == Self::Ours)?;
        match labels.get(LABEL_LEASE) {
            None | Some("off") => None,
            Some(text) => Some(text.parse::<Span>().map_or(limits::LEASE_MIN, Span::duration)),
        }
    }

    /// Whether it must prove by its token who it is. One of a foreign framework need not, as with
    /// Mesos, for its library may know of no token.
    pub(super) fn has_to_prove_itself(self) -> bool {
        matches!(self, Self::Ours | Self::Command)
    }

    /// Whether it goes on when the agent has been restarted. Our framework wants that of its
    /// executors; of any other it holds if it asks for checkpoints.
    pub(super) fn outlives_the_agent(self, framework: &FrameworkInfo) -> bool {
        self == Self::Ours || framework.checkpoint.unwrap_or(false)
    }

    /// How long it may take to come back after the agent has been restarted.
    pub(super) fn patience_after_restart(self, config: &Config) -> Duration {
        match self {
            Self::Ours | Self::Command => limits::EXECUTOR_REREGISTRATION,
            Self::Foreign => config.executor_reregistration,
        }
    }

    /// How long it may be without a stream while its agent is there all the time.
    pub(super) fn patience_without_stream(self) -> Duration {
        match self {
            Self::Ours | Self::Command => limits::EXECUTOR_REREGISTRATION,
            Self::Foreign => limits::FOREIGN_RECOVERY,
        }
    }

    /// From SIGTERM to SIGKILL when it did not subscribe in time. The Mesos agent has no patience
    /// with one that never said a word.
    pub(super) fn grace_when_overdue(self) -> Duration {
        match self {
            Self::Ours => limits::EXECUTOR_SHUTDOWN_GRACE,
            Self::Foreign | Self::Command => Duration::ZERO,
        }
    }
}
