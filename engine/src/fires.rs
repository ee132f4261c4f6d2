//! Schedules: which planned instants are due, and what becomes of them (SEMANTICS 4).
//!
//! Each job has a cursor: up to it every instant has its outcome. To settle instants is to move the
//! cursor over them, first over those that may not run any more (a restored store, the grace of the
//! misfire rule), then over the others as [`misfire`] says.
//!
//! An instant is its nominal time. It is due later by the jitter of its job, and that is all that
//! jitter does: cursors, runs and ledger know nominal times only.

use std::time::Duration;

use muster_api::{
    JobName, JobUid, Span, Timestamp, limits,
    schedule::{Schedule, jitter_offset},
    spec::{JobSpec, MisfirePolicy},
    views::{Cause, FireOutcome},
};

use crate::{
    cx::Cx,
    deadlines, held,
    ledger::{self, Planned},
    merges,
    misfire::{self, Fate, Instants, Standing, Why},
    records::{CursorRecord, JobRecord},
    runs::{self, NewRun},
    sweeps,
};

/// Jobs that fire in one step, so that its commit stays bounded. The rest is due at once again.
const JOBS_PER_STEP: usize = 200;

/// Instants that all jobs of one step together look at, and a job more at most.
const INSTANTS_OF_ALL_JOBS: usize = 10 * limits::INSTANTS_PER_STEP;

/// Runs of one job that are made at a time, so that a commit stays bounded; there may be as many due
/// as its misfire cap allows, and the others are due at once again.
const RUNS_AT_A_TIME: usize = 100;

/// What makes an inclusive bound out of an exclusive one.
const MILLISECOND: Duration = Duration::from_millis(1);

/// Fires what is due, as long as there is room for runs: where so many wait that there is none,
/// cursors stay, so that nothing is lost, and the job goes on when there is.
pub(crate) fn fire_due(cx: &mut Cx<'_>) {
    if cx.world.held().is_some() {
        return;
    }
    let mut looked_at = 0;
    for _ in 0..JOBS_PER_STEP {
        if cx.room_for_runs() == 0 {
            return;
        }
        let first = cx.world.fires_by_time.first_key_value();
        let due = first.filter(|((at, _), _)| *at <= cx.now.wall);
        let Some(name) = due.map(|(_, name)| name.clone()) else { break };
        looked_at += fire(cx, &name);
        if looked_at >= INSTANTS_OF_ALL_JOBS || cx.is_full() {
            break;
        }
    }
    held::forget_resumed(cx);
}

/// Gives the instants of a job that are due their outcome, as many as there is room for; says how
/// many it looked at.
fn fire(cx: &mut Cx<'_>, name: &JobName) -> usize {
    // Its app may have been disabled a moment ago.
    sweeps::catch_up(cx, name);
    let Some(job) = cx.world.jobs.get(name).cloned() else { return 0 };
    unplan(cx, &job);
    if !cx.world.is_enabled(&job) {
        return 0;
    }
    let Some(schedule) = compile(&job) else { return 0 };
    let until = cx.now.wall.before(offset(&job));
    let room = cx.room_for_runs().min(RUNS_AT_A_TIME);
    let planned = Planned { job: &job, schedule: &schedule };
    let (settled, looked_at) = settle(cx, planned, until, room);
    set_cursor(cx, &job, Some(&schedule), settled);
    looked_at
}

/// The schedule that a job fires by. The document was checked when it was accepted, so that there is
/// none only if the job has none, or its tasks follow it by themselves.
pub(crate) fn compile(job: &JobRecord) -> Option<Schedule> {
    if job.spec.is_daemon() {
        return None;
    }
    Schedule::compile(job.spec.schedule.as_ref()?, job.created_at).ok()
}

/// When an instant of a job is due.
pub(crate) fn due(job: &JobRecord, instant: Timestamp) -> Timestamp {
    instant + offset(job)
}

/// By how much later than planned a job fires.
pub(crate) fn offset(job: &JobRecord) -> Duration {
    offset_of(&job.spec, job.uid)
}

/// The same of a version of a job.
pub(crate) fn offset_of(spec: &JobSpec, uid: JobUid) -> Duration {
    jitter_of(spec, uid).duration()
}

/// The same as what it is told.
pub(crate) fn jitter_of(spec: &JobSpec, uid: JobUid) -> Span {
    let jitter = spec.schedule.as_ref().map_or(Span::ZERO, |schedule| schedule.jitter);
    jitter_offset(jitter, uid)
}

