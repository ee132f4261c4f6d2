//! The instants of a schedule, reckoned apart from the engine's calendar: the worlds have schedules
//! whose instants are `anchor + n * period`, or one.

use muster_api::{Timestamp, spec::ScheduleSpec};

/// The instants of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Each so many milliseconds, counted from an instant.
    Every { anchor: i64, period: i64 },
    /// One.
    Once(i64),
}

impl Plan {
    pub(super) fn of(schedule: &ScheduleSpec, created_at: Timestamp) -> Option<Self> {
        if let Some(at) = schedule.at {
            return Some(Self::Once(at.as_millis()));
        }
        if let Some(every) = schedule.every {
            let anchor = schedule.from.unwrap_or(created_at).as_millis();
            return Some(Self::Every { anchor, period: i64::try_from(every.as_millis()).ok()? });
        }
        // Each so many seconds of a minute: `0/15 * * * * ?`.
        let seconds = schedule.cron.as_deref()?.strip_prefix("0/")?.strip_suffix(" * * * * ?")?;
        Some(Self::Every { anchor: 0, period: seconds.parse::<i64>().ok()? * 1_000 })
    }

    /// The first instant after one.
    pub(super) fn after(self, at: Timestamp) -> Option<Timestamp> {
        let at = at.as_millis();
        let next = match self {
            Self::Once(once) => (once > at).then_some(once),
            // Nothing is planned before the anchor.
            Self::Every { anchor, .. } if at < anchor => Some(anchor),
            Self::Every { anchor, period } => {
                Some(anchor + ((at - anchor).div_euclid(period) + 1) * period)
            }
        };
        next.map(Timestamp::from_millis)
    }

    /// How many instants there are after one, up to another.
    pub(super) fn count(self, after: Timestamp, until: Timestamp) -> u64 {
        let of = |at: i64| match self {
            Self::Once(once) => i64::from(once <= at),
            Self::Every { anchor, .. } if at < anchor => 0,
            Self::Every { anchor, period } => (at - anchor).div_euclid(period) + 1,
        };
        u64::try_from(of(until.as_millis()) - of(after.as_millis())).unwrap_or(0)
    }

    /// Whether an instant is one of them.
    pub(super) fn holds(self, at: Timestamp) -> bool {
        self.after(Timestamp::from_millis(at.as_millis() - 1)) == Some(at)
    }
}
