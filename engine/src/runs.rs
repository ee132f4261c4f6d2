//! Runs: how they begin, take their turn, are stopped and end.

use muster_api::{
    JobUid, RunId, Timestamp,
    views::{Cause, RunState, ShardState},
};

use crate::{
    cx::Cx,
    daemons,
    effect::{Effect, Note},
    items::Items,
    ledger, notices,
    records::{self, JobRecord, RunRecord, ShardsRecord, StoppedFor},
    revisions, rolls,
    run::Run,
    task::KillCause,
    tasks, trace,
    world::Timer,
};

/// What a new run is to be.
pub(crate) struct NewRun {
    pub(crate) cause: Cause,
    pub(crate) rerun_of: Option<RunId>,
    pub(crate) planned_at: Timestamp,
    pub(crate) planned_until: Timestamp,
    pub(crate) fires: Option<u64>,
    pub(crate) parameter: Option<String>,
    pub(crate) only: Option<Items>,
}

/// Makes a run, which waits for its turn and for room.
pub(crate) fn create(cx: &mut Cx<'_>, job: &JobRecord, new: NewRun) -> RunId {
    let id = RunId::from_uuid(cx.world.ids.uuid(cx.now.wall));
    let items = new.only.clone().unwrap_or_else(|| Items::first(job.spec.sharding.count));
    let record = RunRecord {
        id,
        job: job.spec.name.clone(),
        job_uid: job.uid,
        app: job.spec.app.clone(),
        version: None,
        revision: None,
        cause: new.cause,
        rerun_of: new.rerun_of,
        state: RunState::Pending,
        reason: None,
        stopped_for: None,
        merged_into: None,
        planned_at: new.planned_at,
        planned_until: new.planned_until,
        fires: new.fires,
        created_at: cx.now.wall,
        started_at: None,
        ended_at: None,
        parameter: new.parameter,
        only: new.only,
        shards: ShardsRecord::default(),
    };
    cx.world.runs.insert(id, Run::new(record, &items));
    cx.world.lanes.entry(job.uid).or_default().push_back(id);
    cx.world.requeue(id);
    trace::run(cx, id);
    cx.note(Note::RunCreated { run: id });
    id
}

/// Adapts the runs of a job that have launched nothing to its newest document.
pub(crate) fn follow_job(cx: &mut Cx<'_>, job: &JobRecord) {
    for id in lane(cx, job.uid) {
        let adapts = |run: &Run| run.record().version.is_none() && !run.is_stopping();
        let Some(run) = cx.world.runs.get(&id).filter(|run| adapts(run)) else { continue };
        if run.is_daemon() {
            daemons::follow_job(cx, job, id);
            continue;
        }
        let Some(run) = cx.world.runs.change(&id) else { continue };
        let count = job.spec.sharding.count;
        let items = match &run.record().only {
            Some(only) => only.iter().filter(|item| *item < count).collect(),
            None => Items::first(count),
        };
        let mut record = run.record().clone();
        record.app = job.spec.app.clone();
        // Since when it waits for room is no matter of its document.
        let turn_at = run.turn_at;
        *run = Run::new(record, &items);
        run.turn_at = turn_at;
        if items.is_empty() {
            stop(cx, id, "the job has none of the items asked for any more");
        } else {
            cx.world.requeue(id);
        }
    }
}

/// The runs of a job, in the order of their turns.
pub(crate) fn lane(cx: &Cx<'_>, job: JobUid) -> Vec<RunId> {
    cx.world.lanes.get(&job).map(|lane| lane.iter().copied().collect()).unwrap_or_default()
}

/// Ends a run because somebody wants it so: what waits is cancelled, what lives is killed.
pub(crate) fn stop(cx: &mut Cx<'_>, id: RunId, reason: &str) {
    end_early(cx, id, None, reason);
}

/// Ends a run that has taken too long: all that is not over by then is timed out.
pub(crate) fn time_out(cx: &mut Cx<'_>, id: RunId, reason: &str) {
    end_early(cx, id, Some(StoppedFor::Timeout), reason);
}

