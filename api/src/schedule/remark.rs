//! What is odd about an instant of a schedule.

use std::fmt;

use jiff::civil::{Date, DateTime};

use super::{
    rule::Local,
    zone::{FIRST, LAST, Stretch},
    zoned_cron::ZonedCron,
};

/// What is odd about an instant, because the clocks of its zone are set there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remark {
    /// It stands for local times that do not exist.
    Moved(MissingTimes),
    /// It is the first instant behind local times that do not exist and are passed over.
    Passed(MissingTimes),
    /// Its local time comes again later.
    FirstPass(DateTime),
    /// Its local time has come before.
    SecondPass(DateTime),
}

/// Planned local times that do not exist, because the clocks were set forward over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingTimes {
    first: DateTime,
    last: DateTime,
    /// The local date at which they are spoken of.
    today: Date,
}

impl Remark {
    /// What is odd about `instant`, in Unix seconds.
    pub(super) fn about(cron: &ZonedCron, instant: i64) -> Option<Self> {
        if !(FIRST..=LAST).contains(&instant) {
            return None;
        }
        let stretch = Stretch::around(cron.zone(), instant);
        let local = stretch.local(instant);
        let is_first = || cron.first_from(stretch.start) == Some(instant);
        let missing = |(first, last): (Local, Local)| MissingTimes {
            first: first.date_time(),
            last: last.date_time(),
            today: local.date_time().date(),
        };
        match cron.times_in_gap_before(&stretch).map(missing) {
            Some(missing) if cron.passes_over_gaps() && is_first() => {
                return Some(Self::Passed(missing));
            }
            Some(missing) if cron.moves_gaps() && instant == stretch.start => {
                return Some(Self::Moved(missing));
            }
            _ => {}
        }
        if local < stretch.repeats_until() {
            Some(Self::SecondPass(local.date_time()))
        } else if local >= stretch.repeated_from() {
            Some(Self::FirstPass(local.date_time()))
        } else {
            None
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved(missing) => write!(f, "moved from {missing}, which does not exist"),
            Self::Passed(missing) => write!(f, "{missing} does not exist and is passed over"),
            Self::FirstPass(local) => write!(f, "{} comes twice: first pass", Clock(local)),
            Self::SecondPass(local) => write!(f, "{} comes twice: second pass", Clock(local)),
        }
    }
}

impl fmt::Display for MissingTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first.date() != self.today {
            write!(f, "{} ", self.first.date())?;
        }
        write!(f, "{}", Clock(&self.first))?;
        match self.last == self.first {
            true => Ok(()),
            false if self.last.date() == self.first.date() => {
                write!(f, "..{}", Clock(&self.last))
            }
            false => write!(f, "..{} {}", self.last.date(), Clock(&self.last)),
        }
    }
}

/// A time of day with as many parts as it needs.
struct Clock<'a>(&'a DateTime);

impl fmt::Display for Clock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())?;
        match self.0.second() {
            0 => Ok(()),
            second => write!(f, ":{second:02}"),
        }
    }
}
