//! When jobs fire.

use chrono::{DateTime, Datelike, TimeZone, Utc};
use cron::TimeUnitSpec;

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
/// All questions are about instants in milliseconds; cron fires on whole seconds, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Cron(Box<cron::Schedule>),
    Every { anchor: Timestamp, period: Span },
    At(Timestamp),
}

/// A description of a schedule that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// None or several of the ways to describe a schedule are used.
    #[error("a schedule has exactly one of `cron`, `every` and `at`")]
    NotOne,
    /// `from` stands where it means nothing.
    #[error("`from` belongs to `every`: it is what the period is counted from")]
    FromWithoutEvery,
    /// The period is too short.
    #[error("`{period}` is shorter than the least period, {PERIOD_MIN}")]
    TooOften {
        /// The period.
        period: Span,
    },
    /// The cron expression is not valid.
    #[error(transparent)]
    Cron(#[from] InvalidCron),
}

/// A text that is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no cron expression: {why}; it has 6 or 7 fields, second minute hour day month \
     weekday [year], with 1 = SUN to 7 = SAT, as in `0 30 2 * * ?`"
)]
pub struct InvalidCron {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Schedule {
    /// The schedule that `spec` describes, stored at `created`.
    pub fn compile(spec: &ScheduleSpec, created: Timestamp) -> Result<Self, InvalidSchedule> {
        let kind = match (&spec.cron, spec.every, spec.at) {
            (Some(text), None, None) => Kind::Cron(Box::new(parse_cron(text)?)),
            (None, Some(period), None) if period < PERIOD_MIN => {
                return Err(InvalidSchedule::TooOften { period });
            }
            (None, Some(period), None) => {
                Kind::Every { anchor: spec.from.unwrap_or(created), period }
            }
            (None, None, Some(at)) => Kind::At(at),
            _ => return Err(InvalidSchedule::NotOne),
        };
        if spec.from.is_some() && spec.every.is_none() {
            return Err(InvalidSchedule::FromWithoutEvery);
        }
        Ok(Self(kind))
    }

    /// The first instant after `after`; `None` when there is none any more.
    ///
    /// A period has its anchor as first instant, and none before.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let next = match &self.0 {
            Kind::Cron(cron) => cron_next(cron, after),
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
            Kind::Cron(cron) => cron_previous(cron, before),
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
}

/// A period as a signed number; `None` when it is longer than time itself.
fn period_millis(period: Span) -> Option<i64> {
    i64::try_from(period.as_millis()).ok()
}

/// Reads a cron expression: the dialect of the `cron` crate, which numbers weekdays as Quartz
/// does, without its short-hands (`@daily`), with exactly 6 or 7 fields, and with a restriction on
/// the day of the month or of the week but not on both (Quartz forbids that; others disagree
/// whether it means "and" or "or").
pub fn parse_cron(text: &str) -> Result<cron::Schedule, InvalidCron> {
    let invalid = |why: String| InvalidCron { text: text.to_owned(), why };
    let fields: Vec<_> = text.split_ascii_whitespace().collect();
    if !matches!(fields.len(), 6 | 7) {
        return Err(invalid(format!("it has {} fields", fields.len())));
    }
    if let Some(field) = fields.iter().find(|field| !is_plain_field(field)) {
        return Err(invalid(format!("`{field}` cannot be read")));
    }
    let restricted = |field: &str| !matches!(field, "*" | "?");
    if restricted(fields[3]) && restricted(fields[5]) {
        return Err(invalid("one of day and weekday must be `?`".to_owned()));
    }
    let schedule: cron::Schedule = fields.join(" ").parse().map_err(|_| {
        invalid(bad_field(&fields).unwrap_or_else(|| "it cannot be read".to_owned()))
    })?;
    let never = cron_next(&schedule, Timestamp::default()).is_none();
    if never { Err(invalid("it never fires".to_owned())) } else { Ok(schedule) }
}

/// What the fields are called and what they count.
const FIELDS: [(&str, &str); 7] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day", "1 to 31"),
    ("month", "1 to 12 or JAN to DEC"),
    ("weekday", "1 to 7 or SUN to SAT"),
    ("year", "1970 to 2100"),
];

