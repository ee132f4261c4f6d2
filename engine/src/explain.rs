//! Why a run is as it is: what its shards wait for and what would let them start, and why those
//! that run are where they are. Reckoned when somebody asks, for one run.

use std::collections::BTreeMap;

use muster_api::{
    AgentId, JobName, Now, Resources, RunId,
    explain::{JobExplanation, PlacedShards, RunExplanation, WaitingShards, items_in_words},
    limits,
    spec::Spread,
    views::{ShardState, WaitReason},
};

use crate::{
    items::Items,
    place::{self, Shards},
    placement::Chosen,
    run::Run,
    task::Task,
    waits::{Best, Reasons},
    world::{Agent, World},
};

/// Tasks of one host that are looked at to find out what would make room there.
const TASKS_LOOKED_AT: usize = 10_000;

/// Why a job does what it does; nothing if there is none of that name.
pub(crate) fn job(world: &World, now: Now, name: &JobName) -> Option<JobExplanation> {
    let job = world.jobs.get(name)?;
    let lane = world.lanes.get(&job.uid);
    let (runs, all) = (lane.into_iter().flatten(), lane.map_or(0, |lane| lane.len()));
    let mut reasons = Reasons::of(world);
    let runs: Vec<_> = runs
        .take(limits::EXPLAINED_RUNS)
        .filter_map(|run| explain(world, now, &mut reasons, *run))
        .collect();
    let next_fire = world.cursors.get(&job.uid).and_then(|cursor| cursor.next);
    let app = world.apps.get(&job.spec.app);
    let (fires, detail) = if job.disabled() {
        (false, format!("job `{name}` is disabled; `muster enable job {name}` lets it fire"))
    } else if let Some(app) = app.filter(|app| app.disabled) {
        let app = &app.spec.name;
        (false, format!("app `{app}` is disabled; `muster enable app {app}` lets its jobs fire"))
    } else if world.held().is_some() {
        (false, HELD.to_owned())
    } else if job.spec.schedule.is_none() {
        (false, format!("it has no schedule: it runs when `muster run {name}` says so"))
    } else {
        match next_fire {
            Some(at) => (true, format!("it fires next for {at}")),
            None => (false, "its schedule has no further instant".to_owned()),
        }
    };
    let more_runs = (all - runs.len()) as u64;
    let job = name.clone();
    Some(JobExplanation { job, fires, detail, next_fire, runs, more_runs, last_missed: None })
}

/// Why a run that is not over is as it is.
pub(crate) fn run(world: &World, now: Now, id: RunId) -> Option<RunExplanation> {
    explain(world, now, &mut Reasons::of(world), id)
}

fn explain(
    world: &World,
    now: Now,
    reasons: &mut Reasons<'_>,
    id: RunId,
) -> Option<RunExplanation> {
    let run = world.runs.get(&id)?;
    let record = run.record();
    Some(RunExplanation {
        run: id,
        job: record.job.clone(),
        state: record.state,
        reason: record.reason.clone(),
        planned_at: record.planned_at,
        waiting: waiting(world, now, reasons, run),
        placed: placed(world, run),
        over: Vec::new(),
    })
}

const HELD: &str = "held after a restore; `muster resume` lets it go on";

/// Why a run with shards that wait does not go on, where that is not a matter of room.
pub(crate) fn not_for_room(world: &World, run: &Run) -> Option<(WaitReason, String)> {
    let record = run.record();
    if world.held().is_some() {
        return Some((WaitReason::Held, HELD.to_owned()));
    }
    if world.settling {
        let detail = "resumed a moment ago: what runs and is not in the restored store ends first";
        return Some((WaitReason::Held, detail.to_owned()));
    }
    let former = world.at_turn(&record.job_uid).filter(|first| *first != record.id)?;
    Some((WaitReason::FormerRun, format!("run {former} of the same job goes on")))
}

/// The shards of a run that wait: those for room, and those that back off.
fn waiting(world: &World, now: Now, reasons: &mut Reasons<'_>, run: &Run) -> Vec<WaitingShards> {
    let mut groups = Vec::new();
    let pending: Items = run.pending().map(|(item, _)| item).collect();
    if !pending.is_empty() {
        let (reason, detail) = match not_for_room(world, run) {
            Some(known) => known,
            None => reasons.reason(run).unwrap_or_else(|| {
                (WaitReason::NotTried, "the documents of its job or app are gone".to_owned())
            }),
        };
        let unblock = unblock(world, reasons, run, reason);
        groups.push(group(&pending, reason, detail, unblock));
    }
    let mut backing_off: Vec<_> = run.backing_off().collect();
    backing_off.sort_by_key(|(item, until)| (*until, *item));
    if let Some((_, first)) = backing_off.first() {
        let items: Items = backing_off.iter().map(|(item, _)| *item).collect();
        let until = now.wall + first.since(now.mono);
        let detail = format!("{} shard(s) wait out their back-off", items.len());
        let unblock = vec![format!("time: the first back-off is over at {until}")];
        groups.push(group(&items, WaitReason::BackingOff, detail, unblock));
    }
    groups
}

fn group(items: &Items, reason: WaitReason, detail: String, unblock: Vec<String>) -> WaitingShards {
    let (shards, items) = (items.len(), items_in_words(items.ranges()));
    WaitingShards { shards, items, reason, detail, unblock }
}

