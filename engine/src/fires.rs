//! Schedules: which planned instants are due, and what becomes of them (SEMANTICS 4).
//!
//! The policy here is `coalesce`: at most one scheduled run of a job waits, and later instants are
//! merged into it; after a downtime one run stands for all instants within the grace.

use muster_api::{
    JobName, JobUid, Timestamp, limits,
    schedule::Schedule,
    views::{Cause, FireOutcome, RunState},
};

use crate::{
    cx::Cx,
    effect::Note,
    records::{self, CursorRecord, FireRangeRecord},
    runs::{self, NewRun},
    world::Planned,
};

/// Jobs that fire in one step, so that its commit stays bounded. The rest is due at once again.
const JOBS_PER_STEP: usize = 200;

/// Fires what is due.
pub(crate) fn fire_due(cx: &mut Cx<'_>) {
    for _ in 0..JOBS_PER_STEP {
        match cx.world.fires_by_time.first().copied() {
            Some((at, uid)) if at <= cx.now.wall => fire(cx, uid),
            _ => return,
        }
    }
}

/// Gives every instant of a job that is due its outcome.
pub(crate) fn fire(cx: &mut Cx<'_>, uid: JobUid) {
    let Some(planned) = cx.world.fires.remove(&uid) else { return };
    cx.world.fires_by_time.remove(&(planned.next, uid));
    if planned.next <= cx.now.wall {
        settle(cx, uid, &planned);
    }
    let next = planned.schedule.next_after(cx.now.wall.max(planned.next.before(MILLISECOND)));
    set_next(cx, uid, planned.name, planned.schedule, next);
}

const MILLISECOND: std::time::Duration = std::time::Duration::from_millis(1);

fn settle(cx: &mut Cx<'_>, uid: JobUid, planned: &Planned) {
    let schedule = &planned.schedule;
    let oldest = cx.now.wall.before(limits::MISFIRE_GRACE);
    let mut from = planned.next.before(MILLISECOND);
    if planned.next < oldest {
        let last = schedule.previous(oldest).unwrap_or(planned.next);
        let reason = "older than the misfire grace of 7d".to_owned();
        ledger(cx, uid, planned, (planned.next, last), FireOutcome::Skipped, reason, None);
        cx.note(Note::FiresMissed { job: planned.name.clone(), count: None });
        from = oldest.before(MILLISECOND);
    }
    let due = schedule.between(from, cx.now.wall, limits::INSTANTS_PER_STEP + 1);
    let (Some(first), Some(last)) = (schedule.next_after(from), due.last().copied()) else {
        return;
    };
    if first > cx.now.wall {
        return;
    }
    let count = (due.len() <= limits::INSTANTS_PER_STEP).then_some(due.len() as u64);
    let run = match waiting_run(cx, uid) {
        Some(run) => {
            merge(cx, run, last, count);
            let reason = "merged into the run that waits".to_owned();
            ledger(cx, uid, planned, (first, last), FireOutcome::Coalesced, reason, Some(run));
            run
        }
        None => {
            let Some(run) = create(cx, planned, first, last, count) else { return };
            if let Some(second) = schedule.next_after(first).filter(|second| *second <= last) {
                let reason = "merged into one run after they were missed".to_owned();
                let range = (second, last);
                ledger(cx, uid, planned, range, FireOutcome::Coalesced, reason, Some(run));
            }
            run
        }
    };
    if count != Some(1) {
        cx.note(Note::FiresMissed { job: planned.name.clone(), count: count.map(|n| n - 1) });
    }
    cx.world.requeue(run);
}

/// The scheduled run of a job that waits and has launched nothing.
fn waiting_run(cx: &Cx<'_>, uid: JobUid) -> Option<muster_api::RunId> {
    cx.world.lanes.get(&uid)?.iter().copied().find(|id| {
        cx.world.runs.get(id).is_some_and(|run| {
            run.record().cause == Cause::Schedule && run.record().state == RunState::Pending
        })
    })
}

fn merge(cx: &mut Cx<'_>, id: muster_api::RunId, last: Timestamp, count: Option<u64>) {
    if let Some(run) = cx.world.runs.change(&id) {
        let record = run.record_mut();
        record.planned_until = last;
        record.fires = record.fires.zip(count).map(|(had, more)| had + more);
    }
}

fn create(
    cx: &mut Cx<'_>,
    planned: &Planned,
    first: Timestamp,
    last: Timestamp,
    fires: Option<u64>,
) -> Option<muster_api::RunId> {
    let job = cx.world.jobs.get(&planned.name)?.clone();
    let new = NewRun {
        cause: Cause::Schedule,
        planned_at: first,
        planned_until: last,
        fires,
        parameter: None,
        only: None,
    };
    Some(runs::create(cx, &job, new))
}

fn ledger(
    cx: &mut Cx<'_>,
    uid: JobUid,
    planned: &Planned,
    (first, last): (Timestamp, Timestamp),
    outcome: FireOutcome,
    reason: String,
    run: Option<muster_api::RunId>,
) {
    let Some(job) = cx.world.jobs.get(&planned.name) else { return };
    let Some(schedule) = job.spec.schedule.clone() else { return };
    let anchor = job.created_at;
    let range =
        FireRangeRecord { first, last, outcome, reason, run, at: cx.now.wall, schedule, anchor };
    cx.history(records::fire_key(&uid, first), &range);
}

/// Plans a job anew, from the present on: it was created, enabled, or has another schedule. A job
/// that is disabled or has no schedule is not planned.
pub(crate) fn plan(cx: &mut Cx<'_>, name: &JobName) {
    let Some(job) = cx.world.jobs.get(name) else { return };
    let uid = job.uid;
    let enabled = cx.world.is_enabled(job);
    let compiled = job.spec.schedule.as_ref().filter(|_| enabled).and_then(|spec| {
        // The document was checked when it was accepted.
        Schedule::compile(spec, job.created_at).ok()
    });
    unplan(cx, uid);
    let settled = settled(cx, uid);
    match compiled {
        Some(schedule) => {
            let next = schedule.next_after(settled);
            set_next(cx, uid, name.clone(), schedule, next);
        }
        None => cx.world.cursors.insert(uid, CursorRecord { settled, next: None }),
    }
}

/// Up to when the instants of a job are settled by now. Where the wall clock was set back, nothing
/// is planned again until it has caught up.
fn settled(cx: &Cx<'_>, uid: JobUid) -> Timestamp {
    cx.world.cursors.get(&uid).map_or(cx.now.wall, |cursor| cursor.settled.max(cx.now.wall))
}

/// Forgets when a job fires.
pub(crate) fn unplan(cx: &mut Cx<'_>, uid: JobUid) {
    if let Some(planned) = cx.world.fires.remove(&uid) {
        cx.world.fires_by_time.remove(&(planned.next, uid));
    }
}

fn set_next(
    cx: &mut Cx<'_>,
    uid: JobUid,
    name: JobName,
    schedule: Schedule,
    next: Option<Timestamp>,
) {
    let settled = settled(cx, uid);
    cx.world.cursors.insert(uid, CursorRecord { settled, next });
    if let Some(next) = next {
        cx.world.fires.insert(uid, Planned { name, schedule, next });
        cx.world.fires_by_time.insert((next, uid));
    }
}
