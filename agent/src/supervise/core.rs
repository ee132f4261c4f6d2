//! The pure core of a supervisor: when its executor is told to end, and when it is made to.

use std::{fmt, time::Duration};

use muster_api::{Mono, limits};
use serde::{Deserialize, Serialize};

/// How an executor ended; what the file `exit` in its folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The raw wait status of its process; -1 when it is not known.
    pub status: i32,
    /// What brought the end about.
    pub why: Why,
    /// More about it, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The last of what it wrote. The agent reads it from the sandbox, so no file holds it twice.
    #[serde(skip)]
    pub output: Option<String>,
}

/// What brought the end of an executor about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its process ended by itself, or something else killed it.
    Exited,
    /// Its lease ended.
    Deadline,
    /// The agent wanted it.
    Ended,
    /// Its supervisor is gone without having said anything.
    Lost,
    /// Its process could not be started.
    Unstartable,
    /// Nothing of it was ever started.
    NeverStarted,
}

impl Exit {
    /// An end of which no wait status is known.
    pub fn unknown(why: Why) -> Self {
        Self { status: -1, why, message: String::new(), output: None }
    }

    /// How it ended, as the end of a sentence.
    pub fn describe(&self) -> String {
        let how = match self.why {
            Why::Exited => Status(self.status).to_string(),
            Why::Deadline => format!("{} at the end of its lease", Status(self.status)),
            Why::Ended => format!("{} when it was told to end", Status(self.status)),
            Why::Lost => "ended with its supervisor".to_owned(),
            Why::Unstartable => "could not be started".to_owned(),
            Why::NeverStarted => "was not started".to_owned(),
        };
        if self.message.is_empty() { how } else { format!("{how}: {}", self.message) }
    }
}

/// A raw wait status, in words.
struct Status(i32);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The encoding of wait(2) on Linux: a signal in the low seven bits, else a code above.
        match (self.0, self.0 & 0x7f) {
            (-1, _) => f.write_str("ended in an unknown way"),
            (status, 0) => write!(f, "exited with status {}", (status >> 8) & 0xff),
            (_, signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

/// What can happen to a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The agent moves the end of the lease.
    Deadline {
        /// To this instant.
        at: Mono,
        /// When it said so; it may be heard much later.
        said: Mono,
    },
    /// The agent wants the executor to end.
    End {
        /// From SIGTERM to SIGKILL.
        grace: Duration,
    },
    /// The executor's process has ended with this raw wait status; descendants may live.
    Ended {
        /// The status.
        status: i32,
    },
    /// No descendant is left.
    AllGone,
    /// The instant that [`Supervisor::next_wakeup`] named has come.
    Tick,
}

/// What a supervisor decides to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send SIGTERM to the executor's process group.
    Terminate,
    /// Send SIGKILL to every descendant, until none is left.
    KillAll,
    /// Write the exit file, tell the agent, and end.
    Report(Exit),
}

/// The pure core of a supervisor.
#[derive(Debug)]
pub struct Supervisor {
    deadline: Option<Mono>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The executor may run.
    Running,
    /// It was told to end.
    Terminating { kill_at: Mono, why: Why },
    /// Everything under the supervisor is being killed.
    Killing { status: Option<i32>, why: Why },
    /// Nothing is left.
    Over,
}

impl Supervisor {
    /// The supervisor of an executor whose lease ends at `deadline`; `None` is never.
    pub fn new(deadline: Option<Mono>) -> Self {
        Self { deadline, phase: Phase::Running }
    }

    /// Handles one event; says what to do, if anything.
    pub fn step(&mut self, now: Mono, event: &Event) -> Option<Effect> {
        match event {
            Event::Deadline { at, said } => {
                self.extend(*at, *said);
                None
            }
            Event::End { grace } => self.end(now, *grace, Why::Ended),
            Event::Ended { status } => self.ended(*status),
            Event::AllGone => self.all_gone(),
            Event::Tick => self.tick(now),
        }
    }

    /// When a [`Event::Tick`] is due.
    pub fn next_wakeup(&self) -> Option<Mono> {
        match self.phase {
            Phase::Running => self.deadline,
            Phase::Terminating { kill_at, .. } => Some(self.no_later_than_lease(kill_at)),
            Phase::Killing { .. } | Phase::Over => None,
        }
    }

    /// Whether the executor's end has been reported.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Without a lease there is nothing to extend, and a lease never shrinks. One that had ended
    /// when the agent spoke is over for good: others count on that. What was said in time and is
    /// heard late, because this process was frozen, is good.
    fn extend(&mut self, at: Mono, said: Mono) {
        if let Some(deadline) = self.deadline.as_mut().filter(|deadline| **deadline > said) {
            *deadline = at.max(*deadline);
        }
    }

    fn end(&mut self, now: Mono, grace: Duration, why: Why) -> Option<Effect> {
        let kill_at = now + grace;
        match &mut self.phase {
            Phase::Running if grace.is_zero() => {
                self.phase = Phase::Killing { status: None, why };
                Some(Effect::KillAll)
            }
            Phase::Running => {
                self.phase = Phase::Terminating { kill_at, why };
                Some(Effect::Terminate)
            }
            // A later order can only shorten the grace.
            Phase::Terminating { kill_at: former, .. } => {
                *former = kill_at.min(*former);
                self.tick(now)
            }
            Phase::Killing { .. } | Phase::Over => None,
        }
    }

