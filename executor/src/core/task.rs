//! One task: its phase, and the updates that the agent has not acknowledged.

use std::time::Duration;

use muster_api::{Mono, Timestamp};
use muster_proto::TaskInfo;

use super::{Update, resident::Resident};

/// A task from its launch until the agent has acknowledged its end.
#[derive(Debug)]
pub(super) struct Task {
    /// As the agent sent it.
    pub(super) info: TaskInfo,
    /// What its payload says of its life.
    pub(super) terms: Terms,
    /// When its code began to run.
    pub(super) started_at: Option<Timestamp>,
    pub(super) phase: Phase,
    /// Its schedule and what is executed by it, when it stays.
    pub(super) resident: Option<Box<Resident>>,
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

/// What the payload of a task says of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Terms {
    /// Whether its code runs in this process, where nothing can end it by force.
    pub(super) in_process: bool,
    /// Whether it stays when its code has ended: it is resident.
    pub(super) resident: bool,
    /// How long its code may run; zero is no bound.
    pub(super) timeout: Duration,
    /// From asking its code to end to ending it.
    pub(super) grace: Duration,
    /// Whether its framework is another than ours: it is told every state, and given no report.
    pub(super) foreign: bool,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is resident, and no execution goes on.
    Idle,
    /// Its code was asked to start.
    Starting,
    /// Its code runs, until its time-out if there is one.
    Running { until: Option<Mono> },
    /// Its code was asked to end; it is forced at `force_at`, or has been when that is absent. Unless
    /// it `stays`, the task is over then.
    Ending { cause: Cause, force_at: Option<Mono>, stays: bool },
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
    /// An execution of it is due, and its code is asked to start.
    Begin,
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
    /// An execution is over, and the task stays.
    TellExecution(Option<Cause>),
    /// Tell the agent that it is over.
    TellEnd(Option<Cause>),
}

impl Phase {
    /// When [`Signal::Alarm`] is due.
    pub(super) fn alarm(self) -> Option<Mono> {
        match self {
            Self::Running { until } => until,
            Self::Ending { force_at, .. } => force_at,
            Self::Idle | Self::Starting | Self::Over => None,
        }
    }

    /// Whether a resident task in this phase executes more.
    pub(super) fn stays(self) -> bool {
        match self {
            Self::Idle | Self::Starting | Self::Running { .. } => true,
            Self::Ending { stays, .. } => stays,
            Self::Over => false,
        }
    }

    /// Whether nothing of the task runs.
    pub(super) fn is_over(self) -> bool {
        self == Self::Over
    }

    /// The phase after a signal, and what is to be done. The one place where phases change.
    pub(super) fn after(self, signal: Signal, now: Mono, terms: &Terms) -> (Self, Option<Act>) {
        use Phase as P;
        use Signal as S;
        match (self, signal) {
            (P::Idle, S::Begin) => (P::Starting, None),
            (P::Idle, S::Stop { cause, .. }) => (P::Over, Some(Act::TellEnd(Some(cause)))),
            (P::Starting, S::Started) => {
                let until = (!terms.timeout.is_zero()).then(|| now + terms.timeout);
                (P::Running { until }, Some(Act::TellRunning))
            }
            (P::Starting | P::Running { .. }, S::Stop { cause, force_at }) => {
                let force_at = Some(force_at);
                (P::Ending { cause, force_at, stays: false }, Some(Act::Cancel))
            }
            (P::Running { .. }, S::Alarm) => {
                let force_at = Some(now + terms.grace);
                let stays = terms.resident;
                (P::Ending { cause: Cause::TimedOut, force_at, stays }, Some(Act::Cancel))
            }
            // A second kill may be more urgent; it never gives more time, nor another cause.
            (P::Ending { cause, force_at, .. }, S::Stop { force_at: new, .. }) => {
                let force_at = force_at.map(|at| at.min(new));
                (P::Ending { cause, force_at, stays: false }, None)
            }
            (P::Ending { cause, force_at: Some(_), stays }, S::Alarm) => {
                (P::Ending { cause, force_at: None, stays }, Some(Act::Force(cause)))
            }
            (P::Starting | P::Running { .. }, S::Ended) if terms.resident => {
                (P::Idle, Some(Act::TellExecution(None)))
            }
            (P::Starting | P::Running { .. }, S::Ended) => (P::Over, Some(Act::TellEnd(None))),
            (P::Ending { cause, stays: true, .. }, S::Ended) => {
                (P::Idle, Some(Act::TellExecution(Some(cause))))
            }
            (P::Ending { cause, .. }, S::Ended) => (P::Over, Some(Act::TellEnd(Some(cause)))),
            (P::Idle, S::Started | S::Alarm | S::Ended)
            | (P::Starting, S::Begin | S::Alarm)
            | (P::Running { .. }, S::Begin | S::Started)
            | (P::Ending { .. }, S::Begin | S::Started)
            | (P::Ending { force_at: None, .. }, S::Alarm)
            | (P::Over, S::Begin | S::Started | S::Stop { .. } | S::Alarm | S::Ended) => {
                (self, None)
            }
        }
    }
}

