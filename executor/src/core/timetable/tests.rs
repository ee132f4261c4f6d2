use muster_api::{Span, spec::ScheduleSpec};
use proptest::prelude::*;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Each full ten seconds, with an offset, a grace and a policy.
fn resident(offset: u64, grace: u64, misfire: MisfirePolicy) -> Resident {
    Resident {
        schedule: ScheduleSpec { every: Some(Span::from_secs(10)), ..ScheduleSpec::default() },
        anchor: at(0),
        offset: Span::from_millis(offset),
        misfire,
        grace: Span::from_millis(grace),
        sampling: 0,
    }
}

fn timetable(misfire: MisfirePolicy) -> Timetable {
    Timetable::new(&resident(0, 3_600_000, misfire), at(5_000)).unwrap()
}

fn due(first: i64, last: i64, count: u64) -> Option<Due> {
    Some(Due { first: at(first), last: at(last), count })
}

fn begins(first: i64, last: i64, count: u64) -> Followed {
    Followed { begin: due(first, last, count), ..Followed::default() }
}

fn skips(skipped: u64) -> Followed {
    Followed { skipped, ..Followed::default() }
}

const NOTHING: Followed = Followed { begin: None, skipped: 0, uncounted: false };

/// What follows from a look at that time, with an execution going on or not.
type Look = (i64, bool, Followed);

#[test]
fn the_table_holds() {
    use MisfirePolicy::{Coalesce, Skip};
    // The policy; what is seen at which time, and whether an execution goes on then.
    let table: [(MisfirePolicy, &[Look]); 8] = [
        (Skip, &[(9_999, false, NOTHING), (10_000, false, begins(10_000, 10_000, 1))]),
        (Skip, &[(10_000, true, skips(1)), (11_000, false, NOTHING)]),
        (Skip, &[(45_000, false, Followed { skipped: 3, ..begins(40_000, 40_000, 1) })]),
        (Skip, &[(45_000, true, skips(4)), (50_000, false, begins(50_000, 50_000, 1))]),
        (Coalesce, &[(9_999, false, NOTHING), (10_000, false, begins(10_000, 10_000, 1))]),
        (Coalesce, &[(45_000, false, begins(10_000, 40_000, 4))]),
        (
            Coalesce,
            &[
                (10_000, true, NOTHING),
                (20_000, true, NOTHING),
                (21_000, false, begins(10_000, 20_000, 2)),
                (22_000, false, NOTHING),
            ],
        ),
        // What has become due in the very moment at which the former one ended is in it too.
        (Coalesce, &[(10_000, true, NOTHING), (30_000, false, begins(10_000, 30_000, 3))]),
    ];
    for (policy, seen) in table {
        let mut timetable = timetable(policy);
        for (now, executing, expected) in seen {
            let followed = timetable.follow(at(*now), *executing);
            assert_eq!(followed, *expected, "{policy:?} at {now} of {seen:?}");
        }
    }
}

#[test]
fn what_is_older_than_the_grace_is_skipped() {
    for (policy, begin, skipped) in [
        (MisfirePolicy::Skip, due(40_000, 40_000, 1), 3),
        (MisfirePolicy::Coalesce, due(20_000, 40_000, 3), 1),
    ] {
        let mut timetable = Timetable::new(&resident(0, 25_000, policy), at(5_000)).unwrap();
        let expected = Followed { begin, skipped, uncounted: false };
        assert_eq!(timetable.follow(at(45_000), false), expected, "20 s is 25 s ago, not more");
    }
}

#[test]
fn a_wall_clock_that_is_set_back_waits_until_it_has_caught_up() {
    let mut timetable = timetable(MisfirePolicy::Coalesce);
    assert_eq!(timetable.follow(at(30_000), false), begins(10_000, 30_000, 3));
    for now in [29_999, 0, -5_000_000, 20_000, 39_999] {
        assert_eq!(timetable.follow(at(now), false), NOTHING, "{now}");
        assert_eq!(timetable.next_due(), Some(at(40_000)));
    }
    assert_eq!(timetable.follow(at(40_000), false), begins(40_000, 40_000, 1));
}

#[test]
fn an_offset_moves_when_it_is_due_and_not_what_it_is_called() {
    let resident = resident(3_000, 3_600_000, MisfirePolicy::Skip);
    let mut started_before = Timetable::new(&resident, at(9_000)).unwrap();
    assert_eq!(started_before.next_due(), Some(at(13_000)));
    assert_eq!(started_before.follow(at(12_999), false), NOTHING);
    assert_eq!(started_before.follow(at(13_000), false), begins(10_000, 10_000, 1));
    // Whoever starts between an instant and when it is due has it; whoever starts then has not.
    let between = Timetable::new(&resident, at(12_000)).unwrap();
    assert_eq!(between.next_due(), Some(at(13_000)));
    let after = Timetable::new(&resident, at(13_000)).unwrap();
    assert_eq!(after.next_due(), Some(at(23_000)));
}

