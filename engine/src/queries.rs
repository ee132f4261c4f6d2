//! Answers about live state.

use std::{ops::Bound, sync::Arc};

use muster_api::{
    JobName, RunId, limits,
    spec::JobSpec,
    views::{Cause, HeldView, QueueView, RunView, ShardState, ShardView, WaitReason},
};

use crate::{
    census,
    cx::Cx,
    drains, explain, hosts, outbox,
    query::{Answer, LiveFire, Query, TaskPlace},
    records::JobRecord,
    render::bare_shard,
    run::{Run, Shard},
    waits::Reasons,
    world::World,
};

/// Answers a question.
pub(crate) fn answer(cx: &Cx<'_>, query: Query) -> Answer {
    let world = &*cx.world;
    match query {
        Query::Runs { job, before } => Answer::Runs(runs(world, job.as_ref(), before)),
        Query::Run { run } => {
            Answer::Run(world.runs.get(&run).map(|run| Box::new(world.view_of(run))))
        }
        Query::Shards { run, state, after, limit } => {
            Answer::Shards(shards(world, run, state, after, limit))
        }
        Query::Task { run, item } => Answer::Task(place(world, run, item)),
        Query::Queue { skip, limit } => {
            let places = world.waiting.iter().skip(skip).take(limit.min(limits::LIVE_ROWS));
            let mut reasons = Reasons::of(world);
            Answer::Queue(
                places.filter_map(|place| queue_row(world, &mut reasons, place.3)).collect(),
            )
        }
        Query::Fires { job } => Answer::Fires(fires(world, &job)),
        Query::Follows { job } => {
            let follows = |job: &&JobRecord| job.spec.is_daemon() && world.is_enabled(job);
            Answer::Follows(world.jobs.get(&job).filter(follows).map(|_| cx.now.wall))
        }
        Query::Explain { run } => Answer::Explain(explain::run(world, cx.now, run).map(Box::new)),
        Query::ExplainJob { job } => {
            Answer::ExplainJob(explain::job(world, cx.now, &job).map(Box::new))
        }
        // Where the master is our own it is asked in our place, and knows all of it.
        Query::Offers { skip, limit } => Answer::Offers(hosts::offers(world, cx.now, skip, limit)),
        Query::Agents => Answer::Agents(hosts::agents(world, cx.now)),
        // Frameworks beside us are what only our own master knows.
        Query::Frameworks => Answer::Frameworks(Vec::new()),
        Query::Roles => Answer::Roles(Vec::new()),
        Query::Credentials => Answer::Credentials(Vec::new()),
        Query::Cluster { .. } => Answer::Cluster(Box::default()),
        Query::LeftOn { agent } => Answer::LeftOn(drains::left(world, cx.now, &agent)),
        Query::Notices { skip, limit } => {
            Answer::Notices(outbox::views(world, cx.now, skip, limit))
        }
        Query::Held => Answer::Held(world.held().map(|since| HeldView { since })),
        Query::Census => Answer::Census(census::of(world)),
    }
}

impl World {
    /// A run as people see it; that of a daemon job follows the newest version of that.
    pub(crate) fn view_of(&self, run: &Run) -> RunView {
        let record = run.record();
        let newest = self.job(&record.job, record.job_uid).filter(|_| run.is_daemon());
        let version = record.version.or(newest.map(|job| job.version));
        RunView { version, ..record.view_with(run.counts()) }
    }
}

fn runs(world: &World, job: Option<&JobName>, before: Option<RunId>) -> Vec<RunView> {
    let Some(job) = job else {
        let before = before.map_or(Bound::Unbounded, Bound::Excluded);
        let newest = world.runs.range((Bound::Unbounded, before)).rev();
        return newest.take(limits::LIVE_ROWS).map(|(_, run)| world.view_of(run)).collect();
    };
    // Those of one job are in its lane, few of all that there may be.
    let Some(job) = world.jobs.get(job) else { return Vec::new() };
    let lane = world.lanes.get(&job.uid).into_iter().flatten().copied();
    let mut ids: Vec<_> = lane.filter(|id| before.is_none_or(|before| *id < before)).collect();
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    let newest = ids.iter().filter_map(|id| world.runs.get(id));
    newest.take(limits::LIVE_ROWS).map(|run| world.view_of(run)).collect()
}

