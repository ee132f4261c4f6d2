//! What schedules mean, by example.

use muster_api::{
    Span,
    schedule::{InvalidSchedule, Schedule},
    spec::{
        Gap::{self, RunAfter, Skip},
        Overlap::{self, Both, First, Second},
        ScheduleSpec,
    },
};

use super::{at, compiled, cron, cron_in, instants};

#[test]
fn quartz_expressions_fire_as_quartz_numbers_them() {
    let after = "2026-01-31T02:00:00Z"; // A Saturday.
    for (text, next) in [
        ("0 0 2 * * ?", "2026-02-01T02:00:00Z"),
        ("0 0 2 * * *", "2026-02-01T02:00:00Z"),
        ("0/5 * * * * ?", "2026-01-31T02:00:05Z"),
        ("/5 * * * * ?", "2026-01-31T02:00:05Z"),
        ("0 0 0 ? * 1", "2026-02-01T00:00:00Z"),
        ("0 0 0 ? * MON-FRI", "2026-02-02T00:00:00Z"),
        ("0 0 0 29 2 ?", "2028-02-29T00:00:00Z"),
        ("0 0 0 1 1 ? 2030", "2030-01-01T00:00:00Z"),
        ("0 0 0 L * ?", "2026-02-28T00:00:00Z"),
        ("0 0 0 LW * ?", "2026-02-27T00:00:00Z"),
        ("0 0 0 L-3 * ?", "2026-02-25T00:00:00Z"),
        ("0 0 0 L-6W * ?", "2026-02-23T00:00:00Z"),
        ("0 0 0 1W * ?", "2026-02-02T00:00:00Z"),
        ("0 0 0 15W * ?", "2026-02-16T00:00:00Z"),
        ("0 0 0 ? * 6L", "2026-02-27T00:00:00Z"),
        ("0 0 0 ? * FRI#2", "2026-02-13T00:00:00Z"),
        ("0 0 0 ? * FRI#5", "2026-05-29T00:00:00Z"),
        ("0 0 22-2 * * ?", "2026-01-31T22:00:00Z"),
        ("crontab 30 2 * * 1-5", "2026-02-02T02:30:00Z"),
        ("crontab 0 0 13 * 5", "2026-02-06T00:00:00Z"),
        ("crontab 0 0 */2 * 5", "2026-02-13T00:00:00Z"),
    ] {
        let schedule = compiled(&cron(text));
        assert_eq!(schedule.next_after(at(after)), Some(at(next)), "{text}");
        assert_eq!(schedule.previous(at(next)).filter(|past| *past > at(after)), None, "{text}");
    }
    assert_eq!(compiled(&cron("0 0 0 1 1 ? 2020")).next_after(at(after)), None);
    let daily = compiled(&cron("0 0 2 * * ?"));
    assert_eq!(daily.next_after(at("1960-01-01T00:00:00Z")), Some(at("1970-01-01T02:00:00Z")));
    assert_eq!(daily.previous(at("2200-01-01T00:00:00Z")), Some(at("2100-12-31T02:00:00Z")));
    assert_eq!(daily.next_after(at("2100-12-31T02:00:00Z")), None);
    assert_eq!(daily.previous(at("1970-01-01T02:00:00Z")), None);
}

/// What fires in the nights in which Berlin sets its clocks in 2026, with what is said of it.
fn nights(text: &str, gap: Gap, overlap: Overlap) -> [String; 2] {
    let schedule = compiled(&cron_in(text, "Europe/Berlin", gap, overlap));
    [
        ("2026-03-29T00:15:00Z", "2026-03-29T01:30:00Z"),
        ("2026-10-24T23:55:00Z", "2026-10-25T02:00:00Z"),
    ]
    .map(|(first, last)| {
        let found = instants(&schedule, at(first), at(last));
        let shown = found.into_iter().map(|instant| {
            let local = schedule.local(instant).unwrap();
            let remark = schedule.remark(instant).map(|remark| format!(" ({remark})"));
            format!("{}{}", &local[11..22], remark.unwrap_or_default())
        });
        shown.collect::<Vec<_>>().join(", ")
    })
}

