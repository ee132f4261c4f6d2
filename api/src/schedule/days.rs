//! On which days of a month a cron expression fires.

use jiff::civil::Date;

use super::small_set::SmallSet;

/// What the two day fields of an expression say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) of_month: MonthDays,
    pub(super) of_week: Weekdays,
    pub(super) joined: Joined,
}

/// What the field of the day of the month says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MonthDays {
    /// These days, where the month has them.
    These(SmallSet),
    /// So many days before the last day of the month: `L`, `L-3`.
    BeforeLast(u32),
    /// The weekday nearest to the day so many days before the last: `LW`, `L-3W`.
    WeekdayNearLast(u32),
    /// The weekday nearest to this day, where the month has it: `15W`.
    WeekdayNear(u32),
}

/// What the field of the weekday says. Weekdays are 1 (Sunday) to 7, as Quartz counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weekdays {
    /// These weekdays.
    These(SmallSet),
    /// The last such weekday of the month: `6L`.
    Last(u32),
    /// The n-th such weekday of the month, where it has so many: `6#3`.
    Nth(u32, u32),
}

/// Which days a day of the month and a weekday mean together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    /// Those that are both.
    And,
    /// Those that are either.
    Or,
}

/// The days of a month in which a month can be told from the others: how many it has, and where
/// its weeks begin.
#[derive(Debug, Clone, Copy)]
struct Month {
    days: u32,
    /// The weekday of its first day, 1 (Sunday) to 7.
    begins_on: u32,
}

const SUNDAY: u32 = 1;
const SATURDAY: u32 = 7;

impl Days {
    /// The days of a month on which it fires.
    pub(super) fn of(&self, year: i16, month: i8) -> SmallSet {
        let Ok(first) = Date::new(year, month, 1) else { return SmallSet::default() };
        let month = Month {
            days: u32::from(first.days_in_month().unsigned_abs()),
            begins_on: u32::from(first.weekday().to_sunday_one_offset().unsigned_abs()),
        };
        let (of_month, of_week) = (self.of_month.of(month), self.of_week.of(month));
        match self.joined {
            Joined::And => of_month.and(of_week),
            Joined::Or => of_month.or(of_week),
        }
    }
}

impl MonthDays {
    fn of(self, month: Month) -> SmallSet {
        let day = |day: Option<u32>| day.into_iter().collect();
        match self {
            Self::These(days) => days.and(month.all()),
            Self::BeforeLast(back) => day(month.before_last(back)),
            Self::WeekdayNearLast(back) => {
                day(month.before_last(back).map(|last| month.weekday_near(last)))
            }
            Self::WeekdayNear(near) if near <= month.days => day(Some(month.weekday_near(near))),
            Self::WeekdayNear(_) => SmallSet::default(),
        }
    }
}

impl Weekdays {
    fn of(self, month: Month) -> SmallSet {
        match self {
            Self::These(weekdays) => weekdays
                .iter()
                .map(|weekday| month.each(weekday))
                .fold(SmallSet::default(), SmallSet::or),
            Self::Last(weekday) => month.each(weekday).last().into_iter().collect(),
            Self::Nth(weekday, n) => {
                month.each(weekday).iter().nth(n as usize - 1).into_iter().collect()
            }
        }
    }
}

impl Month {
    fn all(self) -> SmallSet {
        SmallSet::span(1, self.days)
    }

    /// The days on one weekday.
    fn each(self, weekday: u32) -> SmallSet {
        SmallSet::weekly(1 + (weekday + 7 - self.begins_on) % 7).and(self.all())
    }

    fn before_last(self, back: u32) -> Option<u32> {
        self.days.checked_sub(back).filter(|day| *day >= 1)
    }

    /// The day from Monday to Friday that is nearest to `day`, in this month.
    fn weekday_near(self, day: u32) -> u32 {
        match (self.begins_on + day - 2) % 7 + 1 {
            SATURDAY if day == 1 => 3,
            SATURDAY => day - 1,
            SUNDAY if day == self.days => day - 2,
            SUNDAY => day + 1,
            _ => day,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(of_month: MonthDays, of_week: Weekdays, joined: Joined, month: i8) -> Vec<u32> {
        Days { of_month, of_week, joined }.of(2026, month).iter().collect()
    }

    #[test]
    fn days_of_2026_are_as_its_calendar_says() {
        use Joined::{And, Or};
        let every_day = MonthDays::These(SmallSet::span(1, 31));
        let each_weekday = Weekdays::These(SmallSet::span(1, 7));
        let by_month = |rule, month| days(rule, each_weekday, And, month);
        let by_week = |rule, month| days(every_day, rule, And, month);
        // The first of February 2026 is a Sunday, the last a Saturday.
        assert_eq!(by_month(MonthDays::BeforeLast(0), 2), [28]);
        assert_eq!(by_month(MonthDays::BeforeLast(27), 2), [1]);
        assert_eq!(by_month(MonthDays::BeforeLast(28), 2), [0u32; 0]);
        assert_eq!(by_month(MonthDays::WeekdayNearLast(0), 2), [27]);
        assert_eq!(by_month(MonthDays::WeekdayNear(1), 2), [2]);
        assert_eq!(by_month(MonthDays::WeekdayNear(1), 8), [3]); // A Saturday: not back into July.
        assert_eq!(by_month(MonthDays::WeekdayNear(31), 5), [29]); // A Sunday: not on into June.
        assert_eq!(by_month(MonthDays::WeekdayNear(30), 2), [0u32; 0]);
        assert_eq!(by_month(MonthDays::These([28, 29, 31].into_iter().collect()), 2), [28]);
        assert_eq!(by_week(Weekdays::These([2].into_iter().collect()), 2), [2, 9, 16, 23]);
        assert_eq!(by_week(Weekdays::Last(6), 1), [30]);
        assert_eq!(by_week(Weekdays::Nth(6, 5), 1), [30]);
        assert_eq!(by_week(Weekdays::Nth(6, 5), 2), [0u32; 0]);
        let (thirteenth, fridays) = ([13].into_iter().collect(), [6].into_iter().collect());
        let (thirteenth, fridays) = (MonthDays::These(thirteenth), Weekdays::These(fridays));
        assert_eq!(days(thirteenth, fridays, And, 3), [13]);
        assert_eq!(days(thirteenth, fridays, And, 4), [0u32; 0]);
        assert_eq!(days(thirteenth, fridays, Or, 4), [3, 10, 13, 17, 24]);
    }
}
