//! The life of a task: the one place where its phase changes.

use muster_api::{AgentId, ExecutorId, Mono, RunId, Timestamp, limits};

use crate::{
    event::Signal,
    placement::Chosen,
    records::{EndedFor, TaskRecord, Tries},
    unreachable::Doubt,
};

/// A task that is not over.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) run: RunId,
    pub(crate) item: u32,
    pub(crate) tries: Tries,
    pub(crate) epoch: u64,
    pub(crate) agent: AgentId,
    pub(crate) hostname: String,
    pub(crate) executor: ExecutorId,
    pub(crate) launched_at: Timestamp,
    /// The version of its job that it was launched with, if it is resident; others follow their
    /// run.
    pub(crate) version: Option<u64>,
    /// Memory only: after a restart reconciliation brings it back.
    pub(crate) phase: Phase,
    /// Memory only: whether it was told that its executor is about to start it.
    pub(crate) told_starting: bool,
    /// Memory only: whether it was told that its code runs.
    pub(crate) told_running: bool,
    /// Memory only: when its code began, as far as its executor has said so.
    pub(crate) started_at: Option<Timestamp>,
    /// Memory only: until when it may be launching.
    pub(crate) launching_until: Mono,
    /// Memory only: when it will have run for long enough to count as well; set when it runs.
    pub(crate) steady_at: Option<Mono>,
    /// Memory only: when the engine ends it if its executor has not.
    pub(crate) overdue_at: Option<Mono>,
    /// Memory only: that nobody can say whether it lives, where a wait decides that.
    pub(crate) doubt: Option<Doubt>,
    /// Memory only: how often it was told to end, which paces the next time.
    pub(crate) kills: u32,
    /// Memory only: since when it is told to end on a host that is heard.
    pub(crate) told_at: Option<Mono>,
    /// Memory only: when it is told to end again.
    pub(crate) told_again_at: Option<Mono>,
    /// Memory only: why it is where it is.
    pub(crate) chosen: Option<Chosen>,
}

/// What a task is doing, as far as the engine knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// On the way to its executor.
    Launching,
    /// Its code runs.
    Running,
    /// It was told to end.
    Killing(KillCause),
}

/// Why a task was told to end, the strongest first: it ends for that. A wish of people comes before
/// a rule of the engine, and that of a whole run before that of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KillCause {
    /// Its run is being ended.
    Asked,
    /// An operator wants this one task to end, and not its run.
    Operator,
    /// It took longer than its time-out.
    Timeout,
    /// Its shard is to start anew, for a reason that is not its own.
    Restart,
    /// It was launching for too long: whatever comes of it, it counts as never started.
    Launching,
}

/// What a signal makes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It goes on, in this phase.
    Goes(Phase),
    /// It is over.
    Over(Ending),
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Its code ended well.
    Succeeded,
    /// Its code ended badly.
    CodeFailed,
    /// It took longer than its time-out.
    TimedOut,
    /// Its executor could not be started.
    CannotStart,
    /// It never started, for its executor was not to be had there.
    NoContainer,
    /// It ended because a user wanted it so.
    Cancelled,
    /// It was ended so that its shard starts anew.
    Restarted,
    /// It was ended because an operator wanted this one to end.
    KilledOnRequest,
    /// It never started.
    NeverStarted,
    /// It died with its host, or by somebody's doing.
    Died,
    /// It died with its executor, which nobody has ended.
    DiedWithExecutor,
    /// It died with its executor, by the doing of another task there.
    Neighbour,
    /// It died by the end of its lease, which is nobody's fault.
    Fenced,
    /// Its description was refused.
    Invalid,
}

