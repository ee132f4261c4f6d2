//! How long to wait before the next try.

use std::time::Duration;

use muster_api::{IdStream, limits};

/// Waits that double from one try to the next, each of a random length between half of that and
/// all of it, so that the frameworks of a master that comes back do not come all at once.
#[derive(Debug)]
pub(super) struct Pace {
    tries: u32,
    random: IdStream,
}

impl Pace {
    pub(super) fn new(seed: u64) -> Self {
        Self { tries: 0, random: IdStream::new(seed, 7) }
    }

    /// Begins anew, for it went well for a while.
    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let doubled = limits::MESOS_RETRY_FIRST.saturating_mul(1 << self.tries.min(16));
        self.tries = self.tries.saturating_add(1);
        self.within(doubled.min(limits::MESOS_RETRY_MAX))
    }

    /// The longest wait: nothing will be better soon.
    pub(super) fn longest(&mut self) -> Duration {
        self.within(limits::MESOS_RETRY_MAX)
    }

    fn within(&mut self, most: Duration) -> Duration {
        let half = u64::try_from(most.as_millis() / 2).unwrap_or(u64::MAX);
        Duration::from_millis(half + self.random.bits() % (half + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_not_all_alike() {
        let mut pace = Pace::new(1);
        let mut most = limits::MESOS_RETRY_FIRST;
        for _ in 0..40 {
            let wait = pace.next();
            assert!(most / 2 <= wait && wait <= most, "{wait:?} of {most:?}");
            most = (most * 2).min(limits::MESOS_RETRY_MAX);
        }
        let longest: Vec<_> = (0..10).map(|_| pace.longest()).collect();
        assert!(longest.iter().any(|wait| *wait != longest[0]));
        pace.reset();
        assert!(pace.next() <= limits::MESOS_RETRY_FIRST);
    }
}
