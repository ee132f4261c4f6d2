//! What holds for every schedule.

use std::time::Duration;

use jiff::tz::TimeZoneDatabase;
use muster_api::{
    Span, Timestamp,
    schedule::Schedule,
    spec::{Gap, Overlap, ScheduleSpec},
};
use proptest::{prelude::*, sample::select};

use super::{
    compiled, cron, cron_in,
    expression::{Expression, crontab, quartz, zone},
    instants, oracle,
};

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: i64 = 86_400;
/// From 1969 to 2101.
const SECONDS: std::ops::Range<i64> = -DAY..4_134_000_000;
/// Local times of a day that are looked at; those of the expressions made here are fewer.
const TIMES_OF_A_DAY: usize = 400;

fn millis(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn rules() -> impl Strategy<Value = (Gap, Overlap)> {
    let overlaps = [Overlap::First, Overlap::Second, Overlap::Both];
    (select(vec![Gap::RunAfter, Gap::Skip]), select(overlaps.to_vec()))
}

/// A stretch of time of some weeks, half of them around a setting of the clocks.
fn window(zone: &str, start: i64, days: i64, at_setting: bool) -> (i64, i64) {
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
    let setting = zone.following(jiff::Timestamp::from_second(start).unwrap()).next();
    match setting.filter(|_| at_setting).map(|setting| setting.timestamp().as_second()) {
        Some(setting) if setting < SECONDS.end => {
            (setting - days * DAY / 2, setting + days * DAY / 2)
        }
        _ => (start, start + days * DAY),
    }
}

fn any_expression() -> impl Strategy<Value = Expression> {
    prop_oneof![3 => quartz(), 1 => crontab()]
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let crons = (any_expression(), zone(), rules()).prop_filter_map(
        "never fires",
        |(expression, zone, (gap, overlap))| {
            let spec = cron_in(&expression.text(), zone, gap, overlap);
            Schedule::check(&spec).is_empty().then(|| compiled(&spec))
        },
    );
    let periods = (1_000u64..100_000_000, any::<i32>()).prop_map(|(period, anchor)| {
        let from = Some(Timestamp::from_millis(i64::from(anchor) * 1_000));
        let every = Some(Span::from_millis(period));
        compiled(&ScheduleSpec { every, from, ..ScheduleSpec::default() })
    });
    let once = SECONDS.prop_map(|second| {
        compiled(&ScheduleSpec { at: Some(millis(second)), ..ScheduleSpec::default() })
    });
    prop_oneof![6 => crons, 2 => periods, 1 => once]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn cron_fires_as_the_slow_way_says(
        expression in any_expression(),
        zone in zone(),
        rules in rules(),
        start in SECONDS,
        days in 2i64..50,
        at_setting in any::<bool>(),
        limit in 0usize..50,
    ) {
        let (first, last) = window(zone, start, days, at_setting);
        let spec = cron_in(&expression.text(), zone, rules.0, rules.1);
        let Ok(schedule) = Schedule::compile(&spec, Timestamp::default()) else {
            panic!("{spec:?}: {:?}", Schedule::check(&spec));
        };
        let found = TimeZoneDatabase::bundled().get(zone).unwrap();
        let expected = oracle::instants(&expression, &found, rules, (first, last), TIMES_OF_A_DAY);
        let expected: Vec<_> = expected.into_iter().map(millis).collect();
        let (first, last) = (millis(first), millis(last));
        prop_assert_eq!(&instants(&schedule, first, last), &expected);
        prop_assert_eq!(&schedule.between(first, last, usize::MAX), &expected);
        let newest = &expected[expected.len().saturating_sub(limit)..];
        prop_assert_eq!(&schedule.between(first, last, limit), newest);
    }

    #[test]
    fn next_is_later_and_nothing_lies_between(
        schedule in any_schedule(),
        after in SECONDS,
        part in 0i64..1_000,
    ) {
        let after = Timestamp::from_millis(after * 1_000 + part);
        if let Some(next) = schedule.next_after(after) {
            prop_assert!(next > after);
            let previous = schedule.previous(next);
            prop_assert!(previous.is_none_or(|previous| previous <= after), "{previous:?}");
            prop_assert_eq!(schedule.next_after(next.before(MILLISECOND)), Some(next));
            prop_assert_eq!(schedule.previous(next + MILLISECOND), Some(next));
            schedule.remark(next);
        }
        if let Some(previous) = schedule.previous(after) {
            prop_assert!(previous < after);
            prop_assert!(schedule.next_after(previous).is_none_or(|next| next >= after));
        }
    }

    #[test]
    fn any_instant_can_be_asked_for(schedule in any_schedule(), at in any::<i64>()) {
        let at = Timestamp::from_millis(at);
        let _ = (schedule.next_after(at), schedule.previous(at), schedule.local(at));
        let _ = (schedule.remark(at), schedule.between(at, at + MILLISECOND, 3));
    }

    #[test]
    fn no_text_makes_cron_panic(
        text in "[0-9A-Za-z*?,/# -]{0,40}",
        field in "(([0-9]{1,2}|MON|fri|JAN|L|LW|W|\\*|\\?)[-/,#LW]?){1,4}",
        at in 0usize..7,
        odd in ".{0,40}",
    ) {
        let mut fields = ["0", "0", "0", "?", "*", "*", "*"];
        fields[at] = &field;
        let line = format!("crontab {}", fields[1..6].join(" "));
        for text in [&text, &odd, &fields.join(" "), &line, &format!("crontab {text}")] {
            let spec = ScheduleSpec { time_zone: Some("Europe/Berlin".into()), ..cron(text) };
            if Schedule::check(&spec).is_empty() {
                let schedule = compiled(&spec);
                let first = schedule.next_after(millis(SECONDS.start)).expect("it was checked");
                prop_assert_eq!(schedule.previous(first), None);
            }
        }
        let zone = Some(odd.as_str().into());
        let _ = Schedule::check(&ScheduleSpec { time_zone: zone, ..cron(&text) });
    }
}

/// How many cases each law is tried with; `MUSTER_SCHEDULE_CASES` makes them more.
fn cases() -> u32 {
    std::env::var("MUSTER_SCHEDULE_CASES").map_or(256, |cases| cases.parse().unwrap())
}
