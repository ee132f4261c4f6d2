//! What a cron expression says about local times, whatever the dialect it was written in.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::Offset,
};

use super::{
    days::Days,
    small_set::SmallSet,
    years::{YEARS, Years},
};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A local time: what a clock on the wall shows, in seconds, counted as if the clock were in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Local(pub(super) i64);

/// The local times that a cron expression means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CronRule {
    pub(super) seconds: SmallSet,
    pub(super) minutes: SmallSet,
    pub(super) hours: SmallSet,
    pub(super) days: Days,
    pub(super) months: SmallSet,
    pub(super) years: Years,
}

impl Local {
    /// As date and time of day.
    pub(super) fn date_time(self) -> DateTime {
        let instant = Timestamp::from_second(self.0.clamp(Self::LEAST.0, Self::GREATEST.0));
        Offset::UTC.to_datetime(instant.expect("it is within years that jiff knows"))
    }

    /// Before the first local time that a rule can mean.
    pub(super) const LEAST: Self = Self(-DAY);
    /// After the last: 2101-01-02.
    pub(super) const GREATEST: Self = Self(4_133_980_800 + DAY);

    fn at(date: Date, second_of_day: i64) -> Self {
        let midnight = date.to_datetime(Time::midnight());
        let instant = Offset::UTC.to_timestamp(midnight).expect("it is a date of a cron year");
        Self(instant.as_second() + second_of_day)
    }
}

impl CronRule {
    /// Whether it names no hours. Such a rule follows elapsed time where clocks are set.
    pub(super) fn is_every_hour(&self) -> bool {
        self.hours == SmallSet::span(0, 23)
    }

    /// Its first local time that is not before `from`.
    ///
    /// Looks at no more days than months have, and no more months than its years have.
    pub(super) fn first_from(&self, from: Local) -> Option<Local> {
        let from = from.max(Local::LEAST);
        let (date, second) = (from.date_time().date(), from.0.rem_euclid(DAY));
        let today = self.fires_on(date).then(|| self.time_from(second)).flatten();
        match today {
            Some(time) => Some(Local::at(date, time)),
            None => Some(Local::at(self.date_after(date)?, self.first_time()?)),
        }
    }

    /// Its last local time that is not after `upto`; the same bounds hold.
    pub(super) fn last_upto(&self, upto: Local) -> Option<Local> {
        let upto = upto.min(Local::GREATEST);
        let (date, second) = (upto.date_time().date(), upto.0.rem_euclid(DAY));
        let today = self.fires_on(date).then(|| self.time_upto(second)).flatten();
        match today {
            Some(time) => Some(Local::at(date, time)),
            None => Some(Local::at(self.date_before(date)?, self.last_time()?)),
        }
    }

    /// The least distance of two of its local times, in seconds; `None` when it has less than two.
    pub(super) fn least_distance(&self) -> Option<i64> {
        let first_of_minute = i64::from(self.seconds.first()?);
        let last_of_minute = i64::from(self.seconds.last()?);
        let first_of_hour = i64::from(self.minutes.first()?) * MINUTE + first_of_minute;
        let last_of_hour = i64::from(self.minutes.last()?) * MINUTE + last_of_minute;
        let apart = |set: SmallSet| set.least_distance().map(i64::from);
        let in_minute = apart(self.seconds);
        let in_hour = apart(self.minutes).map(|n| n * MINUTE + first_of_minute - last_of_minute);
        let in_day = apart(self.hours).map(|n| n * HOUR + first_of_hour - last_of_hour);
        let over_days =
            self.least_days().and_then(|n| Some(n * DAY + self.first_time()? - self.last_time()?));
        [in_minute, in_hour, in_day, over_days].into_iter().flatten().min()
    }

    fn fires_on(&self, date: Date) -> bool {
        self.years.contains(date.year())
            && self.months.contains(month_number(date))
            && self.days.of(date.year(), date.month()).contains(day_number(date))
    }

    /// The first date after `date` on which it fires.
    fn date_after(&self, date: Date) -> Option<Date> {
        let this_month = (date.year(), month_number(date));
        self.months_from(this_month).find_map(|(year, month)| {
            let days = self.days.of(year, month as i8);
            let day = match (year, month) == this_month {
                true => days.from(day_number(date) + 1),
                false => days.first(),
            };
            Date::new(year, month as i8, day? as i8).ok()
        })
    }

