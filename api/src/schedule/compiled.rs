//! A schedule that can be asked for its instants.

use jiff::tz::TimeZone;

use super::{
    InvalidSchedule, Remark, expression, jitter, rule::CronRule, zone, zoned_cron::ZonedCron,
};
use crate::{Span, Timestamp, spec::ScheduleSpec};

/// The shortest period of a schedule. Cron cannot say less, and an instant of the ledger is worth
/// less the closer its neighbours are.
pub const PERIOD_MIN: Span = Span::from_secs(1);

/// The last instant that a schedule reckons with: 9999-12-31T00:00:00Z, the last day that RFC 3339
/// can write.
const LAST_INSTANT: Timestamp = Timestamp::from_millis(253_402_214_400_000);

/// One millisecond: what makes an inclusive bound out of an exclusive one.
const MILLISECOND: std::time::Duration = std::time::Duration::from_millis(1);

/// A schedule that can be asked for its instants.
///
/// All questions are about instants in milliseconds; cron fires on whole seconds. Instants are
/// nominal: jitter is not in them, see [`jitter_offset`](super::jitter_offset).
///
/// Making one takes some microseconds and each question about one, so that nobody need keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Cron(Box<ZonedCron>),
    Every { anchor: Timestamp, period: Span },
    At(Timestamp),
}

impl Schedule {
    /// The schedule that `spec` describes, stored at `created`.
    ///
    /// Finds what makes it no schedule at all; [`Schedule::check`] finds everything.
    pub fn compile(spec: &ScheduleSpec, created: Timestamp) -> Result<Self, InvalidSchedule> {
        match (&spec.cron, spec.every, spec.at) {
            (Some(text), None, None) => {
                let (rule, zone) = (expression::read(text)?, read_zone(spec)?);
                Ok(Self::cron(rule, zone, spec))
            }
            (None, Some(period), None) if period < PERIOD_MIN => {
                Err(InvalidSchedule::TooOften { period })
            }
            (None, Some(period), None) => {
                Ok(Self(Kind::Every { anchor: spec.from.unwrap_or(created), period }))
            }
            (None, None, Some(at)) => Ok(Self(Kind::At(at))),
            _ => Err(InvalidSchedule::NotOne),
        }
    }

    /// Everything that is wrong with `spec`; nothing when it can be accepted.
    pub fn check(spec: &ScheduleSpec) -> Vec<InvalidSchedule> {
        let mut faults = Vec::new();
        let ways = [spec.cron.is_some(), spec.every.is_some(), spec.at.is_some()];
        let one_way = ways.into_iter().filter(|used| *used).count() == 1;
        if !one_way {
            faults.push(InvalidSchedule::NotOne);
        } else if spec.from.is_some() && spec.every.is_none() {
            faults.push(InvalidSchedule::FromWithoutEvery);
        }
        if one_way && spec.cron.is_none() {
            let local = [
                ("time_zone", spec.time_zone.is_some()),
                ("gap", spec.gap.is_some()),
                ("overlap", spec.overlap.is_some()),
            ];
            let given = local.into_iter().filter(|(_, given)| *given);
            faults.extend(given.map(|(field, _)| InvalidSchedule::LocalWithoutCron(field)));
        }
        let zone = read_zone(spec).map_err(|error| faults.push(error)).ok();
        let rule = spec.cron.as_deref().map(expression::read).transpose();
        let rule = rule.map_err(|error| faults.push(error.into())).ok();
        if let Some(period) = spec.every.filter(|period| *period < PERIOD_MIN) {
            faults.push(InvalidSchedule::TooOften { period });
        }
        if faults.is_empty() {
            // Without a cron expression the zone does not matter, and it is not given.
            let schedule = match (rule.flatten(), zone) {
                (Some(rule), Some(zone)) => Ok(Self::cron(rule, zone, spec)),
                _ => Self::compile(spec, Timestamp::default()),
            };
            let checked = schedule.and_then(|schedule| schedule.check_instants(spec));
            faults.extend(checked.err());
        }
        faults
    }

    fn cron(rule: CronRule, zone: TimeZone, spec: &ScheduleSpec) -> Self {
        let (gap, overlap) = (spec.gap.unwrap_or_default(), spec.overlap.unwrap_or_default());
        Self(Kind::Cron(Box::new(ZonedCron::new(rule, zone, gap, overlap))))
    }