    /// Whatever grace the agent gave: the lease has the last word.
    fn no_later_than_lease(&self, kill_at: Mono) -> Mono {
        self.deadline.map_or(kill_at, |deadline| kill_at.min(deadline + limits::LEASE_KILL))
    }

    fn ended(&mut self, status: i32) -> Option<Effect> {
        let why = match &mut self.phase {
            Phase::Running => Why::Exited,
            Phase::Terminating { why, .. } => *why,
            Phase::Killing { status: known, .. } => {
                *known = Some(status);
                return None;
            }
            Phase::Over => return None,
        };
        self.phase = Phase::Killing { status: Some(status), why };
        Some(Effect::KillAll)
    }

    fn all_gone(&mut self) -> Option<Effect> {
        let Phase::Killing { status, why } = self.phase else { return None };
        self.phase = Phase::Over;
        let status = status.unwrap_or(-1);
        Some(Effect::Report(Exit { status, ..Exit::unknown(why) }))
    }

    fn tick(&mut self, now: Mono) -> Option<Effect> {
        match self.phase {
            Phase::Running if self.deadline.is_some_and(|deadline| deadline <= now) => {
                self.end(now, limits::LEASE_KILL, Why::Deadline)
            }
            Phase::Terminating { kill_at, why } if self.no_later_than_lease(kill_at) <= now => {
                self.phase = Phase::Killing { status: None, why };
                Some(Effect::KillAll)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Mono {
        Mono::from_millis(seconds * 1000)
    }

    const fn deadline(seconds: u64, said: u64) -> Event {
        Event::Deadline { at: at(seconds), said: at(said) }
    }

    #[test]
    fn a_lease_only_grows_and_its_end_terminates_then_kills() {
        let mut core = Supervisor::new(Some(at(10)));
        assert_eq!(core.step(at(1), &deadline(20, 1)), None);
        assert_eq!(core.step(at(2), &deadline(15, 2)), None);
        assert_eq!(core.next_wakeup(), Some(at(20)));
        assert_eq!(core.step(at(19), &Event::Tick), None);
        assert_eq!(core.step(at(20), &Event::Tick), Some(Effect::Terminate));
        // It has been told to end; an answer that comes now is too late.
        core.step(at(21), &deadline(60, 21));
        assert_eq!(core.next_wakeup(), Some(at(25)));
        assert_eq!(core.step(at(25), &Event::Tick), Some(Effect::KillAll));
        core.step(at(25), &Event::Ended { status: 9 });
        let exit = Exit { status: 9, ..Exit::unknown(Why::Deadline) };
        assert_eq!(core.step(at(25), &Event::AllGone), Some(Effect::Report(exit)));
        assert!(core.is_over());
    }

    /// A supervisor that was frozen finds the end of its lease, and all that its agent has said
    /// meanwhile, at one moment.
    #[test]
    fn a_frozen_supervisor_takes_what_was_said_in_time() {
        let mut core = Supervisor::new(Some(at(10)));
        for event in [deadline(20, 5), deadline(35, 19), deadline(50, 34)] {
            assert_eq!(core.step(at(40), &event), None);
        }
        assert_eq!(core.step(at(40), &Event::Tick), None);
        assert_eq!(core.next_wakeup(), Some(at(50)));
        // Its agent was frozen too.
        assert_eq!(core.step(at(90), &deadline(105, 90)), None);
        assert_eq!(core.step(at(90), &Event::Tick), Some(Effect::Terminate));
        assert_eq!(core.step(at(90), &Event::Tick), Some(Effect::KillAll));
    }

    #[test]
    fn no_grace_outlives_the_lease() {
        let mut core = Supervisor::new(Some(at(10)));
        let end = Event::End { grace: Duration::from_secs(600) };
        assert_eq!(core.step(at(1), &end), Some(Effect::Terminate));
        assert_eq!(core.next_wakeup(), Some(at(15)));
        assert_eq!(core.step(at(15), &Event::Tick), Some(Effect::KillAll));
    }

    #[test]
    fn a_second_order_can_only_shorten_the_grace() {
        let mut core = Supervisor::new(None);
        let end = |seconds| Event::End { grace: Duration::from_secs(seconds) };
        assert_eq!(core.step(at(0), &end(60)), Some(Effect::Terminate));
        assert_eq!(core.step(at(1), &end(600)), None);
        assert_eq!(core.next_wakeup(), Some(at(60)));
        assert_eq!(core.step(at(2), &end(0)), Some(Effect::KillAll));
    }

    #[test]
    fn without_a_lease_no_deadline_is_taken() {
        let mut core = Supervisor::new(None);
        core.step(at(1), &deadline(2, 1));
        assert_eq!(core.next_wakeup(), None);
        assert_eq!(core.step(at(9), &Event::Tick), None);
    }

    #[test]
    fn ends_are_said_in_words() {
        for (status, why, words) in [
            (3 << 8, Why::Exited, "exited with status 3"),
            (9, Why::Exited, "was ended by signal 9"),
            (0x80 | 11, Why::Exited, "was ended by signal 11"),
            (15, Why::Deadline, "was ended by signal 15 at the end of its lease"),
            (-1, Why::Lost, "ended with its supervisor"),
        ] {
            assert_eq!(Exit { status, ..Exit::unknown(why) }.describe(), words);
        }
    }
}