/// Which field is at fault, and what would be right: the first that is refused alone, beside fields
/// without restriction.
fn bad_field(fields: &[&str]) -> Option<String> {
    let refused = |at: usize, field: &str| {
        let mut alone = ["*"; FIELDS.len()];
        alone[at] = field;
        alone.join(" ").parse::<cron::Schedule>().is_err()
    };
    let mut named = fields.iter().zip(FIELDS).enumerate();
    let (_, (field, (name, range))) = named.find(|(at, (field, _))| refused(*at, field))?;
    Some(format!("`{field}` is no {name}: write {range}, or lists, ranges and steps of them"))
}

/// Whether a field holds what the dialect knows: numbers of at most four digits (the crate would
/// count through longer ones), names, and its punctuation; a step is never zero.
fn is_plain_field(field: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '?' | ',' | '-' | '/');
    let mut words = field.split(|c: char| !c.is_ascii_alphanumeric());
    let mut steps = field.split('/').skip(1);
    field.chars().all(known)
        && words.all(|word| word.len() <= 4 || word.chars().all(|c| c.is_ascii_alphabetic()))
        && steps.all(|step| step.split(',').next().is_some_and(|n| n.bytes().any(|b| b != b'0')))
}

/// The crate is given no instant before 1970, where its years begin: it reads earlier ones as far
/// in the future.
fn cron_next(cron: &cron::Schedule, after: Timestamp) -> Option<Timestamp> {
    let start = utc(after.max(Timestamp::from_millis(-1)))?;
    let next = cron.after(&start).next()?;
    Some(Timestamp::from_millis(next.timestamp_millis())).filter(|next| *next > after)
}

/// The crate is asked from within a year in which the schedule fires: from a later one it takes
/// month and day over into the earlier year.
fn cron_previous(cron: &cron::Schedule, before: Timestamp) -> Option<Timestamp> {
    let start = utc(before.min(LAST_INSTANT)).filter(|_| before.as_millis() > 0)?;
    let year = u32::try_from(start.year()).ok()?;
    let newest = cron.years().range(..=year).next_back()?;
    let end_of_newest = Utc.with_ymd_and_hms(i32::try_from(newest).ok()? + 1, 1, 1, 0, 0, 0);
    let previous = cron.after(&start.min(end_of_newest.single()?)).next_back()?;
    Some(Timestamp::from_millis(previous.timestamp_millis())).filter(|found| *found < before)
}

