//! How long a world may take to come to rest once its faults are over.
//!
//! Work that goes on is no fault: many shards that each need an executor of their own may take an
//! hour, one after another. So a world has time for as long as tasks and runs still come to their
//! ends, and in all for as much as its shards can need. One in which nothing ends is stuck.

/// How long nothing may end. Longer than any wait: the longest is that for the next reconciliation.
const QUIET: u64 = 25 * 60_000;
/// How long it may take in all, before what its shards need.
const CONVERGENCE: u64 = 45 * 60_000;
/// What one shard can need, with every try that its job allows.
const SHARD: u64 = 2 * 60_000;

/// How long it may still take.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// How much had come to its end when somebody looked last.
    ended: u64,
    /// When something came to its end last.
    ended_at: u64,
    /// When everything must have.
    until: u64,
}

impl Patience {
    /// From now on everything comes to rest, with so many shards that are not over.
    pub(super) fn begin(&mut self, time: u64, shards: u64) {
        self.ended_at = time;
        self.until = self.until.max(time + CONVERGENCE + shards * SHARD);
    }

    /// Whether it has taken too long, when so much has come to its end in all.
    pub(super) fn is_over(&mut self, time: u64, ended: u64) -> bool {
        if ended > self.ended {
            (self.ended, self.ended_at) = (ended, time);
        }
        time > self.until || time > self.ended_at + QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_has_time_and_what_is_stuck_has_not() {
        let mut patience = Patience::default();
        patience.begin(1_000, 10);
        assert!(!patience.is_over(1_000 + QUIET, 0), "it may begin late");
        assert!(patience.is_over(1_001 + QUIET, 0), "nothing ends");
        let mut patience = Patience::default();
        patience.begin(1_000, 10);
        let ends = (1..).map(|n| (1_000 + n * QUIET / 2, n));
        let last = ends.take_while(|(time, n)| !patience.is_over(*time, *n)).last();
        let (time, _) = last.expect("it has time");
        assert!(time > CONVERGENCE, "it goes on, and so it may");
        assert!(time <= 1_000 + CONVERGENCE + 10 * SHARD, "it goes on for ever");
    }
}
