//! What can be wrong with the description of a schedule.

use super::{InvalidCron, PERIOD_MIN, UnknownZone};
use crate::Span;

/// A description of a schedule that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// None or several of the ways to describe a schedule are used.
    #[error("a schedule has exactly one of `cron`, `every` and `at`")]
    NotOne,
    /// `from` stands where it means nothing.
    #[error("`from` belongs to `every`: it is what the period is counted from")]
    FromWithoutEvery,
    /// A rule about local times stands where there are none.
    #[error("`{0}` belongs to `cron`: `every` and `at` are the same in each time zone")]
    LocalWithoutCron(&'static str),
    /// The period is too short.
    #[error("`{period}` is shorter than the least period, {PERIOD_MIN}")]
    TooOften {
        /// The period.
        period: Span,
    },
    /// The cron expression is not valid.
    #[error(transparent)]
    Cron(#[from] InvalidCron),
    /// The time zone is not known.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// The cron expression is valid, and means no instant.
    #[error(
        "`{text}` never fires: no such time exists in its time zone from 1970 to 2100; `muster \
         next --cron` tries expressions"
    )]
    NeverFires {
        /// The expression.
        text: String,
    },
    /// With this jitter, a fire could come when the next one is due.
    #[error("`{jitter}` is too long: a jitter is less than what lies between two fires, {least}")]
    JitterTooLong {
        /// The jitter.
        jitter: Span,
        /// The least distance of two instants.
        least: Span,
    },
    /// One fire alone has a jitter that nobody would expect.
    #[error("`{jitter}` is too long: the jitter of one fire is at most {most}")]
    JitterOfOneTooLong {
        /// The jitter.
        jitter: Span,
        /// The longest.
        most: Span,
    },
}

impl InvalidSchedule {
    /// The field of the schedule that is at fault; empty when it is no single one.
    pub fn field(&self) -> &'static str {
        match self {
            Self::NotOne => "",
            Self::FromWithoutEvery => "from",
            Self::LocalWithoutCron(field) => field,
            Self::TooOften { .. } => "every",
            Self::Cron(_) | Self::NeverFires { .. } => "cron",
            Self::Zone(_) => "time_zone",
            Self::JitterTooLong { .. } | Self::JitterOfOneTooLong { .. } => "jitter",
        }
    }
}
