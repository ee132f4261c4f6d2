//! Schedules seen from outside: examples, laws, every odd day of every zone, and Quartz itself.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod examples;
mod expression;
mod laws;
mod odd_days;
mod oracle;
mod quartz;

use muster_api::{
    Timestamp,
    schedule::Schedule,
    spec::{Gap, Overlap, ScheduleSpec},
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cron(text: &str) -> ScheduleSpec {
    ScheduleSpec { cron: Some(text.into()), ..ScheduleSpec::default() }
}

fn cron_in(text: &str, zone: &str, gap: Gap, overlap: Overlap) -> ScheduleSpec {
    let time_zone = Some(zone.into());
    ScheduleSpec { time_zone, gap: Some(gap), overlap: Some(overlap), ..cron(text) }
}

fn compiled(spec: &ScheduleSpec) -> Schedule {
    let faults = Schedule::check(spec);
    assert!(faults.is_empty(), "{spec:?}: {faults:?}");
    Schedule::compile(spec, at("2026-01-01T00:00:00.5Z")).unwrap()
}

/// The instants after `first` and not after `last`.
fn instants(schedule: &Schedule, first: Timestamp, last: Timestamp) -> Vec<Timestamp> {
    let following =
        std::iter::successors(schedule.next_after(first), |instant| schedule.next_after(*instant));
    following.take_while(|instant| *instant <= last).collect()
}
