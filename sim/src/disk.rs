//! The disk under a process: it may be slow for a while, or full, or fail once.

use crate::stage::Stage;

/// The longest that one write takes on a slow disk, in milliseconds.
const SLOWEST: u64 = 20_000;

/// A disk, as those see it who write to it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    slow_until: u64,
    full_until: u64,
    fails_once: bool,
}

impl Disk {
    /// Writes take long, up to an instant of the world.
    pub(crate) fn slow_down(&mut self, until: u64) {
        self.slow_until = until;
    }

    /// Writes fail, up to an instant of the world.
    pub(crate) fn fill(&mut self, until: u64) {
        self.full_until = until;
    }

    /// The next write fails, and those after it do not.
    pub(crate) fn fail_once(&mut self) -> bool {
        !std::mem::replace(&mut self.fails_once, true)
    }

    /// Whether the write that is being done fails.
    pub(crate) fn fails(&mut self, stage: &Stage) -> bool {
        std::mem::take(&mut self.fails_once) || self.is_full(stage)
    }

    /// Whether there is no room now.
    pub(crate) fn is_full(&self, stage: &Stage) -> bool {
        stage.time() < self.full_until
    }

    /// How much longer than at other times a write takes, if the disk is slow now.
    pub(crate) fn delay(&self, stage: &mut Stage) -> Option<u64> {
        if stage.time() >= self.slow_until {
            return None;
        }
        let most = if stage.percent(90) { 2_000 } else { SLOWEST };
        Some(stage.between(50, most))
    }
}
