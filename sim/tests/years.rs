//! Some weeks of schedules around the days on which clocks are set, with a scheduler that is killed
//! again and again. `muster-sim years` lives for longer.

use jiff::civil::date;
use muster_sim::{Life, live};

/// From before the gap of Berlin until after the overlap of Lord Howe.
const SPRING: Life = Life { from: date(2026, 3, 27), until: date(2026, 4, 7), seed: 1 };
/// The gap of Lord Howe.
const OCTOBER: Life = Life { from: date(2026, 10, 2), until: date(2026, 10, 6), seed: 2 };
/// From before the overlap of Berlin until after that of New York.
const AUTUMN: Life = Life { from: date(2026, 10, 23), until: date(2026, 11, 3), seed: 3 };

/// Each of them has jobs with every misfire policy, and users who change it.
#[test]
fn every_planned_instant_has_one_outcome() {
    let (mut starts, mut coalesced, mut skipped, mut dropped) = (0, 0, 0, 0);
    for life in [SPRING, OCTOBER, AUTUMN] {
        let outcome = live(life);
        assert_eq!(outcome.violation, None, "{outcome}");
        assert!(outcome.tally.planned > 100 && outcome.tasks > 50, "{outcome}");
        starts += outcome.starts;
        coalesced += outcome.tally.coalesced;
        skipped += outcome.tally.skipped;
        dropped += outcome.tally.dropped;
    }
    assert!(starts > 5, "{starts} starts are too few");
    let outcomes = [coalesced, skipped, dropped];
    assert!(outcomes.iter().all(|count| *count > 0), "there are none of some of {outcomes:?}");
}

#[test]
fn a_life_repeats() {
    let days = Life { until: date(2026, 3, 29), ..SPRING };
    assert_eq!(live(days).digest, live(days).digest);
}
