//! How much history is kept.

use muster_api::{Span, limits};

/// How much history is kept. What is beyond any of these is forgotten, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// How long after its end a run is kept, after its last instant a range of the ledger, and an
    /// event.
    pub age: Span,
    /// Runs of all jobs together.
    pub runs: u64,
    /// Runs of one job.
    pub runs_per_job: u64,
    /// Events of the log.
    pub events: u64,
}

/// Limits that would keep nothing, which nobody means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "--history-age is at least 1s, and --history-runs, --history-runs-per-job and --history-events \
     are at least 1: 0 would keep no history; for as much as there is room for name large ones"
)]
pub(crate) struct KeepsNothing;

impl HistoryLimits {
    /// Whether anything is kept.
    pub(crate) fn check(self) -> Result<(), KeepsNothing> {
        let numbers = [self.runs, self.runs_per_job, self.events];
        let least = self.age >= Span::from_secs(1) && numbers.iter().all(|number| *number > 0);
        if least { Ok(()) } else { Err(KeepsNothing) }
    }
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            age: Span::from_secs(limits::HISTORY_AGE.as_secs()),
            runs: limits::HISTORY_RUNS,
            runs_per_job: limits::HISTORY_RUNS_PER_JOB,
            events: limits::HISTORY_EVENTS,
        }
    }
}
