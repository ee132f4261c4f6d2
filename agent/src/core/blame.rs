//! Whose doing the end of an executor was: what its unfinished tasks are told of it.
//!
//! A task that did not end when it had to costs its executor. The others there are told that it was
//! none of their doing, so that they start again as if nothing had been; and of an executor that
//! somebody wanted to end nobody learns that its tasks may have killed it.

use muster_api::task::{
    ENDED_BY_ORDER, ENDED_FOR_NEIGHBOUR, EXIT_STUCK, LABEL_ENDED, LABEL_TIMEOUT, STUCK_TIMED_OUT,
};
use muster_proto::Labels;

use super::{
    Agent, TaskKey,
    executors::{Cause, Executor},
    origin::Origin,
    statuses::{Task, Verdict},
};
use crate::supervise::{Exit, Why};

/// Whose doing the end of an executor was.
pub(super) enum Blame {
    /// Nobody's that is known: it, or one of its tasks, did it.
    Unknown,
    /// Somebody wanted it to end.
    Order,
    /// Some of its tasks did not end when they had to.
    Stuck,
}

impl Agent {
    /// Whose doing it was that an executor ended in this way.
    pub(super) fn blame(&self, executor: &Executor, exit: &Exit) -> Blame {
        if executor.origin != Origin::Ours {
            // Labels of ours mean nothing to others.
            return Blame::Unknown;
        }
        let gave_up = exit.why == Why::Exited && exit.status == i32::from(EXIT_STUCK) << 8;
        match (&executor.cause, exit.why) {
            // An agent before this one may have made it end, for it did not end a task.
            (Some(Cause::Unresponsive | Cause::Shutdown), Why::Exited | Why::Ended | Why::Lost)
            | (None, Why::Ended)
                if self.has_culprit(executor) =>
            {
                Blame::Stuck
            }
            // Its lease may have ended first, or it was never started: the order did nothing then.
            (Some(Cause::Unresponsive | Cause::Shutdown), Why::Exited | Why::Ended | Why::Lost)
            | (None, Why::Ended) => Blame::Order,
            (None, Why::Exited) if gave_up && self.has_culprit(executor) => Blame::Stuck,
            // SIGTERM came from somebody else on this host.
            (None, Why::Exited | Why::Lost) if executor.terminated => Blame::Order,
            _ => Blame::Unknown,
        }
    }

    /// Whether some task of it did not end when it had to. It may have ended since: by then its
    /// executor could not be saved any more.
    fn has_culprit(&self, executor: &Executor) -> bool {
        executor.stuck || self.culprits(executor).next().is_some()
    }

    /// The tasks of an executor that should have ended and have not.
    pub(super) fn culprits<'a>(
        &'a self,
        executor: &'a Executor,
    ) -> impl Iterator<Item = &'a TaskKey> {
        executor.tasks.iter().filter(|key| self.tasks.get(key).is_some_and(is_culprit))
    }

    /// What one of its tasks is told.
    pub(super) fn blamed(&self, key: &TaskKey, blame: &Blame, verdict: &Verdict) -> Verdict {
        let culprit = self.tasks.get(key).filter(|task| is_culprit(task));
        let (label, value) = match (blame, culprit) {
            (Blame::Unknown, _) => return verdict.clone(),
            (Blame::Stuck, Some(task)) if task.stuck.as_deref() == Some(STUCK_TIMED_OUT) => {
                (LABEL_TIMEOUT, "true")
            }
            (Blame::Order, _) | (Blame::Stuck, Some(_)) => (LABEL_ENDED, ENDED_BY_ORDER),
            (Blame::Stuck, None) => (LABEL_ENDED, ENDED_FOR_NEIGHBOUR),
        };
        let mut verdict = verdict.clone();
        verdict.labels = Some(Labels::of([(label, value)]));
        if value == ENDED_FOR_NEIGHBOUR {
            "another task of its executor did not end when it had to"
                .clone_into(&mut verdict.message);
        }
        verdict
    }
}

/// Whether a task did not end when it had to: its executor said so, or it was killed and lives.
fn is_culprit(task: &Task) -> bool {
    task.stuck.is_some() || task.watched
}