/// The rule of SEMANTICS section 5: what a signal makes of a task in some phase.
pub(crate) fn next(phase: Phase, signal: Signal) -> Next {
    use Ending as E;
    use KillCause as K;
    use Next::{Goes, Over};
    use Phase as P;
    use Signal as S;
    match (phase, signal) {
        (P::Launching, S::Starting | S::PerhapsAlive | S::Unreachable) => Goes(P::Launching),
        (P::Launching | P::Running, S::Running) => Goes(P::Running),
        (P::Running, S::Starting | S::PerhapsAlive | S::Unreachable) => Goes(P::Running),
        // A task that is being killed and that we did not tell to end was told so before a
        // restart, or by somebody else: what that means is seen when it has ended.
        (P::Launching | P::Running, S::Killing) => Goes(P::Killing(K::Asked)),
        // What does not end runs, so it did start, whatever it was to be killed for.
        (P::Launching | P::Running | P::Killing(K::Launching), S::Stuck { timed_out }) => {
            Goes(P::Killing(if timed_out { K::Timeout } else { K::Asked }))
        }
        (
            P::Killing(cause @ (K::Asked | K::Timeout | K::Restart | K::Operator)),
            S::Stuck { .. } | S::Running,
        ) => Goes(P::Killing(cause)),
        // It did start after all, and the kill is on its way: that counts as a death.
        (P::Killing(K::Launching), S::Running) => Goes(P::Running),
        (P::Killing(cause), S::Starting | S::Killing | S::PerhapsAlive | S::Unreachable) => {
            Goes(P::Killing(cause))
        }

        // A success that comes before the kill counts.
        (P::Launching | P::Running | P::Killing(_), S::Finished) => Over(E::Succeeded),
        // Its executor ended it at its time-out before it heard of the kill: it is not tried again.
        (P::Killing(K::Operator), S::TimedOut) => Over(E::KilledOnRequest),
        (P::Launching | P::Running | P::Killing(_), S::TimedOut) => Over(E::TimedOut),
        (P::Launching | P::Running | P::Killing(_), S::Invalid) => Over(E::Invalid),

        (P::Launching | P::Running, S::CodeFailed) => Over(E::CodeFailed),
        (P::Launching | P::Running, S::CannotStart) => Over(E::CannotStart),
        (P::Launching, S::NeverStarted) => Over(E::NeverStarted),
        (P::Launching, S::NoContainer) => Over(E::NoContainer),
        // Its code was seen to run, so whatever is said now, it may have had effects.
        (P::Running, S::NeverStarted | S::NoContainer) => Over(E::Died),
        (P::Launching | P::Running, S::Killed | S::Died) => Over(E::Died),
        (P::Launching | P::Running, S::DiedWithExecutor) => Over(E::DiedWithExecutor),
        (P::Launching | P::Running, S::Neighbour) => Over(E::Neighbour),
        (P::Launching | P::Running, S::Fenced) => Over(E::Fenced),

        (P::Killing(K::Asked), S::CodeFailed | S::CannotStart | S::NeverStarted | S::Killed)
        | (P::Killing(K::Asked), S::NoContainer)
        | (P::Killing(K::Asked), S::Died | S::DiedWithExecutor | S::Neighbour | S::Fenced) => {
            Over(E::Cancelled)
        }
        // It may have run or not, and whoever ended it wants nothing more of it.
        (P::Killing(K::Operator), S::CodeFailed | S::CannotStart | S::NeverStarted | S::Killed)
        | (P::Killing(K::Operator), S::NoContainer)
        | (P::Killing(K::Operator), S::Died | S::DiedWithExecutor | S::Neighbour | S::Fenced) => {
            Over(E::KilledOnRequest)
        }
        (P::Killing(K::Restart), S::CodeFailed | S::CannotStart | S::Killed)
        | (P::Killing(K::Restart), S::Died | S::DiedWithExecutor | S::Neighbour | S::Fenced) => {
            Over(E::Restarted)
        }
        (P::Killing(K::Restart), S::NeverStarted) => Over(E::NeverStarted),
        (P::Killing(K::Restart | K::Timeout | K::Launching), S::NoContainer) => {
            Over(E::NoContainer)
        }
        (P::Killing(K::Timeout), S::CodeFailed | S::Killed | S::Fenced)
        | (P::Killing(K::Timeout), S::Died | S::DiedWithExecutor | S::Neighbour) => {
            Over(E::TimedOut)
        }
        (P::Killing(K::Timeout), S::CannotStart) => Over(E::CannotStart),
        (P::Killing(K::Timeout), S::NeverStarted) => Over(E::NeverStarted),
        (P::Killing(K::Launching), S::CodeFailed) => Over(E::CodeFailed),
        (P::Killing(K::Launching), S::CannotStart) => Over(E::CannotStart),
        (P::Killing(K::Launching), S::NeverStarted | S::Killed) => Over(E::NeverStarted),
        (P::Killing(K::Launching), S::Died) => Over(E::Died),
        (P::Killing(K::Launching), S::DiedWithExecutor) => Over(E::DiedWithExecutor),
        (P::Killing(K::Launching), S::Neighbour) => Over(E::Neighbour),
        (P::Killing(K::Launching), S::Fenced) => Over(E::Fenced),
    }
}

