//! One task: its phase, and the updates that the agent has not acknowledged.

use std::time::Duration;

use muster_api::{Mono, Timestamp};
use muster_proto::TaskInfo;

use super::Update;

/// A task from its launch until the agent has acknowledged its end.
#[derive(Debug)]
pub(super) struct Task {
    /// As the agent sent it.
    pub(super) info: TaskInfo,
    /// Whether its code runs in this process, where nothing can end it by force.
    pub(super) in_process: bool,
    /// How long its code may run; zero is no bound.
    pub(super) timeout: Duration,
    /// From asking its code to end to ending it.
    pub(super) grace: Duration,
    /// When its code began to run.
    pub(super) started_at: Option<Timestamp>,
    pub(super) phase: Phase,
    updates: Vec<Pending>,
    /// Whether the agent has acknowledged any update, so that it is known to know the task.
    known_to_agent: bool,
}

/// An update that is not acknowledged.
#[derive(Debug)]
struct Pending {
    update: Update,
    /// Whether it was ever given to a connection.
    handed: bool,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its code was asked to start.
    Starting,
    /// Its code runs, until its time-out if there is one.
    Running { until: Option<Mono> },
    /// Its code was asked to end; it is forced at `force_at`, or has been when that is absent.
    Ending { cause: Cause, force_at: Option<Mono> },
    /// Nothing of it runs.
    Over,
}

/// Why a task is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It was told to.
    Killed,
    /// It took too long.
    TimedOut,
}

/// What can happen to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Its code begins to run.
    Started,
    /// It is to end.
    Stop { cause: Cause, force_at: Mono },
    /// The alarm of its phase is due.
    Alarm,
    /// Its code is over.
    Ended,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Tell the agent that it runs.
    TellRunning,
    /// Ask its code to end.
    Cancel,
    /// End its code by force: it was asked to end for this cause, and did not.
    Force(Cause),
    /// Tell the agent that it is over.
    TellEnd(Option<Cause>),
}

impl Phase {
    /// When [`Signal::Alarm`] is due.
    pub(super) fn alarm(self) -> Option<Mono> {
        match self {
            Self::Running { until } => until,
            Self::Ending { force_at, .. } => force_at,
            Self::Starting | Self::Over => None,
        }
    }

    /// Whether nothing of the task runs.
    pub(super) fn is_over(self) -> bool {
        self == Self::Over
    }

    /// The phase after a signal, and what is to be done. The one place where phases change.
    pub(super) fn after(
        self,
        signal: Signal,
        now: Mono,
        timeout: Duration,
        grace: Duration,
    ) -> (Self, Option<Act>) {
        use Phase as P;
        use Signal as S;
        match (self, signal) {
            (P::Starting, S::Started) => {
                let until = (!timeout.is_zero()).then(|| now + timeout);
                (P::Running { until }, Some(Act::TellRunning))
            }
            (P::Starting | P::Running { .. }, S::Stop { cause, force_at }) => {
                (P::Ending { cause, force_at: Some(force_at) }, Some(Act::Cancel))
            }
            (P::Running { .. }, S::Alarm) => {
                let force_at = Some(now + grace);
                (P::Ending { cause: Cause::TimedOut, force_at }, Some(Act::Cancel))
            }
            // A second kill may be more urgent; it never gives more time, nor another cause.
            (P::Ending { cause, force_at: Some(at) }, S::Stop { force_at, .. }) => {
                (P::Ending { cause, force_at: Some(at.min(force_at)) }, None)
            }
            (P::Ending { cause, force_at: Some(_) }, S::Alarm) => {
                (P::Ending { cause, force_at: None }, Some(Act::Force(cause)))
            }
            (P::Starting | P::Running { .. }, S::Ended) => (P::Over, Some(Act::TellEnd(None))),
            (P::Ending { cause, .. }, S::Ended) => (P::Over, Some(Act::TellEnd(Some(cause)))),
            (P::Starting, S::Alarm)
            | (P::Running { .. }, S::Started)
            | (P::Ending { .. }, S::Started)
            | (P::Ending { force_at: None, .. }, S::Stop { .. } | S::Alarm)
            | (P::Over, S::Started | S::Stop { .. } | S::Alarm | S::Ended) => (self, None),
        }
    }
}

impl Task {
    pub(super) fn new(
        info: TaskInfo,
        in_process: bool,
        timeout: Duration,
        grace: Duration,
    ) -> Self {
        let (phase, updates) = (Phase::Starting, Vec::new());
        Self {
            info,
            in_process,
            timeout,
            grace,
            started_at: None,
            phase,
            updates,
            known_to_agent: false,
        }
    }