/// Gives the instants of a job up to `until` their outcome, with at most so many new runs; says up
/// to where they have one now, and how many it looked at. While the store is held nothing may fire,
/// so that all of them are skipped.
///
/// What is stored as the next instant is not asked: what counts is the schedule, from the cursor on.
fn settle(
    cx: &mut Cx<'_>,
    planned: Planned<'_>,
    until: Timestamp,
    room: usize,
) -> (Timestamp, usize) {
    let job = planned.job;
    let Some(cursor) = cx.world.cursors.get(&job.uid) else { return (until, 0) };
    let settled = cursor.settled;
    let restored = held::skip_until(cx, job).map_or(settled, |skipped| skipped.min(until));
    let (from, of_before) = pass_over(cx, planned, (settled, restored), Why::Restored);
    let misfire = &job.spec.misfire;
    let too_old = until.before(misfire.grace.duration()).before(MILLISECOND);
    let (from, old) = pass_over(cx, planned, (from, too_old), Why::TooOld(misfire.grace));
    // Runs that could not start any more would only take the place of those that can.
    let within = Some(job.spec.start_within)
        .filter(|within| misfire.policy == MisfirePolicy::Replay && !within.is_zero());
    let too_late = within.map_or(from, |within| until.before(within.duration()));
    let why = Why::TooLate(job.spec.start_within);
    let (from, late) = pass_over(cx, planned, (from, too_late), why);

    let standing = standing(cx, job, room);
    let (fates, settled) = misfire::fates(misfire, planned.schedule, (from, until), &standing);
    let mut looked_at = of_before + old + late;
    for fate in fates {
        looked_at += come_true(cx, planned, fate);
    }
    (settled, looked_at)
}

/// Skips the instants after the first bound and up to the second one; says up to where all is
/// settled then, and how many it looked at.
fn pass_over(
    cx: &mut Cx<'_>,
    planned: Planned<'_>,
    (from, until): (Timestamp, Timestamp),
    why: Why,
) -> (Timestamp, usize) {
    if until <= from {
        return (from, 0);
    }
    let skipped = Instants::of(planned.schedule, (from, until));
    let skipped = skipped.map(|instants| Fate::Pass(instants, FireOutcome::Skipped, why));
    (until, skipped.map_or(0, |fate| come_true(cx, planned, fate)))
}

fn standing(cx: &Cx<'_>, job: &JobRecord, room: usize) -> Standing {
    let waiting = merges::waiting(cx, &job.uid).next();
    // Those that have expired end in this step, so they take nobody's place.
    let waits = merges::waiting(cx, &job.uid).filter(|run| !deadlines::has_expired(cx, *run));
    Standing { former: cx.world.at_turn(&job.uid), waiting, waits: waits.count(), room }
}

/// Lets instants have their outcome; says how many it looked at.
fn come_true(cx: &mut Cx<'_>, planned: Planned<'_>, fate: Fate) -> usize {
    match fate {
        Fate::Run(instants) => {
            let new = NewRun {
                cause: Cause::Schedule,
                rerun_of: None,
                planned_at: instants.first,
                planned_until: instants.last,
                fires: instants.count,
                parameter: None,
                only: None,
            };
            let run = runs::create(cx, planned.job, new);
            if let Some(rest) = instants.rest(planned.schedule) {
                let outcome = FireOutcome::Coalesced;
                ledger::write(cx, planned, rest, outcome, Why::Missed, Some(run));
            }
            instants.looked_at()
        }
        Fate::Merge(instants, run) => {
            merges::into_run(cx, planned, instants, run);
            instants.looked_at()
        }
        Fate::Pass(instants, outcome, why) => {
            ledger::write(cx, planned, instants, outcome, why, None);
            instants.looked_at()
        }
    }
}

/// Before a job is planned anew: what came up to `at` under its present schedule is settled under
/// that one, due or not and with room or not, and then it fires no more.
pub(crate) fn close(cx: &mut Cx<'_>, job: &JobRecord, at: Timestamp) {
    let planned = cx.world.cursors.get(&job.uid).and_then(|cursor| cursor.next);
    if planned.is_some_and(|next| next <= at)
        && let Some(schedule) = compile(job)
    {
        settle(cx, Planned { job, schedule: &schedule }, at, usize::MAX);
    }
    unplan(cx, job);
    set_cursor(cx, job, None, at);
}

/// Plans a job anew, from `at` on: it was created, enabled, or has another schedule. A job that is
/// disabled or has no schedule is not planned.
pub(crate) fn plan(cx: &mut Cx<'_>, job: &JobRecord, at: Timestamp) {
    let schedule = cx.world.is_enabled(job).then(|| compile(job)).flatten();
    set_cursor(cx, job, schedule.as_ref(), at);
}

/// Reckons anew when a job fires, from where its cursor stands.
pub(crate) fn plan_on(cx: &mut Cx<'_>, job: &JobRecord) {
    if let Some(settled) = cx.world.cursors.get(&job.uid).map(|cursor| cursor.settled) {
        unplan(cx, job);
        plan(cx, job, settled);
    }
}

/// Forgets when a job fires.
pub(crate) fn unplan(cx: &mut Cx<'_>, job: &JobRecord) {
    if let Some(next) = cx.world.cursors.get(&job.uid).and_then(|cursor| cursor.next) {
        cx.world.fires_by_time.remove(&(due(job, next), job.uid));
    }
}

/// Moves the cursor of a job, which is not planned now. Where the wall clock was set back it stays
/// where it is, and nothing is planned again until that has caught up.
fn set_cursor(cx: &mut Cx<'_>, job: &JobRecord, schedule: Option<&Schedule>, settled: Timestamp) {
    let before = cx.world.cursors.get(&job.uid).map(|cursor| cursor.settled);
    let settled = before.map_or(settled, |before| before.max(settled));
    let next = schedule.and_then(|schedule| schedule.next_after(settled));
    cx.world.cursors.insert(job.uid, CursorRecord { settled, next });
    if let Some(next) = next {
        cx.world.fires_by_time.insert((due(job, next), job.uid), job.spec.name.clone());
    }
}