fn shards(
    world: &World,
    id: RunId,
    state: Option<ShardState>,
    after: Option<u32>,
    limit: usize,
) -> Option<Vec<ShardView>> {
    let run = world.runs.get(&id)?;
    let newest = world.spec_of(run);
    let wanted = run
        .shards_from(after.map_or(0, |item| item.saturating_add(1)))
        .filter(|(_, shard)| state.is_none_or(|state| shard.state() == state));
    let rows = wanted.take(limit).map(|(item, shard)| {
        let job = launched_with(world, &shard).or_else(|| newest.clone());
        let parameter = job.as_ref().map_or("", |job| job.shard_parameter(item));
        shard_view(world, item, parameter, &shard)
    });
    Some(rows.collect())
}

/// The document that the task of a shard was launched with, where its run follows the newest.
fn launched_with(world: &World, shard: &Shard) -> Option<Arc<JobSpec>> {
    let Shard::Live { task, .. } = shard else { return None };
    let task = world.tasks.get(task).filter(|task| task.is_resident())?;
    world.spec_of_task(task)
}

fn shard_view(world: &World, item: u32, parameter: &str, shard: &Shard) -> ShardView {
    let bare = bare_shard(item, parameter, shard.state());
    match shard {
        Shard::Over(_) => bare,
        Shard::Pending(tries) | Shard::BackingOff { tries, .. } => {
            ShardView { attempt: tries.attempt, reason: tries.reason.clone(), ..bare }
        }
        Shard::Live { task: id, .. } => match world.tasks.get(id) {
            None => bare,
            Some(task) => ShardView {
                task: Some(*id),
                agent: Some(task.agent.clone()),
                hostname: Some(task.hostname.clone()),
                executor: Some(task.executor),
                attempt: task.tries.attempt,
                epoch: Some(task.epoch),
                started_at: task.started_at,
                reason: task.tries.reason.clone(),
                ..bare
            },
        },
    }
}

fn place(world: &World, run: RunId, item: u32) -> Option<TaskPlace> {
    let Shard::Live { task: id, .. } = world.runs.get(&run)?.shard(item)? else { return None };
    let task = world.tasks.get(&id)?;
    Some(TaskPlace {
        task: id,
        attempt: task.tries.attempt,
        agent: task.agent.clone(),
        executor: task.executor,
    })
}

fn fires(world: &World, job: &JobName) -> Vec<LiveFire> {
    let Some(job) = world.jobs.get(job) else { return Vec::new() };
    let lane = world.lanes.get(&job.uid).into_iter().flatten();
    let scheduled = lane
        .filter_map(|id| world.runs.get(id))
        .filter(|run| run.record().cause == Cause::Schedule);
    scheduled
        .map(|run| LiveFire {
            planned_at: run.record().planned_at,
            run: run.record().id,
            started: run.has_started(),
        })
        .collect()
}

/// A waiting run with its reason, reckoned when asked.
fn queue_row(world: &World, reasons: &mut Reasons<'_>, id: RunId) -> Option<QueueView> {
    let run = world.runs.get(&id)?;
    let (record, counts) = (run.record(), run.counts());
    let (reason, detail) = if let Some(known) = explain::not_for_room(world, run) {
        known
    } else if counts.pending == 0 {
        let first = run.backing_off().min_by_key(|(item, until)| (*until, *item));
        let first = first.map_or(0, |(item, _)| item);
        let detail = explain::back_off_words(run, first, counts.backing_off as usize);
        (WaitReason::BackingOff, detail)
    } else {
        reasons.reason(run)?
    };
    Some(QueueView {
        run: id,
        job: record.job.clone(),
        app: record.app.clone(),
        priority: world.newest_spec_of(run).map_or(0, |spec| spec.priority),
        planned_at: record.planned_at,
        pending: counts.pending + counts.backing_off,
        reason,
        detail,
    })
}