#[test]
fn nights_in_which_clocks_are_set_follow_the_rules() {
    let moved = "03:00:00+02 (moved from 02:30, which does not exist)";
    let first = "02:30:00+02 (02:30 comes twice: first pass)";
    let second = "02:30:00+01 (02:30 comes twice: second pass)";
    let daily = "0 30 2 * * ?";
    assert_eq!(nights(daily, RunAfter, First), [moved, first]);
    assert_eq!(nights(daily, Skip, Second), ["", second]);
    assert_eq!(nights(daily, Skip, Both), ["", &format!("{first}, {second}")]);
    // Several times in the gap are one instant, also with one that is there anyway.
    let often = "0 0/20 2-3 * * ?";
    let [gap, overlap] = nights(often, RunAfter, First);
    assert_eq!(gap, "03:00:00+02 (moved from 02:00..02:40, which does not exist), 03:20:00+02");
    assert!(overlap.starts_with("02:00:00+02 (02:00 comes twice: first pass), 02:20:00+02"));
    assert!(overlap.ends_with(", 03:00:00+01"), "{overlap}");
    let [gap, _] = nights(often, Skip, First);
    assert_eq!(gap, "03:00:00+02 (02:00..02:40 does not exist and is passed over), 03:20:00+02");
    // Without named hours it follows elapsed time, whatever the rules.
    for (gap, overlap) in [(RunAfter, First), (Skip, Second)] {
        let [gap, overlap] = nights("0 30 * * * ?", gap, overlap);
        assert_eq!(gap, "01:30:00+01, 03:30:00+02");
        assert_eq!(overlap, format!("{first}, {second}"));
    }
}