    /// The last date before `date` on which it fires.
    fn date_before(&self, date: Date) -> Option<Date> {
        let this_month = (date.year(), month_number(date));
        self.months_upto(this_month).find_map(|(year, month)| {
            let days = self.days.of(year, month as i8);
            let day = match (year, month) == this_month {
                true => days.upto(day_number(date) - 1),
                false => days.last(),
            };
            Date::new(year, month as i8, day? as i8).ok()
        })
    }

    /// The months in which it may fire, from `first` on.
    fn months_from(&self, first: (i16, u32)) -> impl Iterator<Item = (i16, u32)> {
        let from = |(year, month): (i16, u32)| match self.months.from(month) {
            Some(month) if self.years.contains(year) => Some((year, month)),
            _ => Some((self.years.from(year + 1)?, self.months.first()?)),
        };
        std::iter::successors(from(first), move |(year, month)| from((*year, month + 1)))
    }

    /// The months in which it may fire, back from `last`.
    fn months_upto(&self, last: (i16, u32)) -> impl Iterator<Item = (i16, u32)> {
        let upto = |(year, month): (i16, u32)| match self.months.upto(month) {
            Some(month) if self.years.contains(year) => Some((year, month)),
            _ => Some((self.years.upto(year - 1)?, self.months.last()?)),
        };
        std::iter::successors(upto(last), move |(year, month)| upto((*year, month - 1)))
    }

    /// The least number of days between two dates on which it fires.
    fn least_days(&self) -> Option<i64> {
        let (mut least, mut former) = (None, None);
        let january = (*YEARS.start(), 1);
        for (year, month) in self.months_from(january) {
            for day in self.days.of(year, month as i8).iter() {
                let date = Local::at(Date::new(year, month as i8, day as i8).ok()?, 0).0 / DAY;
                let apart = former.map(|former: i64| date - former);
                least = least.into_iter().chain(apart).min();
                former = Some(date);
                if least == Some(1) {
                    return least;
                }
            }
        }
        least
    }

    fn first_time(&self) -> Option<i64> {
        Some(time_of(self.hours.first()?, self.minutes.first()?, self.seconds.first()?))
    }

    fn last_time(&self) -> Option<i64> {
        Some(time_of(self.hours.last()?, self.minutes.last()?, self.seconds.last()?))
    }

    /// The first time of a day that is not before this second of it.
    fn time_from(&self, second_of_day: i64) -> Option<i64> {
        let (hour, minute, second) = parts_of(second_of_day);
        if self.hours.contains(hour) {
            if let Some(second) =
                self.seconds.from(second).filter(|_| self.minutes.contains(minute))
            {
                return Some(time_of(hour, minute, second));
            }
            if let Some(minute) = self.minutes.from(minute + 1) {
                return Some(time_of(hour, minute, self.seconds.first()?));
            }
        }
        let hour = self.hours.from(hour + 1)?;
        Some(time_of(hour, self.minutes.first()?, self.seconds.first()?))
    }

    /// The last time of a day that is not after this second of it.
    fn time_upto(&self, second_of_day: i64) -> Option<i64> {
        let (hour, minute, second) = parts_of(second_of_day);
        let before = |set: SmallSet, number: u32| set.upto(number.checked_sub(1)?);
        if self.hours.contains(hour) {
            if let Some(second) =
                self.seconds.upto(second).filter(|_| self.minutes.contains(minute))
            {
                return Some(time_of(hour, minute, second));
            }
            if let Some(minute) = before(self.minutes, minute) {
                return Some(time_of(hour, minute, self.seconds.last()?));
            }
        }
        let hour = before(self.hours, hour)?;
        Some(time_of(hour, self.minutes.last()?, self.seconds.last()?))
    }
}

fn month_number(date: Date) -> u32 {
    u32::from(date.month().unsigned_abs())
}

fn day_number(date: Date) -> u32 {
    u32::from(date.day().unsigned_abs())
}

fn time_of(hour: u32, minute: u32, second: u32) -> i64 {
    i64::from(hour) * HOUR + i64::from(minute) * MINUTE + i64::from(second)
}

fn parts_of(second_of_day: i64) -> (u32, u32, u32) {
    let part = |unit: i64, of: i64| (second_of_day / unit % of) as u32;
    (part(HOUR, 24), part(MINUTE, 60), part(1, 60))
}