    fn check_instants(&self, spec: &ScheduleSpec) -> Result<(), InvalidSchedule> {
        if let (Kind::Cron(cron), Some(text)) = (&self.0, &spec.cron)
            && cron.first_from(zone::FIRST).is_none()
        {
            return Err(InvalidSchedule::NeverFires { text: text.to_string() });
        }
        jitter::check(spec.jitter, self)
    }

    /// The first instant after `after`; `None` when there is none any more.
    ///
    /// A period has its anchor as first instant, and none before.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let next = match &self.0 {
            Kind::Cron(cron) => {
                let from = after.as_millis().div_euclid(1_000).checked_add(1)?;
                cron.first_from(from).map(from_second)
            }
            Kind::Every { anchor, .. } if after < *anchor => Some(*anchor),
            Kind::Every { anchor, period } => {
                let (anchor, period) = (anchor.as_millis(), period_millis(*period)?);
                let periods = after.as_millis().checked_sub(anchor)? / period + 1;
                periods.checked_mul(period)?.checked_add(anchor).map(Timestamp::from_millis)
            }
            Kind::At(at) => Some(*at).filter(|at| *at > after),
        };
        next.filter(|next| *next <= LAST_INSTANT)
    }

    /// The last instant before `before`; `None` when there is none.
    pub fn previous(&self, before: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Cron(cron) => {
                let upto = before.as_millis().checked_sub(1)?.div_euclid(1_000);
                cron.last_upto(upto).map(from_second)
            }
            Kind::Every { anchor, .. } if before <= *anchor => None,
            Kind::Every { anchor, period } => {
                let (anchor, before) = (anchor.as_millis(), before.as_millis());
                let Some(period) = period_millis(*period) else {
                    return Some(Timestamp::from_millis(anchor));
                };
                let periods = before.checked_sub(anchor)?.checked_sub(1)? / period;
                Some(Timestamp::from_millis(anchor + periods * period))
            }
            Kind::At(at) => Some(*at).filter(|at| *at < before),
        }
    }

    /// The newest `limit` instants after `first_exclusive` and not after `last_inclusive`, in
    /// ascending order. Costs as much as it returns, however far the ends lie apart.
    pub fn between(
        &self,
        first_exclusive: Timestamp,
        last_inclusive: Timestamp,
        limit: usize,
    ) -> Vec<Timestamp> {
        let mut before = last_inclusive + MILLISECOND;
        let newest_first = std::iter::from_fn(|| {
            before = self.previous(before).filter(|instant| *instant > first_exclusive)?;
            Some(before)
        });
        let mut instants: Vec<_> = newest_first.take(limit).collect();
        instants.reverse();
        instants
    }

    /// What is odd about one of its instants, because the clocks of its time zone are set there.
    pub fn remark(&self, instant: Timestamp) -> Option<Remark> {
        match &self.0 {
            Kind::Cron(cron) => Remark::about(cron, instant.as_millis().div_euclid(1_000)),
            Kind::Every { .. } | Kind::At(_) => None,
        }
    }

    /// An instant in the time zone of the schedule, in RFC 3339 with the name of the zone
    /// (RFC 9557), as in `2026-03-29T03:00:00+02:00[Europe/Berlin]`; `None` for schedules without
    /// local times.
    pub fn local(&self, instant: Timestamp) -> Option<String> {
        let Kind::Cron(cron) = &self.0 else { return None };
        let instant = jiff::Timestamp::from_millisecond(instant.as_millis()).ok()?;
        Some(instant.to_zoned(cron.zone().clone()).to_string())
    }

    /// The least distance of two of its instants; `None` when it has less than two. Of cron it is
    /// that of local times.
    pub(super) fn least_distance(&self) -> Option<Span> {
        match &self.0 {
            Kind::Cron(cron) => {
                let seconds = u64::try_from(cron.rule().least_distance()?);
                Some(Span::from_secs(seconds.expect("later local times are greater")))
            }
            Kind::Every { period, .. } => Some(*period),
            Kind::At(_) => None,
        }
    }
}

/// The zone that a schedule names; UTC when it names none.
fn read_zone(spec: &ScheduleSpec) -> Result<TimeZone, InvalidSchedule> {
    spec.time_zone.as_deref().map_or(Ok(TimeZone::UTC), |name| Ok(zone::find(name)?))
}

fn from_second(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

/// A period as a signed number; `None` when it is longer than time itself.
fn period_millis(period: Span) -> Option<i64> {
    i64::try_from(period.as_millis()).ok()
}
