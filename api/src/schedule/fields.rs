//! The fields of a cron expression: lists, ranges and steps of numbers and names.
//!
//! The `cron` crate reads them. What Quartz and crontab write and the crate does not know is put
//! into its words first.

use std::borrow::Cow;

use cron::TimeUnitSpec as _;

use super::{small_set::SmallSet, years::Years};

/// One of the fields of an expression.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// What it is called.
    pub(super) name: &'static str,
    /// What may stand in it.
    pub(super) right: &'static str,
    /// Its least number.
    least: u32,
    /// Its greatest number.
    greatest: u32,
    /// The names of its numbers, from the least on.
    names: &'static [&'static str],
    /// Whether its greatest number is followed by its least, so that a range may lead over it.
    circular: bool,
}

const MONTHS: [&str; 12] = [
    "JANUARY",
    "FEBRUARY",
    "MARCH",
    "APRIL",
    "MAY",
    "JUNE",
    "JULY",
    "AUGUST",
    "SEPTEMBER",
    "OCTOBER",
    "NOVEMBER",
    "DECEMBER",
];

const WEEKDAYS: [&str; 7] =
    ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];

impl Field {
    /// A field of numbers without names, in which ranges may wrap.
    const fn numbers(
        name: &'static str,
        right: &'static str,
        (least, greatest): (u32, u32),
    ) -> Self {
        Self { name, right, least, greatest, names: &[], circular: true }
    }

    pub(super) const SECOND: Self = Self::numbers("second", "0 to 59", (0, 59));
    pub(super) const MINUTE: Self = Self::numbers("minute", "0 to 59", (0, 59));
    pub(super) const HOUR: Self = Self::numbers("hour", "0 to 23", (0, 23));
    pub(super) const DAY: Self = Self::numbers("day", "1 to 31", (1, 31));
    pub(super) const MONTH: Self =
        Self { names: &MONTHS, ..Self::numbers("month", "1 to 12 or JAN to DEC", (1, 12)) };
    pub(super) const WEEKDAY: Self =
        Self { names: &WEEKDAYS, ..Self::numbers("weekday", "1 to 7 or SUN to SAT", (1, 7)) };
    pub(super) const YEAR: Self =
        Self { circular: false, ..Self::numbers("year", "1970 to 2100", (1970, 2100)) };

