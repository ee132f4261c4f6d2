//! Schedules: which planned instants are due, and what becomes of them (SEMANTICS 4).
//!
//! The policy here is `coalesce`: at most one scheduled run of a job waits, and later instants are
//! merged into it; after a downtime one run stands for all instants within the grace.
//!
//! An instant is its nominal time. It is due later by the jitter of its job, and that is all that
//! jitter does: cursors, runs and ledger know nominal times only.

use std::time::Duration;

use muster_api::{
    JobName, RunId, Span, Timestamp, limits,
    schedule::{Schedule, jitter_offset},
    views::{Cause, FireOutcome, RunState},
};

use crate::{
    cx::Cx,
    effect::Note,
    held,
    records::{self, CursorRecord, FireRangeRecord, JobRecord},
    runs::{self, NewRun},
    sweeps,
};

/// Jobs that fire in one step, so that its commit stays bounded. The rest is due at once again.
const JOBS_PER_STEP: usize = 200;

/// Instants that all jobs of one step together look at, and a job more at most.
const INSTANTS_OF_ALL_JOBS: usize = 10 * limits::INSTANTS_PER_STEP;

/// What makes an inclusive bound out of an exclusive one.
const MILLISECOND: Duration = Duration::from_millis(1);

/// Fires what is due.
pub(crate) fn fire_due(cx: &mut Cx<'_>) {
    if cx.world.held().is_some() {
        return;
    }
    let mut looked_at = 0;
    for _ in 0..JOBS_PER_STEP {
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

/// Gives every instant of a job that is due its outcome; says how many it looked at.
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
    let looked_at = settle(cx, &job, &schedule, until);
    set_cursor(cx, &job, Some(&schedule), until);
    looked_at
}

/// The schedule of a job. The document was checked when it was accepted, so that there is none only
/// if the job has none.
pub(crate) fn compile(job: &JobRecord) -> Option<Schedule> {
    Schedule::compile(job.spec.schedule.as_ref()?, job.created_at).ok()
}

/// When an instant of a job is due.
pub(crate) fn due(job: &JobRecord, instant: Timestamp) -> Timestamp {
    instant + offset(job)
}

/// By how much later than planned a job fires.
pub(crate) fn offset(job: &JobRecord) -> Duration {
    let jitter = job.spec.schedule.as_ref().map_or(Span::ZERO, |schedule| schedule.jitter);
    jitter_offset(jitter, job.uid).duration()
}

/// Gives the instants of a job up to `until` their outcome. While the store is held nothing may
/// fire, so that all of them are skipped.
///
/// What is stored as the next instant is not asked: what counts is the schedule, from the cursor on.
fn settle(cx: &mut Cx<'_>, job: &JobRecord, schedule: &Schedule, until: Timestamp) -> usize {
    let Some(cursor) = cx.world.cursors.get(&job.uid) else { return 0 };
    let settled = cursor.settled;
    let skipped = held::skip_until(cx, job).map_or(settled, |skipped| skipped.min(until));
    let from = pass_over(cx, job, schedule, (settled, skipped), "restored");
    let aged = until.before(job.spec.misfire.grace.duration()).before(MILLISECOND);
    let from = pass_over(cx, job, schedule, (from, aged), "older than the misfire grace of 7d");

    let due = schedule.between(from, until, limits::INSTANTS_PER_STEP + 1);
    let Some(last) = due.last().copied() else { return 0 };
    let all = due.len() <= limits::INSTANTS_PER_STEP;
    let first = if all { Some(due[0]) } else { schedule.next_after(from) };
    let (first, count) = (first.unwrap_or(last), all.then_some(due.len() as u64));
    run_once(cx, job, schedule, (first, last), count);
    if count != Some(1) {
        cx.note(Note::FiresMissed { job: job.spec.name.clone(), count: count.map(|n| n - 1) });
    }
    due.len()
}

/// Skips the instants after the first bound and up to the second one, as one range; says up to
/// where all is settled then.
fn pass_over(
    cx: &mut Cx<'_>,
    job: &JobRecord,
    schedule: &Schedule,
    (from, until): (Timestamp, Timestamp),
    reason: &str,
) -> Timestamp {
    if until <= from {
        return from;
    }
    if let Some(first) = schedule.next_after(from).filter(|first| *first <= until) {
        let last = schedule.previous(until + MILLISECOND).unwrap_or(first);
        ledger(cx, job, (first, last), FireOutcome::Skipped, reason, None);
        cx.note(Note::FiresMissed { job: job.spec.name.clone(), count: None });
    }
    until
}

/// Lets one run stand for instants: the one that waits already, or a new one.
fn run_once(
    cx: &mut Cx<'_>,
    job: &JobRecord,
    schedule: &Schedule,
    (first, last): (Timestamp, Timestamp),
    count: Option<u64>,
) {
    if let Some(run) = waiting_run(cx, job) {
        let first = merge(cx, (job, schedule), run, (first, last), count);
        let reason = "merged into the run that waits";
        return ledger(cx, job, (first, last), FireOutcome::Coalesced, reason, Some(run));
    }
    let new = NewRun {
        cause: Cause::Schedule,
        planned_at: first,
        planned_until: last,
        fires: count,
        parameter: None,
        only: None,
    };
    let run = runs::create(cx, job, new);
    if let Some(second) = schedule.next_after(first).filter(|second| *second <= last) {
        let reason = "merged into one run after they were missed";
        ledger(cx, job, (second, last), FireOutcome::Coalesced, reason, Some(run));
    }
}

/// The scheduled run of a job that waits and has launched nothing.
fn waiting_run(cx: &Cx<'_>, job: &JobRecord) -> Option<RunId> {
    cx.world.lanes.get(&job.uid)?.iter().copied().find(|id| {
        cx.world.runs.get(id).is_some_and(|run| {
            run.record().cause == Cause::Schedule && run.record().state == RunState::Pending
        })
    })
}

/// Merges instants into a run; says where the range of all that were merged into it in a row
/// begins. Under one version of its job that is one record, which grows.
fn merge(
    cx: &mut Cx<'_>,
    (job, schedule): (&JobRecord, &Schedule),
    id: RunId,
    (first, last): (Timestamp, Timestamp),
    count: Option<u64>,
) -> Timestamp {
    let Some(run) = cx.world.runs.change(&id) else { return first };
    // Where the wall clock was set far forward, what was passed over lies between.
    let goes_on = schedule.next_after(run.record().planned_until) == Some(first);
    let before = run.merged.filter(|(_, version)| goes_on && *version == job.version);
    let record = run.record_mut();
    record.planned_until = last;
    record.fires = record.fires.zip(count).map(|(had, more)| had + more);
    let (first, _) = *run.merged.insert(before.unwrap_or((first, job.version)));
    first
}

fn ledger(
    cx: &mut Cx<'_>,
    job: &JobRecord,
    (first, last): (Timestamp, Timestamp),
    outcome: FireOutcome,
    reason: &str,
    run: Option<RunId>,
) {
    let Some(schedule) = job.spec.schedule.clone() else { return };
    let (anchor, at, reason) = (job.created_at, cx.now.wall, reason.to_owned());
    let range = FireRangeRecord { first, last, outcome, reason, run, at, schedule, anchor };
    cx.history(records::fire_key(&job.uid, first), &range);
}

/// Before a job is planned anew: what came up to `at` under its present schedule is settled under
/// that one, due or not, and then it fires no more.
pub(crate) fn close(cx: &mut Cx<'_>, job: &JobRecord, at: Timestamp) {
    let planned = cx.world.cursors.get(&job.uid).and_then(|cursor| cursor.next);
    if planned.is_some_and(|next| next <= at)
        && let Some(schedule) = compile(job)
    {
        settle(cx, job, &schedule, at);
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