    /// Adds an update. An end replaces what was not yet given to any connection: nobody needs to
    /// hear that a task runs which is over. But what has a label says more than the state: the word
    /// that a task does not end goes out before its end, for its executor ends all the same.
    pub(super) fn tell(&mut self, update: Update) {
        if update.state.is_terminal() {
            self.updates.retain(|pending| pending.handed || pending.update.label.is_some());
        }
        self.updates.push(Pending { update, handed: false });
    }

    /// The update that was added last.
    pub(super) fn last_update(&mut self) -> Option<&mut Update> {
        self.updates.last_mut().map(|pending| &mut pending.update)
    }

    /// Gives the updates that no connection was given, and counts them as given.
    pub(super) fn hand_out_new(&mut self) -> impl Iterator<Item = Update> {
        self.updates.iter_mut().filter(|pending| !pending.handed).map(|pending| {
            pending.handed = true;
            pending.update.clone()
        })
    }

    /// Gives all updates that are not acknowledged, and counts them as given.
    pub(super) fn hand_out_all(&mut self) -> impl Iterator<Item = Update> {
        self.updates.iter_mut().map(|pending| {
            pending.handed = true;
            pending.update.clone()
        })
    }

    /// Whether a subscription must name it: the agent may not know that it arrived, or is about
    /// to hear of it.
    pub(super) fn is_unacknowledged(&self) -> bool {
        !self.known_to_agent || !self.updates.is_empty()
    }

    /// Forgets an update that the agent has.
    pub(super) fn acknowledge(&mut self, uuid: &[u8]) {
        let before = self.updates.len();
        self.updates.retain(|pending| pending.update.uuid.as_bytes() != uuid);
        self.known_to_agent |= self.updates.len() < before;
    }

    /// Whether it is over and the agent knows all about it.
    pub(super) fn is_settled(&self) -> bool {
        self.phase.is_over() && self.updates.is_empty()
    }

    /// Whether its code should have ended and cannot be made to, and the agent knows.
    pub(super) fn is_given_up(&self) -> bool {
        let forced = matches!(self.phase, Phase::Ending { force_at: None, .. });
        self.in_process && forced && self.updates.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::from_millis(100);
    const SOON: Mono = Mono::from_millis(150);
    const LATER: Mono = Mono::from_millis(900);

    fn after(phase: Phase, signal: Signal) -> (Phase, Option<Act>) {
        phase.after(signal, NOW, Duration::from_millis(30), Duration::from_millis(5))
    }

    #[test]
    fn every_pair_of_phase_and_signal() {
        use {Cause::*, Phase::*, Signal::*};
        let running = Running { until: Some(SOON) };
        let ending = Ending { cause: Killed, force_at: Some(SOON) };
        let forced = Ending { cause: TimedOut, force_at: None };
        let kill = |force_at| Stop { cause: Killed, force_at };
        let until = Some(Mono::from_millis(130));
        let force_at = Some(Mono::from_millis(105));
        let sooner = Ending { cause: Killed, force_at: Some(NOW) };
        let force_killed = Ending { cause: Killed, force_at: None };
        for (phase, signal, next, act) in [
            (Starting, Started, Running { until }, Some(Act::TellRunning)),
            (Starting, kill(SOON), ending, Some(Act::Cancel)),
            (Starting, Alarm, Starting, None),
            (Starting, Ended, Over, Some(Act::TellEnd(None))),
            (running, Started, running, None),
            (running, kill(SOON), ending, Some(Act::Cancel)),
            (running, Alarm, Ending { cause: TimedOut, force_at }, Some(Act::Cancel)),
            (running, Ended, Over, Some(Act::TellEnd(None))),
            (ending, Started, ending, None),
            (ending, kill(LATER), ending, None),
            (ending, kill(NOW), sooner, None),
            (ending, Alarm, force_killed, Some(Act::Force(Killed))),
            (ending, Ended, Over, Some(Act::TellEnd(Some(Killed)))),
            (forced, Started, forced, None),
            (forced, kill(NOW), forced, None),
            (forced, Alarm, forced, None),
            (forced, Ended, Over, Some(Act::TellEnd(Some(TimedOut)))),
            (Over, Started, Over, None),
            (Over, kill(NOW), Over, None),
            (Over, Alarm, Over, None),
            (Over, Ended, Over, None),
        ] {
            assert_eq!(after(phase, signal), (next, act), "{phase:?} {signal:?}");
        }
    }

    #[test]
    fn without_a_time_out_there_is_no_alarm() {
        let (phase, _) =
            Phase::Starting.after(Signal::Started, NOW, Duration::ZERO, Duration::ZERO);
        assert_eq!(phase.alarm(), None);
    }
}
