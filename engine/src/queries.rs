//! Answers about live state.

use std::ops::Bound;

use muster_api::{
    AgentId, JobName, Resources, RunId, limits,
    spec::{AppSpec, JobSpec, Launch},
    views::{Cause, QueueView, RunView, ShardState, ShardView, WaitReason},
};

use crate::{
    cx::Cx,
    query::{Answer, LiveFire, Query, TaskPlace},
    render::bare_shard,
    run::{Run, Shard},
    world::World,
};

/// Answers a question.
pub(crate) fn answer(cx: &Cx<'_>, query: Query) -> Answer {
    let world = &*cx.world;
    match query {
        Query::Runs { job, before } => Answer::Runs(runs(world, job.as_ref(), before)),
        Query::Run { run } => Answer::Run(world.runs.get(&run).map(|run| Box::new(view(run)))),
        Query::Shards { run, state, after, limit } => {
            Answer::Shards(shards(world, run, state, after, limit))
        }
        Query::Task { run, item } => Answer::Task(place(world, run, item)),
        Query::Queue { skip, limit } => {
            let places = world.waiting.iter().skip(skip).take(limit.min(limits::LIVE_ROWS));
            Answer::Queue(places.filter_map(|place| queue_row(world, place.3)).collect())
        }
        Query::Fires { job } => Answer::Fires(fires(world, &job)),
        // The driver asks the master; the engine knows no agents but through their offers.
        Query::Agents => Answer::Agents(Vec::new()),
    }
}

fn view(run: &Run) -> RunView {
    run.record().view_with(run.counts())
}

fn runs(world: &World, job: Option<&JobName>, before: Option<RunId>) -> Vec<RunView> {
    let of_job = |run: &&Run| job.is_none_or(|job| run.record().job == *job);
    let before = before.map_or(Bound::Unbounded, Bound::Excluded);
    let older = world.runs.range((Bound::Unbounded, before));
    let newest = older.rev().map(|(_, run)| run).filter(of_job);
    newest.take(limits::LIVE_ROWS).map(view).collect()
}

fn shards(
    world: &World,
    id: RunId,
    state: Option<ShardState>,
    after: Option<u32>,
    limit: usize,
) -> Option<Vec<ShardView>> {
    let run = world.runs.get(&id)?;
    let job = world.spec_of(run);
    let wanted = run
        .shards_from(after.map_or(0, |item| item.saturating_add(1)))
        .filter(|(_, shard)| state.is_none_or(|state| shard.state() == state));
    let rows = wanted.take(limit).map(|(item, shard)| {
        let parameter = job.as_ref().map_or("", |job| job.shard_parameter(item));
        shard_view(world, item, parameter, &shard)
    });
    Some(rows.collect())
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
fn queue_row(world: &World, id: RunId) -> Option<QueueView> {
    let run = world.runs.get(&id)?;
    let (record, counts) = (run.record(), run.counts());
    let job = world.spec_of(run)?;
    let app = world.apps.get(&record.app)?;
    let (reason, detail) =
        if let Some(former) = world.at_turn(&record.job_uid).filter(|first| *first != id) {
            (WaitReason::FormerRun, format!("run {former} of the same job goes on"))
        } else if counts.pending == 0 {
            let detail = format!("{} shard(s) wait out their back-off", counts.backing_off);
            (WaitReason::BackingOff, detail)
        } else if job.launch == Launch::AllAtOnce && !run.has_started() {
            all_at_once_reason(world, &job, &app.spec, counts.pending)
        } else {
            room_reason(world, &job, &app.spec)
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

/// How many shards of a run that starts all at once fit on the hosts together, each with an
/// executor of its own.
fn all_at_once_reason(
    world: &World,
    job: &JobSpec,
    app: &AppSpec,
    shards: u32,
) -> (WaitReason, String) {
    let hosts = world.agents.values().filter(|agent| agent.silent_since.is_none());
    let fit: u64 = hosts.map(|agent| shards_that_fit(&agent.free(), job, app)).sum();
    if fit == 0 || fit >= u64::from(shards) {
        return room_reason(world, job, app);
    }
    let detail = format!("all {shards} shards start at once, and there is room for {fit} now");
    (WaitReason::NoRoom, detail)
}

fn shards_that_fit(free: &Resources, job: &JobSpec, app: &AppSpec) -> u64 {
    let Some(left) = free.checked_sub(&app.resources) else { return 0 };
    let fit = job.resources.iter().map(|(name, need)| {
        left.get(name).thousandths().checked_div(need.thousandths()).unwrap_or(u64::MAX)
    });
    fit.min().unwrap_or(0)
}

/// Which dimension is short by how much on the best host.
fn room_reason(world: &World, job: &JobSpec, app: &AppSpec) -> (WaitReason, String) {
    let present = world.agents.values().filter(|agent| agent.silent_since.is_none());
    if present.count() == 0 {
        let detail = "no executor host is there; start one with `muster agent`".to_owned();
        return (WaitReason::NoAgents, detail);
    }
    let Some(need) = job.resources.checked_add(&app.resources) else {
        return (WaitReason::NoRoom, "it needs more than any host can have".to_owned());
    };
    let best = world
        .agents
        .iter()
        .filter(|(_, agent)| agent.silent_since.is_none())
        .map(|(id, agent)| (shortage(&need, &agent.free()), id, agent.hostname.as_str()))
        .min();
    match best {
        Some(((0, _, _), ..)) | None => (WaitReason::NotTried, "it is next".to_owned()),
        Some(((_, _, words), id, hostname)) => (WaitReason::NoRoom, no_room(&words, id, hostname)),
    }
}

fn no_room(words: &str, id: &AgentId, hostname: &str) -> String {
    format!("no host has room for a shard and its executor: the best, {hostname} ({id}), {words}")
}

/// How many dimensions are short, by how much in all, and that in words.
fn shortage(need: &Resources, free: &Resources) -> (usize, u64, String) {
    let (mut missing, mut total) = (Vec::new(), 0);
    for (name, amount) in need.iter() {
        let has = free.get(name);
        if let Some(short) = amount.thousandths().checked_sub(has.thousandths())
            && short > 0
        {
            total += short;
            let short = muster_api::Amount::from_thousandths(short);
            missing.push(format!("is short of {short} {name} ({amount} needed, {has} free)"));
        }
    }
    (missing.len(), total, missing.join(" and "))
}