/// Ends a run by a rule, or because somebody wants it so. One that is being stopped already is
/// stopped for what it was, whoever asks then.
fn end_early(cx: &mut Cx<'_>, id: RunId, rule: Option<StoppedFor>, reason: &str) {
    cx.world.out_of_queue(id);
    let Some(run) = cx.world.runs.change(&id) else { return };
    let is_news = !run.is_stopping();
    if is_news {
        let record = run.record_mut();
        record.state = RunState::Stopping;
        record.stopped_for = rule;
        record.reason = Some(reason.to_owned());
    }
    if let Some(state) = run.record().stopped_as() {
        *cx.out.tally.shards_over.of(state) += run.give_up_waiting(state);
    }
    let live: Vec<_> = run.live().map(|(_, live)| live.task).collect();
    if is_news {
        trace::run(cx, id);
    }
    for task in live {
        tasks::kill(cx, task, KillCause::Asked);
    }
    proceed(cx, id);
}

/// Looks at a run again after one of its shards changed: it may be over.
pub(crate) fn proceed(cx: &mut Cx<'_>, id: RunId) {
    let Some(run) = cx.world.runs.get(&id) else { return };
    if run.all_over() {
        return end(cx, id);
    }
    cx.world.requeue(id);
    rolls::look_at(cx, id);
}

fn end(cx: &mut Cx<'_>, id: RunId) {
    cx.world.out_of_queue(id);
    let Some(mut run) = cx.world.runs.remove(&id) else { return };
    if let Some(at) = run.timeout_at {
        cx.world.timers.remove(&(at, Timer::RunTimeout(id)));
    }
    let state = final_state(&run);
    let newest = cx.world.job(&run.record().job, run.record().job_uid).map(|job| job.version);
    let (resident, killed) = (run.is_daemon(), run.counts().cancelled);
    let record = run.record_mut();
    if state == RunState::Succeeded {
        // It was about to be stopped, and every shard was faster.
        (record.reason, record.stopped_for) = (None, None);
    }
    if record.state != RunState::Stopping && state == RunState::Cancelled {
        record.reason = Some(format!("{killed} shard(s) killed on request"));
    }
    if resident {
        record.version = newest;
    }
    record.state = state;
    record.ended_at = Some(cx.now.wall);
    let (uid, stored) = (record.job_uid, run.to_record(cx.now));
    cx.out.writes.extend(records::past_run_writes(&stored));
    trace::run_over(cx, &stored);
    ledger::is_over(cx, &stored);
    notices::run_over(cx, &run);
    cx.note(Note::RunEnded { run: id, state });
    cx.effect(Effect::RunOver(id));
    cx.world.revision_uses.run_ends(&stored);
    let app = cx.world.apps.get(&stored.app).map(|app| app.uid);
    if let (Some(app), Some(revision)) = (app, stored.revision) {
        revisions::forget_unused(cx, &stored.app, app, revision);
    }
    leave_lane(cx, uid, id);
}

fn final_state(run: &Run) -> RunState {
    let counts = run.counts();
    let cancelled = run.record().stopped_as() == Some(ShardState::Cancelled);
    if cancelled || !run.has_started() {
        RunState::Cancelled
    } else if counts.failed > 0 {
        RunState::Failed
    } else if counts.timed_out > 0 {
        RunState::TimedOut
    } else if counts.cancelled > 0 {
        RunState::Cancelled
    } else {
        RunState::Succeeded
    }
}

/// Takes a run out of its lane, so that the next one has its turn.
fn leave_lane(cx: &mut Cx<'_>, uid: JobUid, id: RunId) {
    let Some(lane) = cx.world.lanes.get_mut(&uid) else { return };
    lane.retain(|run| *run != id);
    match lane.front().copied() {
        Some(next) => {
            if let Some(run) = cx.world.runs.memory(&next) {
                run.turn_at.get_or_insert(cx.now.wall);
            }
            cx.world.requeue(next);
        }
        None => {
            cx.world.lanes.remove(&uid);
            crate::documents::forget_versions(cx, uid);
        }
    }
}