fn utc(at: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(at.as_millis()).filter(|_| at <= LAST_INSTANT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn none() -> ScheduleSpec {
        ScheduleSpec { cron: None, every: None, from: None, at: None }
    }

    fn cron(text: &str) -> Schedule {
        let spec = ScheduleSpec { cron: Some(text.to_owned()), ..none() };
        Schedule::compile(&spec, Timestamp::default()).unwrap()
    }

    fn every(period: Span, from: Option<Timestamp>) -> Schedule {
        let spec = ScheduleSpec { every: Some(period), from, ..none() };
        Schedule::compile(&spec, at("2026-01-01T00:00:00.5Z")).unwrap()
    }

    #[test]
    fn exactly_one_way_describes_a_schedule() {
        let compile = |spec: ScheduleSpec| Schedule::compile(&spec, Timestamp::default());
        let cron = Some("0 0 2 * * ?".to_owned());
        let from = Some(Timestamp::default());
        assert_eq!(compile(none()), Err(InvalidSchedule::NotOne));
        let both = ScheduleSpec { cron: cron.clone(), at: from, ..none() };
        assert_eq!(compile(both), Err(InvalidSchedule::NotOne));
        let from_cron = ScheduleSpec { cron, from, ..none() };
        assert_eq!(compile(from_cron), Err(InvalidSchedule::FromWithoutEvery));
        let period = Span::from_millis(999);
        let fast = ScheduleSpec { every: Some(period), ..none() };
        assert_eq!(compile(fast), Err(InvalidSchedule::TooOften { period }));
    }

    #[test]
    fn cron_fires_as_quartz_numbers_it() {
        let next = |text: &str, after: &str| cron(text).next_after(at(after)).unwrap().to_string();
        let after = "2026-01-31T02:00:00Z"; // A Saturday.
        assert_eq!(next("0 0 2 * * ?", after), "2026-02-01T02:00:00Z");
        assert_eq!(next("0 0 2 * * *", after), "2026-02-01T02:00:00Z");
        assert_eq!(next("0/5 * * * * ?", after), "2026-01-31T02:00:05Z");
        assert_eq!(next("*/5 * * * * ?", "2026-01-31T02:00:00.001Z"), "2026-01-31T02:00:05Z");
        assert_eq!(next("0 0 0 ? * 1", after), "2026-02-01T00:00:00Z");
        assert_eq!(next("0 0 0 ? * MON-FRI", after), "2026-02-02T00:00:00Z");
        assert_eq!(next("0 0 0 29 2 ?", after), "2028-02-29T00:00:00Z");
        assert_eq!(next("0 0 0 1 1 ? 2030", after), "2030-01-01T00:00:00Z");
        assert_eq!(cron("0 0 0 1 1 ? 2020").next_after(at(after)), None);
        assert_eq!(next("0 0 2 * * ?", "1960-01-01T00:00:00Z"), "1970-01-01T02:00:00Z");
    }

    #[test]
    fn bad_cron_is_refused_with_its_reason() {
        for (text, why) in [
            ("", "it has 0 fields"),
            ("* * * * *", "it has 5 fields"),
            ("@daily", "it has 1 fields"),
            ("0 0 2 * * ? 2026 1", "it has 8 fields"),
            ("0 0 2 1 * MON", "must be `?`"),
            ("0 0 0 30 2 ?", "never fires"),
            ("0 0 0 L * ?", "`L` is no day: write 1 to 31"),
            ("0-4294967295 * * * * ?", "cannot be read"),
            ("0/0 * * * * ?", "cannot be read"),
            ("60 * * * * ?", "`60` is no second: write 0 to 59"),
            ("0 0 0 ? * 8", "`8` is no weekday: write 1 to 7 or SUN to SAT"),
            ("0 0 0 ? * 0", "`0` is no weekday"),
            ("0 0 0 1 1 ? 1969", "`1969` is no year: write 1970 to 2100"),
            ("x * * * * ?", "`x` is no second"),
        ] {
            let error = parse_cron(text).expect_err(text);
            assert!(error.why.contains(why), "{text}: {error}");
            assert!(error.to_string().contains(&format!("`{text}`")));
        }
    }

    #[test]
    fn periods_count_from_their_anchor() {
        let hour = Span::from_secs(3600);
        let own = every(hour, None);
        assert_eq!(
            own.next_after(at("2026-01-01T00:00:00.5Z")),
            Some(at("2026-01-01T01:00:00.5Z"))
        );
        let given = every(hour, Some(at("2026-06-01T00:30:00Z")));
        assert_eq!(given.next_after(at("2026-01-01T00:00:00Z")), Some(at("2026-06-01T00:30:00Z")));
        assert_eq!(given.next_after(at("2026-06-01T00:30:00Z")), Some(at("2026-06-01T01:30:00Z")));
        assert_eq!(given.previous(at("2026-06-01T00:30:00Z")), None);
        assert_eq!(
            given.between(at("2026-01-01T00:00:00Z"), at("2036-06-01T02:30:00Z"), 2),
            [at("2036-06-01T01:30:00Z"), at("2036-06-01T02:30:00Z")]
        );
        let for_ever = every(Span::from_millis(u64::MAX), None);
        assert_eq!(for_ever.next_after(at("2026-01-02T00:00:00Z")), None);
        assert_eq!(
            for_ever.previous(at("2026-01-02T00:00:00Z")),
            Some(at("2026-01-01T00:00:00.5Z"))
        );
    }

    #[test]
    fn an_instant_fires_once() {
        let noon = at("2026-01-01T12:00:00Z");
        let spec = ScheduleSpec { at: Some(noon), ..none() };
        let once = Schedule::compile(&spec, Timestamp::default()).unwrap();
        assert_eq!(once.next_after(at("2026-01-01T11:00:00Z")), Some(noon));
        assert_eq!(once.next_after(noon), None);
        assert_eq!(once.between(at("2026-01-01T11:00:00Z"), noon, 9), [noon]);
        assert!(once.between(noon, at("2026-01-02T00:00:00Z"), 9).is_empty());
    }

    fn any_schedule() -> impl Strategy<Value = Schedule> {
        let field = |top: u32| {
            prop_oneof![
                Just("*".to_owned()),
                (0..top).prop_map(|n| n.to_string()),
                (0..top, 1..top).prop_map(|(start, step)| format!("{start}/{step}")),
                (0..top, 0..top).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            ]
        };
        let days = prop_oneof![
            Just("* * ?".to_owned()),
            (1..=28u32, 1..=12u32).prop_map(|(day, month)| format!("{day} {month} ?")),
            (29..=31u32).prop_map(|day| format!("{day} * ?")),
            (1..=7u32).prop_map(|day| format!("? * {day}")),
        ];
        let years = prop_oneof![
            3 => Just(String::new()),
            1 => (1970..=2100u32, 1..20u32).prop_map(|(year, step)| format!("{year}/{step}")),
            1 => (1970..=2100u32).prop_map(|year| year.to_string()),
        ];
        let crons = (field(60), field(60), field(24), days, years)
            .prop_map(|(s, m, h, days, year)| cron(&format!("{s} {m} {h} {days} {year}")));
        let periods = (1_000u64..100_000_000, any::<i32>()).prop_map(|(period, anchor)| {
            let anchor = Timestamp::from_millis(i64::from(anchor) * 1_000);
            every(Span::from_millis(period), Some(anchor))
        });
        let instants = (0i64..4_000_000_000_000).prop_map(|millis| {
            let spec = ScheduleSpec { at: Some(Timestamp::from_millis(millis)), ..none() };
            Schedule::compile(&spec, Timestamp::default()).unwrap()
        });
        prop_oneof![4 => crons, 2 => periods, 1 => instants]
    }

    proptest! {
        #[test]
        fn next_is_later_and_nothing_lies_between(
            schedule in any_schedule(),
            after in -10_000_000_000i64..4_200_000_000_000,
        ) {
            let after = Timestamp::from_millis(after);
            if let Some(next) = schedule.next_after(after) {
                prop_assert!(next > after);
                let previous = schedule.previous(next);
                prop_assert!(previous.is_none_or(|previous| previous <= after), "{previous:?}");
                let just_before = next.before(MILLISECOND);
                prop_assert_eq!(schedule.next_after(just_before), Some(next));
            }
            if let Some(previous) = schedule.previous(after) {
                prop_assert!(previous < after);
                prop_assert!(schedule.next_after(previous).is_none_or(|next| next >= after));
            }
        }

        #[test]
        fn between_is_the_newest_of_all_that_follow(
            schedule in any_schedule(),
            start in 0i64..4_000_000_000_000,
            steps in 0usize..20,
            limit in 0usize..20,
        ) {
            let start = Timestamp::from_millis(start);
            let following = std::iter::successors(schedule.next_after(start), |instant| {
                schedule.next_after(*instant)
            });
            let all: Vec<_> = following.take(steps).collect();
            let last = all.last().copied().unwrap_or(start);
            let newest = &all[all.len().saturating_sub(limit)..];
            prop_assert_eq!(schedule.between(start, last, limit), newest);
        }

        #[test]
        fn no_text_makes_cron_panic(text in "[0-9A-Za-z*?,/ -]{0,30}", odd in ".{0,20}") {
            let _ = parse_cron(&text);
            let _ = parse_cron(&odd);
            let _ = parse_cron(&format!("{} * * * * ?", text.replace(' ', "")));
        }
    }
}