#[test]
fn days_that_do_not_exist_are_like_gaps() {
    // Samoa left out 2011-12-30.
    let daily = |gap| compiled(&cron_in("0 30 2 * * ?", "Pacific/Apia", gap, First));
    let days = |gap| {
        let schedule = daily(gap);
        let found = instants(&schedule, at("2011-12-29T00:00:00Z"), at("2011-12-31T00:00:00Z"));
        found.into_iter().map(|at| schedule.local(at).unwrap()[..16].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(days(RunAfter), ["2011-12-29T02:30", "2011-12-31T00:00", "2011-12-31T02:30"]);
    assert_eq!(days(Skip), ["2011-12-29T02:30", "2011-12-31T02:30"]);
    assert_eq!(
        daily(RunAfter).remark(at("2011-12-30T10:00:00Z")).unwrap().to_string(),
        "moved from 2011-12-30 02:30, which does not exist"
    );
}

#[test]
fn what_is_wrong_with_a_schedule_is_said_at_its_field() {
    let faults = |spec: ScheduleSpec| -> Vec<_> {
        Schedule::check(&spec).iter().map(|fault| (fault.field(), fault.to_string())).collect()
    };
    let daily = || cron("0 0 2 * * ?");
    let every = |period| ScheduleSpec { every: Some(period), ..ScheduleSpec::default() };
    let hour = Span::from_secs(3_600);
    let once = || ScheduleSpec { at: Some(at("2026-06-01T00:00:00Z")), ..ScheduleSpec::default() };
    for (spec, field, message) in [
        (ScheduleSpec::default(), "", "exactly one of"),
        (ScheduleSpec { every: Some(hour), ..daily() }, "", "exactly one of"),
        (ScheduleSpec { from: Some(at("2026-06-01T00:00:00Z")), ..daily() }, "from", "`every`"),
        (every(Span::from_millis(999)), "every", "`999ms` is shorter"),
        (cron("0 0 25 * * ?"), "cron", "`25` is no hour"),
        (cron("0 0 0 30 2 ?"), "cron", "never fires"),
        (cron_in("0 30 2 29 3 ? 2026", "Europe/Berlin", Skip, First), "cron", "never fires"),
        (cron_in("0 0 2 * * ?", "Berlin", Skip, First), "time_zone", "is it `Europe/Berlin`?"),
        (ScheduleSpec { time_zone: Some("UTC".into()), ..every(hour) }, "time_zone", "`cron`"),
        (ScheduleSpec { gap: Some(Skip), ..once() }, "gap", "belongs to `cron`"),
        (ScheduleSpec { overlap: Some(Both), ..once() }, "overlap", "belongs to `cron`"),
        (ScheduleSpec { jitter: hour, ..every(hour) }, "jitter", "between two fires, 1h"),
        (ScheduleSpec { jitter: Span::from_secs(86_401), ..once() }, "jitter", "at most 1d"),
        (ScheduleSpec { jitter: Span::from_secs(86_400), ..daily() }, "jitter", "two fires, 1d"),
    ] {
        let found = faults(spec.clone());
        assert_eq!(found.len(), 1, "{spec:?}: {found:?}");
        assert_eq!(found[0].0, field, "{spec:?}: {found:?}");
        assert!(found[0].1.contains(message), "{spec:?}: {found:?}");
    }
    let all = ScheduleSpec { time_zone: Some("x".into()), ..cron("x") };
    assert_eq!(
        faults(all).iter().map(|(field, _)| *field).collect::<Vec<_>>(),
        ["time_zone", "cron"]
    );
    assert_eq!(
        Schedule::compile(&ScheduleSpec::default(), at("2026-01-01T00:00:00Z")),
        Err(InvalidSchedule::NotOne)
    );
}

#[test]
fn the_longest_jitter_is_just_less_than_what_lies_between_two_fires() {
    for (text, least) in [
        ("* * * * * ?", 1),
        ("0/7 * * * * ?", 4), // 56 and 60.
        ("10,50 * * * * ?", 20),
        ("0 0/45 * * * ?", 15 * 60),
        ("0 0 6,18 * * ?", 12 * 3_600),
        ("0 30 22,1 * * ?", 3 * 3_600),
        ("0 30 2 * * ?", 86_400),
        ("0 0 0,23 ? * MON,TUE", 3_600),
        ("0 0 0,23 ? * MON,WED", 23 * 3_600),
        ("0 0 0 ? * MON,THU", 3 * 86_400),
        ("0 0 0 1 * ?", 28 * 86_400),
        ("0 0 0 31 * ?", 31 * 86_400), // July and August.
        ("0 0 0 29 2 ?", 4 * 365 * 86_400 + 86_400),
        ("0 0 0 1 1 ? 2026,2030", 4 * 365 * 86_400 + 86_400),
    ] {
        let with = |seconds| ScheduleSpec { jitter: Span::from_secs(seconds), ..cron(text) };
        assert_eq!(Schedule::check(&with(least - 1)), [], "{text}");
        let [InvalidSchedule::JitterTooLong { least: found, .. }] =
            Schedule::check(&with(least))[..]
        else {
            panic!("{text}: {:?}", Schedule::check(&with(least)))
        };
        assert_eq!(found, Span::from_secs(least), "{text}");
    }
    let once = ScheduleSpec { jitter: Span::from_secs(86_400), ..cron("0 0 0 1 1 ? 2030") };
    assert_eq!(Schedule::check(&once), []);
}

#[test]
fn periods_count_from_their_anchor() {
    let every = |period, from| {
        compiled(&ScheduleSpec { every: Some(period), from, ..ScheduleSpec::default() })
    };
    let hour = Span::from_secs(3600);
    let own = every(hour, None);
    assert_eq!(own.next_after(at("2026-01-01T00:00:00.5Z")), Some(at("2026-01-01T01:00:00.5Z")));
    let given = every(hour, Some(at("2026-06-01T00:30:00Z")));
    assert_eq!(given.next_after(at("2026-01-01T00:00:00Z")), Some(at("2026-06-01T00:30:00Z")));
    assert_eq!(given.next_after(at("2026-06-01T00:30:00Z")), Some(at("2026-06-01T01:30:00Z")));
    assert_eq!(given.previous(at("2026-06-01T00:30:00Z")), None);
    assert_eq!(
        given.between(at("2026-01-01T00:00:00Z"), at("2036-06-01T02:30:00Z"), 2),
        [at("2036-06-01T01:30:00Z"), at("2036-06-01T02:30:00Z")]
    );
    assert_eq!(
        (given.local(at("2026-06-01T00:30:00Z")), own.remark(at("2026-01-01T00:00:00Z"))),
        (None, None)
    );
    let for_ever = every(Span::from_millis(u64::MAX), None);
    assert_eq!(for_ever.next_after(at("2026-01-02T00:00:00Z")), None);
    assert_eq!(for_ever.previous(at("2026-01-02T00:00:00Z")), Some(at("2026-01-01T00:00:00.5Z")));
}

#[test]
fn an_instant_fires_once() {
    let noon = at("2026-01-01T12:00:00Z");
    let once = compiled(&ScheduleSpec { at: Some(noon), ..ScheduleSpec::default() });
    assert_eq!(once.next_after(at("2026-01-01T11:00:00Z")), Some(noon));
    assert_eq!(once.next_after(noon), None);
    assert_eq!(once.between(at("2026-01-01T11:00:00Z"), noon, 9), [noon]);
    assert!(once.between(noon, at("2026-01-02T00:00:00Z"), 9).is_empty());
}
