//! Whether somebody sets the wall clock, which schedules follow.

use std::time::Duration;

use muster_api::{
    Mono, Now, Timestamp,
    events::{EventKind, EventSource, TraceEvent},
    limits::CLOCK_JUMP,
};

/// A look that took longer than this says nothing: the process stood still in the middle of it.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Compares the wall clock with the clock that nobody can set.
#[derive(Debug, Default)]
pub(super) struct WallClock {
    last: Option<Now>,
}

/// That the wall clock was set, between two looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jump {
    /// By how many milliseconds; backwards if there are fewer than none.
    pub(crate) millis: i64,
}

impl WallClock {
    /// Looks at both clocks, having looked at one at `before` already.
    ///
    /// A clock that is only too fast or too slow is no jump, however far it goes: each look is
    /// compared with the one before.
    pub(super) fn look(&mut self, before: Mono, now: Now) -> Option<Jump> {
        if now.mono.since(before) > LOOK_MAX {
            return None;
        }
        let last = self.last.replace(now)?;
        let passed = i64::try_from(now.mono.since(last.mono).as_millis()).unwrap_or(i64::MAX);
        let shown = now.wall.as_millis().saturating_sub(last.wall.as_millis());
        let millis = shown.saturating_sub(passed);
        (u128::from(millis.unsigned_abs()) > CLOCK_JUMP.as_millis()).then_some(Jump { millis })
    }
}

impl Jump {
    /// Whether it was set to an earlier time.
    pub(crate) fn is_back(self) -> bool {
        self.millis < 0
    }

    /// As an event.
    pub(super) fn event(self, at: Timestamp) -> TraceEvent {
        let (state, way) = match self.is_back() {
            true => ("clock_set_back", "back"),
            false => ("clock_set_forward", "forward"),
        };
        let mut event = TraceEvent::new(at, EventKind::Scheduler, state, EventSource::Scheduler);
        let seconds = self.millis.unsigned_abs() / 1000;
        event.message = Some(format!("the wall clock was set {way} by {seconds} s"));
        event
    }

    /// Tells whoever reads the log.
    pub(super) fn log(self) {
        let seconds = self.millis / 1000;
        if self.is_back() {
            tracing::warn!(seconds, "the wall clock was set back: no schedule fires meanwhile");
        } else {
            tracing::warn!(seconds, "the wall clock was set forward: what is missed is a misfire");
        }
    }
}

/// That the scheduler has started, held or not.
pub(super) fn started(at: Timestamp, held: Option<Timestamp>) -> TraceEvent {
    let state = if held.is_some() { "started_held" } else { "started" };
    let mut event = TraceEvent::new(at, EventKind::Scheduler, state, EventSource::Scheduler);
    event.message = Some(match held {
        None => format!("version {}", env!("CARGO_PKG_VERSION")),
        Some(since) => format!("restored at {since} and held until it is resumed"),
    });
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen of a wall clock that shows these milliseconds after so many have passed.
    fn jumps(looks: &[(u64, i64)]) -> Vec<i64> {
        let mut clock = WallClock::default();
        let looks = looks.iter().map(|(passed, shown)| {
            let mono = Mono::from_millis(*passed);
            (mono, Now { wall: Timestamp::from_millis(*shown), mono })
        });
        looks.filter_map(|(mono, now)| clock.look(mono, now)).map(|jump| jump.millis).collect()
    }

    #[test]
    fn a_clock_that_is_set_is_seen_and_one_that_drifts_is_none() {
        let hour = 3_600_000;
        let none = Vec::<i64>::new();
        assert_eq!(jumps(&[(0, 7), (1000, 1007), (90_000, 90_007)]), none);
        assert_eq!(jumps(&[(0, 0), (1000, 6000), (2000, 2000)]), none, "5 s are not over 5 s");
        assert_eq!(jumps(&[(0, 0), (1000, 6001), (2000, 7001)]), [5001]);
        assert_eq!(jumps(&[(0, hour), (1000, 1000), (2000, 2000)]), [-hour]);
        // It stood still for a minute, and both clocks went on.
        assert_eq!(jumps(&[(0, 0), (60_000, 60_000), (61_000, 61_000)]), none);
        // One that loses a second each second.
        assert_eq!(jumps(&[(0, 0), (4000, 0), (8000, 0), (12_000, 0)]), none);
        assert_eq!(jumps(&[(0, i64::MIN), (1, i64::MAX), (2, i64::MIN)]).len(), 2);
    }

    #[test]
    fn what_was_frozen_in_the_middle_of_a_look_has_seen_nothing() {
        let mut clock = WallClock::default();
        let now =
            |mono, wall| Now { mono: Mono::from_millis(mono), wall: Timestamp::from_millis(wall) };
        assert_eq!(clock.look(Mono::from_millis(0), now(0, 0)), None);
        // The wall clock was read before the freeze, the other one after it.
        assert_eq!(clock.look(Mono::from_millis(1000), now(61_000, 1000)), None);
        assert_eq!(clock.look(Mono::from_millis(61_000), now(61_000, 61_000)), None);
    }
}
