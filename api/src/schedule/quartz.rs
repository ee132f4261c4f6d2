//! The dialect of Quartz.

use super::{
    days::{Days, Joined, MonthDays, Weekdays},
    fields::{self, Field, refusal},
    rule::CronRule,
    small_set::SmallSet,
};

/// The furthest that `L-n` goes back: from the last day of a month of 31 days to its first.
const BACK_MAX: u32 = 30;

/// Reads the 6 or 7 fields of an expression.
pub(super) fn read(fields: &[&str]) -> Result<CronRule, String> {
    let (times, years) = match fields {
        [times @ .., years] if times.len() == 6 => (times, *years),
        times => (times, "*"),
    };
    let &[second, minute, hour, day, month, weekday] = times else {
        return Err(format!("it has {}", count(fields.len())));
    };
    check_question_marks(day, weekday)?;
    let (special_day, special_weekday) = (month_day(day)?, week_day(weekday)?);
    let list = |special: bool, field| if special || field == "?" { "*" } else { field };
    let day = list(special_day.is_some(), day);
    let weekday = list(special_weekday.is_some(), weekday);
    let listed = fields::read([second, minute, hour, day, month, weekday, years])?;
    let days = Days {
        of_month: special_day.unwrap_or(MonthDays::These(listed.days)),
        of_week: special_weekday.unwrap_or(Weekdays::These(listed.weekdays)),
        joined: Joined::And,
    };
    Ok(CronRule {
        seconds: listed.seconds,
        minutes: listed.minutes,
        hours: listed.hours,
        days,
        months: listed.months,
        years: listed.years,
    })
}

fn count(fields: usize) -> String {
    match fields {
        0 => "no fields".to_owned(),
        1 => "1 field".to_owned(),
        5 => "5 fields, as a line of a crontab; write `crontab` before such a line, or a second"
            .to_owned(),
        more => format!("{more} fields"),
    }
}

/// Quartz wants exactly one `?`. Two `*`, or one beside a restriction, can mean only one thing too,
/// and other dialects with seconds write it so; two restrictions are read as "and" by some and as
/// "or" by others.
fn check_question_marks(day: &str, weekday: &str) -> Result<(), String> {
    for (field, text) in [(&Field::DAY, day), (&Field::WEEKDAY, weekday)] {
        if text != "?" && text.contains('?') {
            return Err(format!("`{text}` is no {}: `?` stands alone", field.name));
        }
    }
    match (day, weekday) {
        ("?", "?") => Err("day and weekday are both `?`; write `*` for every day".to_owned()),
        ("?" | "*", _) | (_, "?" | "*") => Ok(()),
        _ => {
            Err(format!("day `{day}` and weekday `{weekday}` exclude each other: one must be `?`"))
        }
    }
}

/// A day of the month that is no list: `L`, `LW`, `L-3`, `L-3W`, `15W`.
fn month_day(text: &str) -> Result<Option<MonthDays>, String> {
    let upper = text.to_ascii_uppercase();
    if !upper.contains(['L', 'W']) {
        return Ok(None);
    }
    let (base, near_weekday) = match upper.strip_suffix('W') {
        Some(base) => (base, true),
        None => (upper.as_str(), false),
    };
    let day = match (base, base.strip_prefix("L-")) {
        ("L", _) => Some(from_last(0, near_weekday)),
        (_, Some(back)) => {
            digits(back).filter(|back| *back <= BACK_MAX).map(|back| from_last(back, near_weekday))
        }
        (day, None) => digits(day)
            .filter(|day| (1..=31).contains(day) && near_weekday)
            .map(MonthDays::WeekdayNear),
    };
    let right = "write L, LW, L-3 (at most L-30), L-3W or 15W, each alone in its field";
    day.map(Some).ok_or_else(|| format!("`{text}` is no day: {right}"))
}

fn from_last(back: u32, near_weekday: bool) -> MonthDays {
    match near_weekday {
        true => MonthDays::WeekdayNearLast(back),
        false => MonthDays::BeforeLast(back),
    }
}

/// A weekday that is no list: `L`, `6L`, `FRIL`, `6#3`, `FRI#3`.
fn week_day(text: &str) -> Result<Option<Weekdays>, String> {
    let last = text.strip_suffix(['L', 'l']);
    let nth = text.split_once('#');
    let right = "write 6L or FRIL for the last Friday of a month, 6#3 or FRI#3 for the third, each \
                 alone in its field";
    let special = match (last, nth) {
        // Quartz: the last day of the week.
        (Some(""), _) => Some(Weekdays::These(SmallSet::span(7, 7))),
        (Some(weekday), None) => Field::WEEKDAY.number(weekday).map(Weekdays::Last),
        (None, Some((weekday, n))) => {
            let n = digits(n).filter(|n| (1..=5).contains(n));
            Field::WEEKDAY.number(weekday).zip(n).map(|(weekday, n)| Weekdays::Nth(weekday, n))
        }
        (Some(_), Some(_)) => None,
        (None, None) if text.contains(['L', 'l']) => None,
        (None, None) => return Ok(None),
    };
    special.map(Some).ok_or_else(|| match text.contains(['L', 'l', '#']) {
        true => format!("`{text}` is no weekday: {right}"),
        false => refusal(&Field::WEEKDAY, text),
    })
}

/// A number of one or two digits, beside zeros before them.
fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().filter(|number| *number < 100)
}