#[test]
fn a_step_looks_at_no_more_than_it_may() {
    let day = 86_400_000;
    for policy in [MisfirePolicy::Skip, MisfirePolicy::Coalesce] {
        let long = u64::try_from(100 * day).unwrap();
        let mut timetable = Timetable::new(&resident(0, long, policy), at(5_000)).unwrap();
        let (mut steps, mut skipped) = (0, 0);
        let begin = loop {
            steps += 1;
            let followed = timetable.follow(at(day + 1), false);
            assert!(!followed.uncounted);
            skipped += followed.skipped;
            if let Some(begin) = followed.begin {
                break begin;
            }
            assert!(timetable.next_due().unwrap() <= at(day), "it is to be followed on");
        };
        assert_eq!((steps, skipped + begin.count), (9, 8_640), "{policy:?}");
        assert_eq!(begin.last, at(day));
    }
}

#[test]
fn a_clock_that_jumps_years_is_no_work() {
    let mut timetable = timetable(MisfirePolicy::Coalesce);
    let now = 56 * 365 * 86_400_000;
    let followed = timetable.follow(at(now), false);
    // All within the grace of an hour, the first of which is exactly that old.
    assert_eq!(followed.begin.map(|begin| begin.count), Some(361));
    assert!(followed.uncounted);
}

#[test]
fn what_waits_is_given_up_once() {
    let mut timetable = timetable(MisfirePolicy::Coalesce);
    timetable.follow(at(20_000), true);
    assert_eq!(timetable.give_up(), due(10_000, 20_000, 2));
    assert_eq!(timetable.give_up(), None);
}

#[test]
fn a_schedule_that_is_over_is_due_no_more() {
    let cron: Option<String> = Some("0 0 0 1 1 ? 1970-1971".to_owned());
    let schedule = ScheduleSpec { cron: cron.map(Into::into), ..ScheduleSpec::default() };
    let resident = Resident { schedule, ..resident(0, 3_600_000, MisfirePolicy::Skip) };
    let mut timetable = Timetable::new(&resident, at(5_000)).unwrap();
    let new_year = 365 * 86_400_000;
    assert_eq!(timetable.follow(at(new_year), false), begins(new_year, new_year, 1));
    assert_eq!(timetable.next_due(), None);
}

#[test]
fn what_makes_no_timetable_is_said() {
    let replay = resident(0, 0, MisfirePolicy::Replay);
    assert_eq!(Timetable::new(&replay, at(0)).unwrap_err(), InvalidTimetable::Replay);
    let schedule = ScheduleSpec::default();
    let none = Resident { schedule, ..resident(0, 0, MisfirePolicy::Skip) };
    assert!(matches!(Timetable::new(&none, at(0)), Err(InvalidTimetable::Schedule(_))));
}

/// How the clock moves before each look, and whether an execution goes on at it.
fn looks() -> impl Strategy<Value = Vec<(i64, bool)>> {
    let moves = prop_oneof![
        8 => 0..25_000_i64,
        1 => -200_000..0_i64,
        1 => 0..20_000_000_i64,
    ];
    proptest::collection::vec((moves, any::<bool>()), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Each instant is executed, stood for or skipped, once, in order; whatever the clock does.
    #[test]
    fn every_instant_is_settled_once(
        looks in looks(),
        coalesce in any::<bool>(),
        offset in 0..9_000_u64,
        grace in prop_oneof![Just(0_u64), 0..100_000_u64, Just(1_000_000_000)],
    ) {
        let policy = if coalesce { MisfirePolicy::Coalesce } else { MisfirePolicy::Skip };
        let start = at(5_000);
        let mut timetable = Timetable::new(&resident(offset, grace, policy), start).unwrap();
        let (mut now, mut latest) = (start, start);
        let (mut skipped, mut executed, mut last) = (0, 0, start.before(timetable.offset));
        let mut ranges = 0;
        for (by, executing) in looks {
            now = if by < 0 {
                now.before(Duration::from_millis(by.unsigned_abs()))
            } else {
                now + Duration::from_millis(by.unsigned_abs())
            };
            latest = latest.max(now);
            let followed = timetable.follow(now, executing);
            skipped += followed.skipped;
            ranges += u64::from(followed.uncounted);
            if let Some(begin) = followed.begin {
                prop_assert!(!executing);
                prop_assert!(last < begin.first && begin.first <= begin.last);
                prop_assert!(begin.last + timetable.offset <= latest);
                prop_assert!(begin.count > 0 && (coalesce || begin.count == 1));
                executed += begin.count;
                last = begin.last;
            }
        }
        // What is left over from long jumps is settled now; nothing is in doubt then.
        let mut waiting = 0;
        while timetable.next_due().is_some_and(|due| due <= latest) {
            skipped += timetable.follow(latest, true).skipped;
        }
        waiting += timetable.give_up().map_or(0, |due| due.count);
        let from = start.before(timetable.offset);
        let until = latest.before(timetable.offset);
        let all = timetable.schedule.between(from, until, usize::MAX).len() as u64;
        prop_assert!(ranges > 0 || skipped + executed + waiting == all);
        prop_assert!(skipped + executed + waiting <= all);
    }
}
