//! Why a run is as it is: what its shards wait for and what would let them start, and why those
//! that run are where they are. Reckoned when somebody asks, for one run.

use std::collections::BTreeMap;

use muster_api::{
    JobName, Now, Resources, RunId,
    explain::{JobExplanation, RunExplanation, WaitingShards, items_in_words},
    limits,
    views::{ShardState, WaitReason},
};

use crate::{
    items::Items,
    place::{self, Shards},
    placed,
    query::Explained,
    queue::Limited,
    run::{Run, Shard},
    shortage::in_words,
    waits::{Best, Reasons, Together},
    world::{Agent, World},
};

/// Tasks of one host that are looked at to find out what would make room there.
const TASKS_LOOKED_AT: usize = 10_000;

/// Why a job does what it does; nothing if there is none of that name.
pub(crate) fn job(world: &World, now: Now, name: &JobName) -> Option<Explained<JobExplanation>> {
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
    } else if job.spec.is_daemon() {
        (false, "it is a daemon job: its tasks follow its schedule by themselves".to_owned())
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
    let over = runs.iter().filter_map(|run| over(world, run.run)).collect();
    let explanation =
        JobExplanation { job, fires, detail, next_fire, runs, more_runs, last_missed: None };
    Some(Explained { explanation, over })
}

/// Why a run that is not over is as it is.
pub(crate) fn run(world: &World, now: Now, id: RunId) -> Option<Explained<RunExplanation>> {
    let explanation = explain(world, now, &mut Reasons::of(world), id)?;
    Some(Explained { explanation, over: over(world, id).into_iter().collect() })
}

/// The shards of a run that are over, by how they ended.
fn over(world: &World, id: RunId) -> Option<(RunId, Vec<(ShardState, Items)>)> {
    let over = world.runs.get(&id)?.over().into_iter().filter(|(_, items)| !items.is_empty());
    Some((id, over.map(|(state, items)| (state, items.clone())).collect()))
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
        deadlines: deadlines(world, now, run),
        waiting: waiting(world, now, reasons, run),
        placed: placed::placed(world, now, run),
        over: Vec::new(),
    })
}

/// By when a run must have started or be over.
fn deadlines(world: &World, now: Now, run: &Run) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(at) = run.expires_at {
        let within = world.newest_spec_of(run).map(|spec| spec.start_within).unwrap_or_default();
        words.push(format!("not started by {at} it ends (start_within {within})"));
    }
    let timeout = world.spec_of(run).map(|spec| spec.run_timeout).unwrap_or_default();
    if timeout.is_zero() || run.is_stopping() {
        return words;
    }
    match run.timeout_at {
        Some(at) => {
            let at = now.wall + at.since(now.mono);
            words.push(format!("ended at {at} if not over (run_timeout {timeout})"));
        }
        None => words.push(format!(
            "ended {timeout} after its first launch if not over (run_timeout {timeout})"
        )),
    }
    words
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
        let unblock = unblock(world, now, reasons, run, reason);
        groups.push(group(&pending, reason, detail, unblock));
    }
    let mut backing_off: Vec<_> = run.backing_off().collect();
    backing_off.sort_by_key(|(item, until)| (*until, *item));
    if let Some((_, first)) = backing_off.first() {
        let items: Items = backing_off.iter().map(|(item, _)| *item).collect();
        let until = now.wall + first.since(now.mono);
        let detail = back_off_words(run, backing_off[0].0, backing_off.len());
        let unblock = vec![match backing_off.len() {
            1 => format!("time: it is started again at {until}"),
            _ => format!("time: the first of them is started again at {until}"),
        }];
        groups.push(group(&items, WaitReason::BackingOff, detail, unblock));
    }
    groups
}

/// Why shards back off: what became of the last try of the one that is started again first.
pub(crate) fn back_off_words(run: &Run, first: u32, shards: usize) -> String {
    let what = match run.shard(first) {
        Some(Shard::BackingOff { tries, .. }) => {
            let reason = tries.reason.as_deref().unwrap_or("it did not succeed");
            format!(" after attempt {}: {reason}", tries.attempt)
        }
        _ => String::new(),
    };
    match shards {
        1 => format!("it waits out its back-off{what}"),
        _ => format!("{shards} shards wait out their back-off, shard {first}{what}"),
    }
}

fn group(items: &Items, reason: WaitReason, detail: String, unblock: Vec<String>) -> WaitingShards {
    let (shards, items) = (items.len(), items_in_words(items.ranges()));
    WaitingShards { shards, items, reason, detail, unblock }
}

