//! Daemon jobs: one run each for as long as they are enabled, whose tasks are resident (SEMANTICS
//! 6).

use muster_api::{
    RunId,
    views::{Cause, RunState},
};

use crate::{
    cx::Cx,
    ends,
    records::JobRecord,
    run::{Run, Shard},
    runs::{self, NewRun},
    task::Task,
};

/// Lets the runs of a job be those that it should have: an enabled daemon job has one that is not
/// being stopped, and nothing else waits there; any other job has none of that kind. Doing so twice
/// changes nothing.
pub(crate) fn settle(cx: &mut Cx<'_>, job: &JobRecord) {
    let wanted = job.spec.is_daemon() && cx.world.is_enabled(job);
    let mut has_one = false;
    for id in runs::lane(cx, job.uid) {
        let Some(run) = cx.world.runs.get(&id).filter(|run| !run.is_stopping()) else { continue };
        let pending = run.record().state == RunState::Pending;
        match (job.spec.is_daemon(), run.is_daemon()) {
            (true, true) if wanted => has_one = true,
            (true, true) => runs::stop(cx, id, "disabled"),
            (false, true) => runs::stop(cx, id, "its job is no daemon any more"),
            // What it would launch is not what was asked for. One that has begun keeps its version.
            (true, false) if pending => runs::stop(cx, id, "its job is a daemon now"),
            (_, false) => {}
        }
    }
    if wanted && !has_one {
        let now = cx.now.wall;
        let new = NewRun {
            cause: Cause::Daemon,
            rerun_of: None,
            planned_at: now,
            planned_until: now,
            fires: Some(1),
            parameter: None,
            only: None,
        };
        runs::create(cx, job, new);
    }
}

/// Adapts the run of a daemon job to its newest document: further shards wait for room, and surplus
/// ones leave, at once or when their task has ended. What its tasks have to follow is a matter of
/// [`crate::rolls`].
pub(crate) fn follow_job(cx: &mut Cx<'_>, job: &JobRecord, id: RunId) {
    if !job.spec.is_daemon() {
        return;
    }
    let (app, count) = (&job.spec.app, job.spec.sharding.count);
    let same = |run: &Run| run.record().app == *app && !run.is_to_resize(count);
    if cx.world.runs.get(&id).is_none_or(same) {
        return crate::rolls::look_at(cx, id);
    }
    forget_history_beyond(cx, id, count);
    if let Some(run) = cx.world.runs.change(&id) {
        run.record_mut().app = app.clone();
        run.resize(count);
    }
    crate::rolls::look_at(cx, id);
}

/// Forgets the history of the shards that leave at once: of those that wait for another start.
fn forget_history_beyond(cx: &mut Cx<'_>, id: RunId, count: u32) {
    let Some(run) = cx.world.runs.get(&id) else { return };
    let kept: Vec<_> = run
        .shards_from(count)
        .filter_map(|(item, shard)| match shard {
            Shard::Pending(tries) | Shard::BackingOff { tries, .. } => Some((item, tries.kept)),
            Shard::Live { .. } | Shard::Over(_) => None,
        })
        .collect();
    for (item, kept) in kept {
        ends::forget_kept(cx, id, item, &kept);
    }
}

/// Whether the shard of a task that is over leaves its run: the daemon job has fewer now.
pub(crate) fn is_surplus(cx: &Cx<'_>, task: &Task) -> bool {
    let run = cx.world.runs.get(&task.run);
    let run = run.filter(|run| run.is_daemon() && !run.is_stopping());
    let job = run.and_then(|run| cx.world.job(&run.record().job, run.record().job_uid));
    job.is_some_and(|job| job.spec.is_daemon() && task.item >= job.spec.sharding.count)
}
