//! A slow, obvious way to find the instants of a cron expression: each of its local times is looked
//! up in the time zone.

use std::collections::BTreeSet;

use jiff::{
    Timestamp, ToSpan as _,
    civil::DateTime,
    tz::{AmbiguousOffset, Offset, TimeZone},
};
use muster_api::spec::{Gap, Overlap};

use super::expression::Expression;

/// The instants of `expression` after `first` and not after `last`, in Unix seconds. Local times
/// beyond `most` to a day are not looked at.
pub(crate) fn instants(
    expression: &Expression,
    zone: &TimeZone,
    (gap, overlap): (Gap, Overlap),
    (first, last): (i64, i64),
    most: usize,
) -> BTreeSet<i64> {
    let day = |second: i64| Offset::UTC.to_datetime(Timestamp::from_second(second).unwrap()).date();
    let (begin, end) = (day(first - 3 * 86_400), day(last + 3 * 86_400));
    let dates = begin.series(1.day()).take_while(|date| *date <= end);
    let times = dates.flat_map(|date| expression.times(date, most));
    let found = times.flat_map(|time| match expression.names_hours() {
        true => by_rule(zone, time, gap, overlap),
        false => by_elapsed_time(zone, time),
    });
    found.filter(|instant| (first + 1..=last).contains(instant)).collect()
}

/// Every instant at which the clocks of the zone show `time`.
fn by_elapsed_time(zone: &TimeZone, time: DateTime) -> Vec<i64> {
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => vec![instant(time, offset)],
        AmbiguousOffset::Gap { .. } => vec![],
        AmbiguousOffset::Fold { before, after } => {
            vec![instant(time, before), instant(time, after)]
        }
    }
}

/// The instants of a named local time.
fn by_rule(zone: &TimeZone, time: DateTime, gap: Gap, overlap: Overlap) -> Vec<i64> {
    match (zone.to_ambiguous_timestamp(time).offset(), gap, overlap) {
        (AmbiguousOffset::Unambiguous { offset }, ..) => vec![instant(time, offset)],
        (AmbiguousOffset::Gap { .. }, Gap::Skip, _) => vec![],
        (AmbiguousOffset::Gap { before, after }, Gap::RunAfter, _) => {
            // Reckoned with the offset after the gap it lies before the setting of the clocks.
            let mut second = instant(time, after);
            while zone.to_offset(Timestamp::from_second(second).unwrap()) == before {
                second += 1;
            }
            vec![second]
        }
        (AmbiguousOffset::Fold { before, .. }, _, Overlap::First) => vec![instant(time, before)],
        (AmbiguousOffset::Fold { after, .. }, _, Overlap::Second) => vec![instant(time, after)],
        (AmbiguousOffset::Fold { before, after }, _, Overlap::Both) => {
            vec![instant(time, before), instant(time, after)]
        }
    }
}

fn instant(time: DateTime, offset: Offset) -> i64 {
    offset.to_timestamp(time).unwrap().as_second()
}