/// What would let the shards of a run start: any one of these.
fn unblock(
    world: &World,
    now: Now,
    reasons: &mut Reasons<'_>,
    run: &Run,
    reason: WaitReason,
) -> Vec<String> {
    let Some(shards) = place::shards_of(world, run) else { return Vec::new() };
    let record = run.record();
    match reason {
        WaitReason::NotTried | WaitReason::BackingOff => Vec::new(),
        WaitReason::NoAgents if reasons.drained().is_some() => vec![
            "`muster agents activate HOST`, or another host: `muster agent --master HOST:5050`"
                .to_owned(),
        ],
        WaitReason::NoAgents if world.unreachable_wait.is_some() => {
            vec!["an offer of the master that `--mesos` names".to_owned()]
        }
        WaitReason::NoAgents => vec![match reasons.silent_hosts() {
            0 => "a host: `muster agent --master HOST:5050`".to_owned(),
            1 => "its return, or another host: `muster agent --master HOST:5050`".to_owned(),
            _ => "the return of one of them, or another host: `muster agent --master HOST:5050`"
                .to_owned(),
        }],
        WaitReason::Held => vec!["`muster resume`".to_owned()],
        WaitReason::FormerRun => {
            let former = world.at_turn(&record.job_uid).and_then(|run| world.runs.get(&run));
            former.map(|former| end_of_former(world, now, former)).into_iter().collect()
        }
        WaitReason::Limit => vec![higher_limit(world, reasons, run, &shards)],
        WaitReason::Constrained => {
            let all: Vec<_> = shards.job.constraints.iter().map(ToString::to_string).collect();
            let mut ways = vec![format!("a host of which all of this is so: {}", all.join("; "))];
            ways.extend(activation(reasons));
            ways
        }
        WaitReason::Blocked => end_of_hold(world, now),
        WaitReason::NoRoom => room_words(world, reasons, run, &shards),
    }
}

/// What lets the shards of a run start that as many tasks keep from it as may run. Where all of them
/// start at once and are more than that, no end of others is of use.
fn higher_limit(world: &World, reasons: &Reasons<'_>, run: &Run, shards: &Shards) -> String {
    const OF_APP: &str = "`max_tasks` of that app";
    const OF_ALL: &str = "`--max-tasks` of the scheduler";
    let (whose, flag) = match reasons.limited(run, shards) {
        Some(Limited::All) => ("any app".to_owned(), OF_ALL),
        _ => (format!("app `{}`", shards.app.name), OF_APP),
    };
    let all = place::need_of(world, run).and_then(|need| need.together).unwrap_or(1);
    let of_app = (world.limit_of_app(&shards.app), OF_APP);
    let too_low = [of_app, (world.limit_of_all(), OF_ALL)];
    let too_low = too_low.into_iter().filter(|(most, _)| most.is_some_and(|most| most < all));
    let too_low: Vec<_> = too_low.map(|(_, flag)| flag).collect();
    if !too_low.is_empty() {
        let flags = too_low.join(" and ");
        return format!(
            "{flags} of at least {all}, for all {all} shards start at once; or `launch: as_fits`"
        );
    }
    let ends = if all == 1 { "a task" } else { "tasks" };
    format!("the end of {ends} of {whose}, or a higher {flag}")
}

/// What ends the hold of the run that was overtaken for too long.
fn end_of_hold(world: &World, now: Now) -> Vec<String> {
    let Some(holding) = world.blocker.holding() else { return Vec::new() };
    let until = now.wall + holding.until.since(now.mono);
    vec![
        format!("the start of run {}, for which the hosts are held", holding.place.3),
        format!("time: it lets them go at {until} if it has not started by then"),
    ]
}

/// The end of a run, and what that waits for where nothing is heard of a host that it is on.
fn end_of_former(world: &World, now: Now, former: &Run) -> String {
    let end = format!("the end of run {}", former.record().id);
    let mut silent: BTreeMap<String, Items> = BTreeMap::new();
    for (item, live) in former.live() {
        if let Some(task) = world.tasks.get(&live.task)
            && let Some(words) = placed::silence(world, now, task)
        {
            silent.entry(words).or_default().insert(item);
        }
    }
    let Some((words, items)) = silent.first_key_value() else { return end };
    let items = items_in_words(items.ranges());
    let more = match silent.len() - 1 {
        0 => String::new(),
        more => format!("; and so for {more} more group(s) of its shards"),
    };
    format!("{end}, whose shards {items} are on a silent host: {words}{more}")
}