    /// The number that `text` is or names: the first three letters of a name, or all of them.
    pub(super) fn number(&self, text: &str) -> Option<u32> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|n| (self.least..=self.greatest).contains(n));
        }
        let named = |name: &&str| [&name[..3], name].iter().any(|n| n.eq_ignore_ascii_case(text));
        self.names.iter().position(named).map(|at| self.least + at as u32)
    }

    /// What Quartz means by `text`, in words of the `cron` crate. What is no such text is left as
    /// it is, for the crate to refuse.
    fn in_words_of_the_crate<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !text.contains(['/', '-']) {
            return Cow::Borrowed(text);
        }
        let items: Vec<_> = text.split(',').map(|item| self.item(item)).collect();
        Cow::Owned(items.join(","))
    }

    fn item<'a>(&self, item: &'a str) -> Cow<'a, str> {
        let (base, step) = match item.split_once('/') {
            Some(("", step)) => return Cow::Owned(format!("*/{step}")),
            Some((base, step)) => (base, Some(step)),
            None => (item, None),
        };
        let step = match step {
            Some(step) if step.parse().is_ok_and(|step: usize| step >= 1) => step.parse().ok(),
            Some(_) => return Cow::Borrowed(item),
            None => None,
        };
        let (first, last) = base.split_once('-').unwrap_or((base, base));
        match (self.number(first), self.number(last), is_name(first), is_name(last)) {
            // Quartz reads no step behind a name.
            (Some(_), Some(_), true, true) if first == last => Cow::Borrowed(first),
            (Some(first), Some(last), true, true) => Cow::Owned(self.range(first, last, None)),
            (Some(first), Some(last), false, false) if base.contains('-') => {
                Cow::Owned(self.range(first, last, step))
            }
            _ => Cow::Borrowed(item),
        }
    }

    /// A range, written out where it leads over the greatest number or has a step.
    fn range(&self, first: u32, last: u32, step: Option<usize>) -> String {
        let wraps = last < first && self.circular;
        if step.is_none() && !wraps {
            return format!("{first}-{last}");
        }
        let length = self.greatest - self.least + 1;
        let end = if wraps { last + length } else { last };
        let numbers = (first..=end).step_by(step.unwrap_or(1));
        let numbers: Vec<_> = numbers
            .map(|number| self.least + (number - self.least) % length)
            .map(|number| number.to_string())
            .collect();
        match numbers.is_empty() {
            true => format!("{first}-{last}"),
            false => numbers.join(","),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// The order of the fields in an expression.
const ORDER: [Field; 7] = [
    Field::SECOND,
    Field::MINUTE,
    Field::HOUR,
    Field::DAY,
    Field::MONTH,
    Field::WEEKDAY,
    Field::YEAR,
];

/// The numbers that the fields of an expression list.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) seconds: SmallSet,
    pub(super) minutes: SmallSet,
    pub(super) hours: SmallSet,
    pub(super) days: SmallSet,
    pub(super) months: SmallSet,
    pub(super) weekdays: SmallSet,
    pub(super) years: Years,
}

/// Reads seven fields, each a list.
pub(super) fn read(fields: [&str; 7]) -> Result<Numbers, String> {
    let mut words = ORDER.iter().zip(fields);
    if let Some((field, text)) = words.find(|(_, text)| !is_readable(text)) {
        return Err(refusal(field, text));
    }
    let words = ORDER.iter().zip(fields).map(|(field, text)| field.in_words_of_the_crate(text));
    let words: Vec<_> = words.collect();
    let read: cron::Schedule = match words.join(" ").parse() {
        Ok(read) => read,
        Err(_) => return Err(fault_of(&words, fields)),
    };
    let years = match read.years().is_all() {
        true => Years::All,
        false => Years::These(read.years().iter().map(|year| year as i16).collect()),
    };
    Ok(Numbers {
        seconds: read.seconds().iter().collect(),
        minutes: read.minutes().iter().collect(),
        hours: read.hours().iter().collect(),
        days: read.days_of_month().iter().collect(),
        months: read.months().iter().collect(),
        weekdays: read.days_of_week().iter().collect(),
        years,
    })
}

/// Whether a number has at most four digits, beside zeros before them.
fn is_short(number: &str) -> bool {
    number.trim_start_matches('0').len() <= 4
}

/// Whether a field holds only what lists are made of: numbers of at most four digits, for the crate
/// would count through longer ones, names, and punctuation. Every item begins and ends with what
/// can stand there, or the crate would read it together with its neighbour.
fn is_readable(field: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | ',' | '-' | '/');
    let mut words = field.split(|c: char| !c.is_ascii_alphanumeric());
    let whole = |c: char| c.is_ascii_alphanumeric() || c == '*';
    let mut items = field.split(',');
    field.chars().all(known)
        && words.all(|word| word.chars().all(|c| c.is_ascii_alphabetic()) || is_short(word))
        && items.all(|item| item.starts_with(|c| whole(c) || c == '/') && item.ends_with(whole))
}

/// Which field is at fault, and what would be right: the first that is refused alone, beside fields
/// without restriction.
fn fault_of(words: &[Cow<'_, str>], fields: [&str; 7]) -> String {
    let refused = |at: usize| {
        let mut alone = ["*"; 7];
        alone[at] = &words[at];
        alone.join(" ").parse::<cron::Schedule>().is_err()
    };
    match (0..words.len()).find(|at| refused(*at)) {
        Some(at) => refusal(&ORDER[at], fields[at]),
        None => "it cannot be read".to_owned(),
    }
}

/// What is wrong with a field, and what would be right.
pub(super) fn refusal(field: &Field, text: &str) -> String {
    let Field { name, right, .. } = field;
    format!("`{text}` is no {name}: write {right}, or lists, ranges and steps of them")
}