/// What would let the shards of a run start: any one of these.
fn unblock(world: &World, reasons: &mut Reasons<'_>, run: &Run, reason: WaitReason) -> Vec<String> {
    let Some(shards) = place::shards_of(world, run) else { return Vec::new() };
    let record = run.record();
    match reason {
        WaitReason::NotTried | WaitReason::BackingOff => Vec::new(),
        WaitReason::NoAgents => vec!["a host: `muster agent --master HOST:5050`".to_owned()],
        WaitReason::Held => vec!["`muster resume`".to_owned()],
        WaitReason::FormerRun => {
            let former = world.at_turn(&record.job_uid);
            former.map(|run| format!("the end of run {run}")).into_iter().collect()
        }
        WaitReason::Limit => {
            let app = &shards.app.name;
            vec![format!("the end of a task of app `{app}`, or a higher limit")]
        }
        WaitReason::Constrained => {
            let all: Vec<_> = shards.job.constraints.iter().map(ToString::to_string).collect();
            vec![format!("a host of which all of this is so: {}", all.join("; "))]
        }
        WaitReason::Blocked => vec!["the start of the run that is in front".to_owned()],
        WaitReason::NoRoom => room_words(world, reasons, run, &shards),
    }
}

/// What would make room: on the best host, or a host that nobody has yet.
fn room_words(world: &World, reasons: &mut Reasons<'_>, run: &Run, shards: &Shards) -> Vec<String> {
    let Some(best) = reasons.best(run, shards) else { return Vec::new() };
    let largest = |agent: &Agent| agent.total.as_ref().is_none_or(|total| total.covers(&best.need));
    if !reasons.allowed_hosts(shards).iter().any(|(_, agent)| largest(agent)) {
        return vec![format!("a larger host: none has {} even when it is empty", best.need)];
    }
    let missing = best.missing();
    let host = &best.agent.hostname;
    let mut ways = vec![format!("{missing} more on {host}")];
    ways.extend(end_of_a_run(world, &best, &missing));
    ways.extend(end_of_an_idle_executor(world, &best, &missing));
    ways
}

/// The run whose end alone would make room on a host: of several the one that holds the least.
fn end_of_a_run(world: &World, best: &Best<'_>, missing: &Resources) -> Option<String> {
    let mut held: BTreeMap<RunId, Resources> = BTreeMap::new();
    for task in best.agent.tasks.iter().take(TASKS_LOOKED_AT) {
        let Some(task) = world.tasks.get(task) else { continue };
        let Some(spec) = world.runs.get(&task.run).and_then(|run| world.spec_of(run)) else {
            continue;
        };
        let held = held.entry(task.run).or_default();
        *held = held.checked_add(&spec.resources)?;
    }
    let enough = held.into_iter().filter(|(_, held)| held.covers(missing));
    let weight = |held: &Resources| held.iter().map(|(_, n)| n.thousandths()).sum::<u64>();
    let (run, held) = enough.min_by_key(|(run, held)| (weight(held), *run))?;
    let job = &world.runs.get(&run)?.record().job;
    Some(format!("the end of run {run} of job `{job}`, which holds {held} there"))
}

/// The idle executor whose end alone would make room on a host.
fn end_of_an_idle_executor(world: &World, best: &Best<'_>, missing: &Resources) -> Option<String> {
    let idle = best.agent.executors.iter().find_map(|id| {
        let executor = world.executors.get(id).filter(|executor| executor.tasks.is_empty())?;
        let key = (executor.record.app_uid, executor.record.revision);
        world.revisions.get(&key).filter(|app| app.resources.covers(missing))
    })?;
    let (app, timeout, held) = (&idle.name, idle.idle_timeout, &idle.resources);
    Some(format!(
        "the end of the idle executor of app `{app}` within {timeout}, which holds {held}"
    ))
}

/// The shards of a run with a task, by host, state and why they are there.
fn placed(world: &World, run: &Run) -> Vec<PlacedShards> {
    type Key = (AgentId, ShardState, String);
    let mut groups: BTreeMap<Key, (String, Items)> = BTreeMap::new();
    let spread = world.spec_of(run).map(|spec| spec.spread.clone()).unwrap_or_default();
    for (item, live) in run.live() {
        let Some(task) = world.tasks.get(&live.task) else { continue };
        let why = because(&spread, task);
        let key = (task.agent.clone(), live.state, why);
        if groups.len() == limits::EXPLAINED_GROUPS && !groups.contains_key(&key) {
            continue;
        }
        groups
            .entry(key)
            .or_insert_with(|| (task.hostname.clone(), Items::default()))
            .1
            .insert(item);
    }
    let rows = groups.into_iter().map(|((agent, state, because), (hostname, items))| {
        let (shards, items) = (items.len(), items_in_words(items.ranges()));
        PlacedShards { shards, items, state, agent, hostname, because }
    });
    rows.collect()
}

/// Why a task is where it is.
fn because(spread: &Spread, task: &Task) -> String {
    let Some(Chosen { avoided, beside, warm, .. }) = task.chosen else {
        return "it was placed before this scheduler started".to_owned();
    };
    let mut words = Vec::new();
    if avoided {
        words.push("it died there before, and no other host had room".to_owned());
    }
    if beside.is_some() {
        words.push(match spread {
            Spread::Attribute(name) => {
                format!("its run is spread: no value of {name} with room had fewer of its shards")
            }
            _ => "its run is spread: no host with room had fewer of its shards".to_owned(),
        });
    }
    if task.tries.alone {
        words.push("it has an executor of its own".to_owned());
    } else if warm {
        words.push("its executor lived there".to_owned());
    }
    words.push(match words.is_empty() {
        true => "of the hosts with room it is the tightest fit".to_owned(),
        false => "of those it is the tightest fit".to_owned(),
    });
    words.join("; ")
}