/// What would make room: on the best host, or a host that nobody has yet.
fn room_words(world: &World, reasons: &mut Reasons<'_>, run: &Run, shards: &Shards) -> Vec<String> {
    let Some(best) = reasons.best(run, shards) else { return Vec::new() };
    let largest = |agent: &Agent| agent.total.as_ref().is_none_or(|total| total.covers(&best.need));
    if !reasons.allowed_hosts(shards).iter().any(|(_, agent)| largest(agent)) {
        let need = in_words(&best.need);
        return vec![format!("a larger host: none has {need} even when it is empty")];
    }
    if let Some(words) = reasons.together(run).and_then(|all| room_for_all(all, shards)) {
        return std::iter::once(words).chain(activation(reasons)).collect();
    }
    let missing = best.missing();
    let host = &best.agent.hostname;
    let mut ways = vec![format!("{} more on {host}", in_words(&missing))];
    ways.extend(end_of_a_run(world, run, &best, &missing));
    ways.extend(end_of_an_idle_executor(world, &best, &missing));
    ways.extend(activation(reasons));
    ways
}

/// What lets a run start of which some shards have room, and all start at once; or one for which all
/// hosts together are too small.
fn room_for_all(Together { wanted, fit, most }: Together, shards: &Shards) -> Option<String> {
    let need = in_words(&shards.job.resources);
    match most.filter(|most| *most < u64::from(wanted)) {
        Some(most) => Some(format!(
            "more or larger hosts: all of them have room for {most} of the {wanted} shards even when \
             they are empty; or `launch: as_fits`"
        )),
        None if fit > 0 => {
            let more = u64::from(wanted).saturating_sub(fit);
            Some(format!("room for {more} more of its shards at the same time, of {need} each"))
        }
        None => None,
    }
}

/// What lets hosts take tasks again that are drained, if there are some.
fn activation(reasons: &Reasons<'_>) -> Option<String> {
    reasons.drained().map(|_| "`muster agents activate HOST` of a drained one".to_owned())
}

/// The run whose end alone would make room on a host: of several the one that holds the least. Of
/// the run itself it is some of its shards.
fn end_of_a_run(world: &World, run: &Run, best: &Best<'_>, missing: &Resources) -> Option<String> {
    let mut held: BTreeMap<RunId, (Resources, Items)> = BTreeMap::new();
    for task in best.agent.tasks.iter().take(TASKS_LOOKED_AT) {
        let Some(task) = world.tasks.get(task) else { continue };
        let Some(spec) = world.spec_of_task(task) else { continue };
        let (held, items) = held.entry(task.run).or_default();
        *held = held.checked_add(&spec.resources)?;
        items.insert(task.item);
    }
    let enough = held.into_iter().filter(|(_, (held, _))| held.covers(missing));
    let weight = |held: &Resources| held.iter().map(|(_, n)| n.thousandths()).sum::<u64>();
    let (id, (held, items)) = enough.min_by_key(|(run, (held, _))| (weight(held), *run))?;
    if id == run.record().id {
        return Some(end_of_own(world, run, &held, &items, missing));
    }
    let job = &world.runs.get(&id)?.record().job;
    let held = in_words(&held);
    Some(format!("the end of run {id} of job `{job}`, which holds {held} there"))
}

/// The end of shards of the run itself that would make room for those that wait.
fn end_of_own(
    world: &World,
    run: &Run,
    held: &Resources,
    items: &Items,
    missing: &Resources,
) -> String {
    let words = items_in_words(items.ranges());
    let each = world.spec_of(run).map(|spec| spec.resources.clone()).unwrap_or_default();
    let held = in_words(held);
    match items.len() {
        1 => format!("the end of shard {words} of this run, which holds {held} there"),
        _ if each.covers(missing) => {
            let each = in_words(&each);
            format!("the end of a shard of this run there ({words}), each of which holds {each}")
        }
        _ => format!("the end of shards {words} of this run, which hold {held} there"),
    }
}

/// The idle executor whose end alone would make room on a host.
fn end_of_an_idle_executor(world: &World, best: &Best<'_>, missing: &Resources) -> Option<String> {
    let idle = best.agent.executors.iter().find_map(|id| {
        let executor = world.executors.get(id).filter(|executor| executor.tasks.is_empty())?;
        let key = (executor.record.app_uid, executor.record.revision);
        world.revisions.get(&key).filter(|app| app.resources.covers(missing))
    })?;
    let (app, timeout, held) = (&idle.name, idle.idle_timeout, in_words(&idle.resources));
    Some(format!(
        "the end of the idle executor of app `{app}` within {timeout}, which holds {held}"
    ))
}
