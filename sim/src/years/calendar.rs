//! When things are planned, reckoned slowly and from the civil calendar, day by day.

use jiff::{
    Timestamp as Instant, ToSpan as _,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone},
};
use muster_api::{
    Timestamp,
    spec::{Gap, Overlap},
};

/// A plan, in the words of people and not of cron.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    /// At one local time on the days that a rule names.
    Daily { zone: &'static str, at: Time, on: Days, gap: Gap, overlap: Overlap },
    /// Whenever a clock on the wall shows a full hour.
    FullHours { zone: &'static str },
    /// Every so many milliseconds since 1970.
    Every { millis: i64 },
}

/// Days of the civil calendar.
#[derive(Debug, Clone, Copy)]
pub(super) enum Days {
    All,
    FirstMondays,
    /// The 1st and the 15th, and Wednesdays.
    FirstFifteenthOrWednesday,
}

impl Days {
    fn contains(self, date: Date) -> bool {
        match self {
            Self::All => true,
            Self::FirstMondays => date.weekday() == Weekday::Monday && date.day() <= 7,
            Self::FirstFifteenthOrWednesday => {
                matches!(date.day(), 1 | 15) || date.weekday() == Weekday::Wednesday
            }
        }
    }
}

impl Plan {
    /// Every instant after the first bound and up to the second one, in order.
    pub(super) fn instants(&self, after: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let mut instants = match self {
            Self::Daily { zone, at, on, gap, overlap } => {
                let days = dates(after, until).filter(|date| on.contains(*date));
                let zone = zone_of(zone);
                days.flat_map(|day| local(&zone, day.to_datetime(*at), *gap, *overlap)).collect()
            }
            Self::FullHours { zone } => {
                let zone = zone_of(zone);
                let quarters = multiples(15 * 60_000, after, until);
                let shows_full_hour = |at: &Timestamp| {
                    let time = zone.to_datetime(instant(*at)).time();
                    (time.minute(), time.second()) == (0, 0)
                };
                quarters.filter(shows_full_hour).collect()
            }
            Self::Every { millis } => multiples(*millis, after, until).collect::<Vec<_>>(),
        };
        instants.retain(|at| after < *at && *at <= until);
        instants.sort();
        instants.dedup();
        instants
    }
}

fn zone_of(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the zones of this calendar are bundled")
}

fn instant(at: Timestamp) -> Instant {
    Instant::from_millisecond(at.as_millis()).expect("the years of a life are within range")
}

/// The dates of both bounds in any zone, and all between.
fn dates(after: Timestamp, until: Timestamp) -> impl Iterator<Item = Date> {
    let date = |at| TimeZone::UTC.to_datetime(instant(at)).date();
    let (first, last) = (date(after) - 2.days(), date(until) + 2.days());
    first.series(1.day()).take_while(move |date| *date <= last)
}

fn multiples(millis: i64, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let first = after.as_millis() / millis;
    let last = until.as_millis() / millis;
    (first..=last).map(move |n| Timestamp::from_millis(n * millis))
}

/// The instants at which clocks on the wall show a time, by the rules for times that they never
/// show or show twice.
fn local(zone: &TimeZone, shown: DateTime, gap: Gap, overlap: Overlap) -> Vec<Timestamp> {
    let with = |offset: jiff::tz::Offset| {
        let at = offset.to_timestamp(shown).expect("the years of a life are within range");
        Timestamp::from_millis(at.as_millisecond())
    };
    match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } => vec![with(offset)],
        AmbiguousOffset::Gap { .. } if gap == Gap::Skip => Vec::new(),
        AmbiguousOffset::Gap { .. } => vec![first_that_shows_later(zone, shown)],
        AmbiguousOffset::Fold { before, after } => match overlap {
            Overlap::First => vec![with(before)],
            Overlap::Second => vec![with(after)],
            Overlap::Both => vec![with(before), with(after)],
        },
    }
}

/// The first instant at which clocks show a later time than one that they never show: they jump
/// over it, and until then they show earlier ones. Found by looking at seconds.
fn first_that_shows_later(zone: &TimeZone, never_shown: DateTime) -> Timestamp {
    let around = TimeZone::UTC.to_timestamp(never_shown).expect("within range").as_second();
    let shows_later = |second: i64| {
        let at = Instant::from_second(second).expect("the years of a life are within range");
        zone.to_datetime(at) > never_shown
    };
    let (mut earlier, mut later) = (around - 2 * 86_400, around + 2 * 86_400);
    while later - earlier > 1 {
        let middle = earlier.midpoint(later);
        if shows_later(middle) { later = middle } else { earlier = middle }
    }
    Timestamp::from_millis(later * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instants(gap: Gap, overlap: Overlap, day: &str) -> Vec<String> {
        let at = Time::constant(2, 30, 0, 0);
        let plan = Plan::Daily { zone: "Europe/Berlin", at, on: Days::All, gap, overlap };
        let noon = |day: &str| format!("{day}T12:00:00Z").parse::<Timestamp>().unwrap();
        let (after, until) = (noon(day).before(std::time::Duration::from_secs(86_400)), noon(day));
        plan.instants(after, until).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn odd_days_are_known() {
        let (spring, autumn) = ("2026-03-29", "2026-10-25");
        assert_eq!(instants(Gap::RunAfter, Overlap::First, spring), ["2026-03-29T01:00:00Z"]);
        assert!(instants(Gap::Skip, Overlap::First, spring).is_empty());
        assert_eq!(instants(Gap::Skip, Overlap::First, autumn), ["2026-10-25T00:30:00Z"]);
        assert_eq!(instants(Gap::Skip, Overlap::Second, autumn), ["2026-10-25T01:30:00Z"]);
        assert_eq!(
            instants(Gap::Skip, Overlap::Both, autumn),
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]
        );
    }
}
