//! The two clocks of one host.

use muster_api::{Mono, Now, Timestamp};

use crate::stage::Stage;

/// When the world begins, on wall clocks that are right: 2026-01-01T00:00:00Z.
const WORLD_BEGINS: i64 = 1_767_225_600_000;
/// By how much a clock that counts may gain or lose, in millionths: more than real ones do, and
/// far less than leases allow for.
const DRIFT_MAX: i64 = 500;
/// How far a wall clock is behind at most, in milliseconds: two hours.
const BEHIND_MAX: u64 = 2 * 3_600_000;
/// How far it is ahead at most. Less than a day together, so that idempotency keys stay known.
const AHEAD_MAX: u64 = 20 * 3_600_000;

/// The clocks of one host. Hosts were booted at different times, and the one that counts is a
/// little wrong on each, so that nothing works by comparing the clocks of two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    up_before: u64,
    drift: i64,
    /// By how much the wall clock is wrong.
    wrong: i64,
}

impl Clock {
    /// The clock of a host that was booted some time before the world began.
    pub(crate) fn new(stage: &mut Stage) -> Self {
        let drift = signed(stage.between(0, 2 * DRIFT_MAX.unsigned_abs())) - DRIFT_MAX;
        Self { up_before: stage.between(1_000, 1_000_000_000), drift, wrong: 0 }
    }

    /// The same clock, counting so many millionths faster than it should.
    pub(crate) fn hurried(self, drift: i64) -> Self {
        Self { drift, ..self }
    }

    /// The clock of the same host after another boot: the wall clock is kept by its battery.
    pub(crate) fn rebooted(self, stage: &mut Stage) -> Self {
        Self { wrong: self.wrong, ..Self::new(stage) }
    }

    /// Somebody sets the wall clock, forwards or backwards; says by how much it is wrong then.
    pub(crate) fn set_wall(&mut self, stage: &mut Stage) -> i64 {
        self.wrong = match stage.between(0, 3) {
            0 => 0,
            1 => -signed(stage.between(1, BEHIND_MAX)),
            2 => signed(stage.between(1, AHEAD_MAX)),
            _ => signed(stage.between(0, 240_000)) - 120_000,
        };
        self.wrong
    }

    /// The present.
    pub(crate) fn now(self, stage: &Stage) -> Now {
        let wall = WORLD_BEGINS + signed(stage.time()) + self.wrong;
        Now { wall: Timestamp::from_millis(wall), mono: Mono::from_millis(self.mono(stage.time())) }
    }

    fn mono(self, time: u64) -> u64 {
        let gained = signed(time).saturating_mul(self.drift).div_euclid(1_000_000);
        (self.up_before + time).saturating_add_signed(gained)
    }

    /// When it is in the world when the clock that counts first shows `at`.
    pub(crate) fn world_time(self, at: Mono) -> u64 {
        let at = at.as_millis();
        let counted = signed(at.saturating_sub(self.up_before));
        let guess = counted.saturating_mul(1_000_000) / (1_000_000 + self.drift);
        let mut time = u64::try_from(guess).unwrap_or(0);
        while self.mono(time) < at {
            time += 1;
        }
        while time > 0 && self.mono(time - 1) >= at {
            time -= 1;
        }
        time
    }

    /// When it is in the world when the wall clock shows `at`, if nobody sets it.
    pub(crate) fn world_time_of_wall(self, at: Timestamp) -> u64 {
        u64::try_from(at.as_millis() - WORLD_BEGINS - self.wrong).unwrap_or(0)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_still_rings_when_it_shows_the_time() {
        for drift in [-DRIFT_MAX, -1, 0, 1, DRIFT_MAX, 1_000_000] {
            let clock = Clock { up_before: 77, drift, wrong: -5_000 };
            for at in [0, 77, 78, 1_000, 999_999, 12_345_678] {
                let time = clock.world_time(Mono::from_millis(at));
                assert!(clock.mono(time) >= at, "{drift} {at}");
                assert!(time == 0 || clock.mono(time - 1) < at, "{drift} {at}");
            }
        }
    }
}
