//! Answers about live state.

use std::{collections::BTreeMap, ops::Bound};

use muster_api::{
    AgentId, Amount, JobName, Resources, RunId, limits,
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
            let mut rooms = Rooms::of(world);
            Answer::Queue(
                places.filter_map(|place| queue_row(world, &mut rooms, place.3)).collect(),
            )
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
fn queue_row(world: &World, rooms: &mut Rooms<'_>, id: RunId) -> Option<QueueView> {
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
            rooms.all_at_once_reason(&job, &app.spec, counts.pending)
        } else {
            rooms.reason(&job, &app.spec)
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

/// What is free on the hosts that are there, reckoned once for all rows of an answer.
struct Rooms<'a> {
    hosts: Vec<(&'a AgentId, &'a str, Resources)>,
    /// The reasons found so far, by what was needed: many runs need the same.
    known: BTreeMap<Resources, (WaitReason, String)>,
}

impl<'a> Rooms<'a> {
    fn of(world: &'a World) -> Self {
        let present = world.agents.iter().filter(|(_, agent)| agent.silent_since.is_none());
        let hosts = present.map(|(id, agent)| (id, agent.hostname.as_str(), agent.free()));
        Self { hosts: hosts.collect(), known: BTreeMap::new() }
    }

    /// How many shards of a run that starts all at once fit on the hosts together, each with an
    /// executor of its own.
    fn all_at_once_reason(
        &mut self,
        job: &JobSpec,
        app: &AppSpec,
        shards: u32,
    ) -> (WaitReason, String) {
        let fit: u64 = self.hosts.iter().map(|(.., free)| shards_that_fit(free, job, app)).sum();
        if fit == 0 || fit >= u64::from(shards) {
            return self.reason(job, app);
        }
        let detail = format!("all {shards} shards start at once, and there is room for {fit} now");
        (WaitReason::NoRoom, detail)
    }

    /// Which dimension is short by how much on the best host.
    fn reason(&mut self, job: &JobSpec, app: &AppSpec) -> (WaitReason, String) {
        if self.hosts.is_empty() {
            let detail = "no executor host is there; start one with `muster agent`".to_owned();
            return (WaitReason::NoAgents, detail);
        }
        let Some(need) = job.resources.checked_add(&app.resources) else {
            return (WaitReason::NoRoom, "it needs more than any host can have".to_owned());
        };
        let hosts = &self.hosts;
        self.known.entry(need).or_insert_with_key(|need| best_host_reason(hosts, need)).clone()
    }
}

fn best_host_reason(
    hosts: &[(&AgentId, &str, Resources)],
    need: &Resources,
) -> (WaitReason, String) {
    let best = hosts.iter().min_by_key(|(id, _, free)| (shortage(need, free), *id));
    match best {
        Some((id, hostname, free)) if shortage(need, free).0 > 0 => {
            let words = shortage_words(need, free);
            let detail = format!(
                "no host has room for a shard and its executor: the best, {hostname} ({id}), {words}"
            );
            (WaitReason::NoRoom, detail)
        }
        _ => (WaitReason::NotTried, "it is next".to_owned()),
    }
}

fn shards_that_fit(free: &Resources, job: &JobSpec, app: &AppSpec) -> u64 {
    let Some(left) = free.checked_sub(&app.resources) else { return 0 };
    let fit = job.resources.iter().map(|(name, need)| {
        left.get(name).thousandths().checked_div(need.thousandths()).unwrap_or(u64::MAX)
    });
    fit.min().unwrap_or(0)
}

/// By how much each dimension is short that is.
fn short<'a>(
    need: &'a Resources,
    free: &'a Resources,
) -> impl Iterator<Item = (&'a str, Amount, Amount, Amount)> {
    need.iter().filter_map(|(name, amount)| {
        let has = free.get(name);
        let short = amount.thousandths().checked_sub(has.thousandths()).filter(|n| *n > 0)?;
        Some((name, Amount::from_thousandths(short), amount, has))
    })
}

/// How many dimensions are short, and by how much in all.
fn shortage(need: &Resources, free: &Resources) -> (usize, u64) {
    short(need, free).fold((0, 0), |(n, sum), (_, short, ..)| (n + 1, sum + short.thousandths()))
}

fn shortage_words(need: &Resources, free: &Resources) -> String {
    let words = short(need, free).map(|(name, short, amount, has)| {
        format!("is short of {short} {name} ({amount} needed, {has} free)")
    });
    words.collect::<Vec<_>>().join(" and ")
}