impl Task {
    pub(super) fn new(info: TaskInfo, terms: Terms) -> Self {
        Self {
            info,
            terms,
            started_at: None,
            phase: if terms.resident { Phase::Idle } else { Phase::Starting },
            resident: None,
            updates: Vec::new(),
            known_to_agent: false,
        }
    }

    /// Its code begins to run.
    pub(super) fn began(&mut self, at: Timestamp) {
        match &mut self.resident {
            Some(resident) => resident.started(at),
            None => self.started_at = Some(at),
        }
    }

    /// Adds an update. An end replaces what was not yet given to any connection: nobody needs to
    /// hear that a task runs which is over. But what has a label says more than the state: the word
    /// that a task does not end goes out before its end, for its executor ends all the same. And a
    /// foreign framework may count on each state.
    pub(super) fn tell(&mut self, update: Update) {
        if update.state.is_terminal() && !self.terms.foreign {
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

    /// Whether a process that is at its end need not wait for it: its code should have ended and
    /// cannot be made to, or no execution goes on; and the agent knows all that there is to say.
    pub(super) fn is_given_up(&self) -> bool {
        let forced = matches!(self.phase, Phase::Ending { force_at: None, .. });
        let waits_for_nothing = (self.terms.in_process && forced) || self.phase == Phase::Idle;
        waits_for_nothing && self.updates.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::from_millis(100);
    const SOON: Mono = Mono::from_millis(150);
    const LATER: Mono = Mono::from_millis(900);

    const TERMS: Terms = Terms {
        in_process: false,
        resident: false,
        timeout: Duration::from_millis(30),
        grace: Duration::from_millis(5),
        foreign: false,
    };

    fn kill(force_at: Mono) -> Signal {
        Signal::Stop { cause: Cause::Killed, force_at }
    }

    #[test]
    fn every_pair_of_phase_and_signal() {
        use {Cause::*, Phase::*, Signal::*};
        let running = Running { until: Some(SOON) };
        let ending = Ending { cause: Killed, force_at: Some(SOON), stays: false };
        let forced = Ending { cause: TimedOut, force_at: None, stays: false };
        let until = Some(Mono::from_millis(130));
        let force_at = Some(Mono::from_millis(105));
        let sooner = Ending { cause: Killed, force_at: Some(NOW), stays: false };
        let force_killed = Ending { cause: Killed, force_at: None, stays: false };
        let timed_out = Ending { cause: TimedOut, force_at, stays: false };
        for (phase, signal, next, act) in [
            (Starting, Started, Running { until }, Some(Act::TellRunning)),
            (Starting, kill(SOON), ending, Some(Act::Cancel)),
            (Starting, Alarm, Starting, None),
            (Starting, Begin, Starting, None),
            (Starting, Ended, Over, Some(Act::TellEnd(None))),
            (running, Started, running, None),
            (running, kill(SOON), ending, Some(Act::Cancel)),
            (running, Alarm, timed_out, Some(Act::Cancel)),
            (running, Begin, running, None),
            (running, Ended, Over, Some(Act::TellEnd(None))),
            (ending, Started, ending, None),
            (ending, kill(LATER), ending, None),
            (ending, kill(NOW), sooner, None),
            (ending, Alarm, force_killed, Some(Act::Force(Killed))),
            (ending, Begin, ending, None),
            (ending, Ended, Over, Some(Act::TellEnd(Some(Killed)))),
            (forced, Started, forced, None),
            (forced, kill(NOW), forced, None),
            (forced, Alarm, forced, None),
            (forced, Begin, forced, None),
            (forced, Ended, Over, Some(Act::TellEnd(Some(TimedOut)))),
            (Over, Started, Over, None),
            (Over, kill(NOW), Over, None),
            (Over, Alarm, Over, None),
            (Over, Begin, Over, None),
            (Over, Ended, Over, None),
        ] {
            assert_eq!(phase.after(signal, NOW, &TERMS), (next, act), "{phase:?} {signal:?}");
        }
    }

    #[test]
    fn every_pair_of_a_resident_task() {
        use {Cause::*, Phase::*, Signal::*};
        let terms = Terms { resident: true, ..TERMS };
        let running = Running { until: Some(SOON) };
        let timed_out = |force_at, stays| Ending { cause: TimedOut, force_at, stays };
        let killed = |force_at| Ending { cause: Killed, force_at, stays: false };
        let (until, soon) = (Some(Mono::from_millis(130)), Some(SOON));
        let force_at = Some(Mono::from_millis(105));
        for (phase, signal, next, act) in [
            (Idle, Begin, Starting, None),
            (Idle, kill(SOON), Over, Some(Act::TellEnd(Some(Killed)))),
            (Idle, Started, Idle, None),
            (Idle, Alarm, Idle, None),
            (Idle, Ended, Idle, None),
            (Starting, Started, Running { until }, Some(Act::TellRunning)),
            (Starting, kill(SOON), killed(soon), Some(Act::Cancel)),
            (Starting, Begin, Starting, None),
            (Starting, Ended, Idle, Some(Act::TellExecution(None))),
            (running, kill(SOON), killed(soon), Some(Act::Cancel)),
            (running, Alarm, timed_out(force_at, true), Some(Act::Cancel)),
            (running, Begin, running, None),
            (running, Ended, Idle, Some(Act::TellExecution(None))),
            // A time-out ends an execution; a kill that comes meanwhile ends the task with it.
            (timed_out(soon, true), Ended, Idle, Some(Act::TellExecution(Some(TimedOut)))),
            (timed_out(soon, true), Alarm, timed_out(None, true), Some(Act::Force(TimedOut))),
            (timed_out(None, true), Ended, Idle, Some(Act::TellExecution(Some(TimedOut)))),
            (timed_out(None, true), Alarm, timed_out(None, true), None),
            (timed_out(soon, true), kill(NOW), timed_out(Some(NOW), false), None),
            (timed_out(None, true), kill(NOW), timed_out(None, false), None),
            (timed_out(None, true), Begin, timed_out(None, true), None),
            (timed_out(soon, false), Ended, Over, Some(Act::TellEnd(Some(TimedOut)))),
            (killed(soon), Ended, Over, Some(Act::TellEnd(Some(Killed)))),
            (killed(soon), Begin, killed(soon), None),
        ] {
            assert_eq!(phase.after(signal, NOW, &terms), (next, act), "{phase:?} {signal:?}");
        }
    }

    #[test]
    fn without_a_time_out_there_is_no_alarm() {
        let terms = Terms { timeout: Duration::ZERO, ..TERMS };
        let (phase, _) = Phase::Starting.after(Signal::Started, NOW, &terms);
        assert_eq!(phase.alarm(), None);
    }
}