impl Task {
    /// A task as it was stored. Nothing is known of its phase but that it was launched, and whether
    /// a rule of the engine ends it.
    pub(crate) fn restored(record: TaskRecord, now: Mono) -> Self {
        Self {
            run: record.run,
            item: record.item,
            tries: record.tries,
            epoch: record.epoch,
            agent: record.agent,
            hostname: record.hostname,
            executor: record.executor,
            launched_at: record.launched_at,
            version: record.version,
            phase: match record.ended_for {
                None => Phase::Launching,
                Some(EndedFor::Timeout) => Phase::Killing(KillCause::Timeout),
                Some(EndedFor::Launching) => Phase::Killing(KillCause::Launching),
                Some(EndedFor::Restart) => Phase::Killing(KillCause::Restart),
                Some(EndedFor::Operator) => Phase::Killing(KillCause::Operator),
            },
            told_starting: false,
            told_running: false,
            started_at: None,
            steady_at: None,
            launching_until: now + limits::LAUNCHING_MAX,
            overdue_at: None,
            doubt: None,
            kills: 0,
            told_at: None,
            told_again_at: None,
            chosen: None,
        }
    }

    /// Whether it is resident: it stays as long as its job is enabled, and is replaced when it
    /// ends.
    pub(crate) fn is_resident(&self) -> bool {
        self.version.is_some()
    }

    /// It is told to end, for this cause beside what it was told before.
    pub(crate) fn is_killed_for(&mut self, cause: KillCause) {
        self.phase = Phase::Killing(match self.phase {
            Phase::Killing(former) => former.min(cause),
            Phase::Launching | Phase::Running => cause,
        });
    }

    /// Why its shard starts anew, if it was ended for that, however it ended then.
    pub(crate) fn ended_to_start_anew(&self, ending: Ending) -> Option<&str> {
        match (self.phase, ending) {
            (Phase::Killing(KillCause::Operator), _) | (_, Ending::KilledOnRequest) => {
                Some("killed on request")
            }
            (Phase::Killing(KillCause::Restart), _) | (_, Ending::Restarted) => {
                Some(self.tries.reason.as_deref().unwrap_or("ended to start anew"))
            }
            _ => None,
        }
    }

    /// What is stored of it.
    pub(crate) fn record(&self) -> TaskRecord {
        TaskRecord {
            run: self.run,
            item: self.item,
            tries: self.tries.clone(),
            epoch: self.epoch,
            agent: self.agent.clone(),
            hostname: self.hostname.clone(),
            executor: self.executor,
            launched_at: self.launched_at,
            version: self.version,
            ended_for: match self.phase {
                Phase::Killing(KillCause::Timeout) => Some(EndedFor::Timeout),
                Phase::Killing(KillCause::Launching) => Some(EndedFor::Launching),
                Phase::Killing(KillCause::Restart) => Some(EndedFor::Restart),
                Phase::Killing(KillCause::Operator) => Some(EndedFor::Operator),
                Phase::Launching | Phase::Running | Phase::Killing(KillCause::Asked) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests;
