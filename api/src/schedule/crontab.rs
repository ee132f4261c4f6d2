//! The dialect of crontab files, as Vixie cron reads it.

use super::{
    days::{Days, Joined, MonthDays, Weekdays},
    fields::{self, Field, refusal},
    rule::CronRule,
};

/// What may stand in the weekday field.
const WEEKDAY_RIGHT: &str = "0 to 7 (0 and 7 are Sunday) or SUN to SAT, or lists, ranges and steps";

/// Reads the 5 fields of a line, minute hour day month weekday.
pub(super) fn read(line: &[&str]) -> Result<CronRule, String> {
    let &[minute, hour, day, month, weekday] = line else {
        let found = match line.len() {
            1 => "is 1 field".to_owned(),
            more => format!("are {more} fields"),
        };
        return Err(format!("there {found} behind `crontab`, and 5 are needed"));
    };
    for (field, text) in
        [(&Field::MINUTE, minute), (&Field::HOUR, hour), (&Field::DAY, day), (&Field::MONTH, month)]
    {
        check_steps(field, text)?;
    }
    let weekdays = weekdays(weekday)?;
    let listed = fields::read(["0", minute, hour, day, month, &weekdays, "*"])?;
    // Vixie: a field that begins with `*` does not count as a restriction, whatever follows.
    let restricted = |field: &str| !field.starts_with('*');
    let joined = match restricted(day) && restricted(weekday) {
        true => Joined::Or,
        false => Joined::And,
    };
    let days = Days {
        of_month: MonthDays::These(listed.days),
        of_week: Weekdays::These(listed.weekdays),
        joined,
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

/// A step belongs to `*` or to a range, and a range goes upwards: Quartz is laxer in both.
fn check_steps(field: &Field, text: &str) -> Result<(), String> {
    for item in text.split(',') {
        let base = item.split_once('/').map(|(base, _)| base);
        if base.is_some_and(|base| base != "*" && !base.contains('-')) {
            let wrong = refusal(field, text);
            return Err(format!(
                "{wrong}; a step stands behind `*` or a range, as in */5 or 0-30/5"
            ));
        }
        let ends = item.split_once('-').map(|(first, rest)| {
            (field.number(first), field.number(rest.split('/').next().unwrap_or(rest)))
        });
        if ends.is_some_and(|(first, last)| first > last && last.is_some()) {
            let wrong = refusal(field, text);
            return Err(format!("{wrong}; a range goes upwards, write 22-23,0-2 for 22-2"));
        }
    }
    Ok(())
}

/// The field of weekdays as a list in the numbers of Quartz, 1 (Sunday) to 7.
fn weekdays(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is no weekday: write {WEEKDAY_RIGHT}");
    if text == "*" {
        return Ok(text.to_owned());
    }
    let mut numbers = Vec::new();
    for item in text.split(',') {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, step.parse::<u8>().map_err(|_| wrong())?),
            None => (item, 1),
        };
        let (first, last) = match base.split_once('-') {
            None if base == "*" => (0, 7),
            None if item.contains('/') => return Err(wrong()),
            None => (weekday(base).ok_or_else(wrong)?, weekday(base).ok_or_else(wrong)?),
            Some((first, last)) => {
                (weekday(first).ok_or_else(wrong)?, weekday(last).ok_or_else(wrong)?)
            }
        };
        if first > last || step == 0 {
            return Err(wrong());
        }
        numbers.extend((first..=last).step_by(usize::from(step)));
    }
    let in_quartz: Vec<_> = numbers.iter().map(|number| (number % 7 + 1).to_string()).collect();
    Ok(in_quartz.join(","))
}

/// A weekday as crontab counts: 0 (Sunday) to 7 (Sunday again).
fn weekday(text: &str) -> Option<u32> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().ok().filter(|number| *number <= 7),
        false => Field::WEEKDAY.number(text).map(|number| number - 1),
    }
}
