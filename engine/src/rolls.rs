//! Rolling replacement: the tasks of a daemon job follow its document and its app one shard at a
//! time.
//!
//! A task that was launched with another document is ended, and the one in its place has the
//! newest. Only when that runs is the next one ended, so that a document with a fault costs one
//! shard. All of it is derived from what is stored, so that a restart in between changes nothing:
//! which documents a task was launched with, and whether a shard waits after a replacement.
//!
//! A host that is silent, perhaps for ever, keeps nobody waiting for long: once it is given up as lost
//! the others go on, and its tasks follow when it is back.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{AgentId, RunId, TaskId, limits, spec::JobSpec, views::ShardState};

use crate::{
    cx::Cx,
    run::{Followed, Run},
    task::{Phase, Task},
    tasks,
    world::World,
};

/// Has a run looked at, for one of its tasks may have to be replaced.
pub(crate) fn look_at(cx: &mut Cx<'_>, run: RunId) {
    if cx.world.runs.get(&run).is_some_and(|run| run.is_daemon() && !run.is_stopping()) {
        cx.world.rolling.insert(run);
    }
}

/// Has every daemon job of an app looked at: its executors are of another revision now.
pub(crate) fn look_at_app(cx: &mut Cx<'_>, app: &muster_api::AppName) {
    let jobs = cx.world.jobs_of_app.get(app).into_iter().flatten();
    let daemons = jobs.filter_map(|name| cx.world.jobs.get(name)).filter(|j| j.spec.is_daemon());
    let runs: Vec<RunId> =
        daemons.filter_map(|job| cx.world.lanes.get(&job.uid)).flatten().copied().collect();
    for run in runs {
        look_at(cx, run);
    }
}

/// Has the runs looked at that have resident tasks on a host: it is given up, or is heard again.
pub(crate) fn look_at_host(cx: &mut Cx<'_>, agent: &AgentId) {
    let tasks = cx.world.agents.get(agent).into_iter().flat_map(|agent| &agent.tasks);
    let tasks = tasks.filter_map(|id| cx.world.tasks.get(id));
    let runs: BTreeSet<RunId> =
        tasks.filter(|task| task.is_resident()).map(|task| task.run).collect();
    for run in runs {
        look_at(cx, run);
    }
}

/// Whether there are runs to be looked at. While nothing may be launched nothing is ended to be
/// launched anew.
pub(crate) fn are_due(world: &World) -> bool {
    !world.rolling.is_empty() && !world.keeps_launches()
}

/// Looks at some of the runs whose turn it is.
pub(crate) fn go_on(cx: &mut Cx<'_>) {
    for _ in 0..limits::ROLLS_PER_STEP {
        if !are_due(cx.world) || cx.is_full() {
            return;
        }
        if let Some(run) = cx.world.rolling.pop_first() {
            roll(cx, run);
        }
    }
}

/// Ends the tasks of a run that have to end now: surplus ones, or else one that has to follow
/// another document.
fn roll(cx: &mut Cx<'_>, id: RunId) {
    let Some(run) = cx.world.runs.get(&id).filter(|run| !run.is_stopping()) else { return };
    let Some(newest) = Newest::of(cx.world, run) else { return };
    let count = newest.spec.sharding.count;
    let surplus = run.live_from(count).map(|(_, live)| live.task);
    let surplus: Vec<TaskId> = surplus.filter(|task| is_heard(cx.world, task)).collect();
    if !surplus.is_empty() {
        let ends = |task: &&TaskId| cx.world.tasks.get(task).is_some_and(is_ending);
        let room = limits::SURPLUS_AT_A_TIME.saturating_sub(surplus.iter().filter(ends).count());
        let goes = |task: &TaskId| cx.world.tasks.get(task).is_some_and(|task| !is_ending(task));
        for task in surplus.into_iter().filter(goes).take(room).collect::<Vec<_>>() {
            tasks::replace(cx, task, "its job has fewer shards now");
        }
        return;
    }
    let followed = newest.followed;
    if run.followed == Some(followed) || is_amid_a_replacement(cx.world, run) {
        return;
    }
    match first_outdated(cx.world, run, &newest) {
        Outdated::Heard(task, why) => tasks::replace(cx, task, why),
        // They are looked at again when their hosts are heard.
        Outdated::Silent => {}
        Outdated::Nothing => {
            if let Some(run) = cx.world.runs.memory(&id) {
                run.followed = Some(followed);
            }
        }
    }
}

fn is_ending(task: &Task) -> bool {
    matches!(task.phase, Phase::Killing(_))
}

/// Whether orders reach the host of a task.
fn is_heard(world: &World, task: &TaskId) -> bool {
    let agent = world.tasks.get(task).and_then(|task| world.agents.get(&task.agent));
    agent.is_some_and(|agent| agent.silent_since.is_none())
}

/// Whether a shard is down for a replacement, or may be: nothing else is taken down then. What is
/// under way on a host that was given up may never be over, so it does not count. A connection that
/// breaks, or a restart of either side, is no reason to take another one down.
pub(crate) fn is_amid_a_replacement(world: &World, run: &Run) -> bool {
    let counts = run.counts();
    if counts.killing + counts.launching == 0 {
        return run.waits_replaced();
    }
    let under_way = run.live().filter(|(_, live)| live.state != ShardState::Running);
    let mut agents = under_way
        .filter_map(|(_, live)| world.tasks.get(&live.task))
        .filter_map(|task| world.agents.get(&task.agent));
    agents.any(|agent| !agent.given_up) || run.waits_replaced()
}

/// What the tasks of a run are to be launched with.
struct Newest<'a> {
    followed: Followed,
    spec: &'a JobSpec,
}

impl<'a> Newest<'a> {
    fn of(world: &'a World, run: &Run) -> Option<Self> {
        let job = world.job(&run.record().job, run.record().job_uid)?;
        let app = world.apps.get(&job.spec.app)?;
        let followed = (job.version, app.uid, app.revision);
        job.spec.is_daemon().then_some(Self { followed, spec: &job.spec })
    }
}

/// What of a run has to follow another document.
enum Outdated {
    /// This task, and why; its host is heard.
    Heard(TaskId, &'static str),
    /// Only tasks on hosts that are not heard: what is silent does not end.
    Silent,
    /// Nothing.
    Nothing,
}

/// The first task that was launched with what it would not be launched with now.
fn first_outdated(world: &World, run: &Run, newest: &Newest<'_>) -> Outdated {
    let (version, app, revision) = newest.followed;
    let mut known = BTreeMap::from([(version, true)]);
    let mut others = Outdated::Nothing;
    for (item, live) in run.live() {
        let Some(task) = world.tasks.get(&live.task) else { continue };
        let launched = task.version.unwrap_or_default();
        let same = *known.entry(launched).or_insert_with(|| {
            world.spec_of_task(task).is_some_and(|spec| feels_as(&spec, newest.spec))
        });
        // Parameters are each shard's own.
        let parameter = || {
            let spec = (launched != version).then(|| world.spec_of_task(task)).flatten();
            spec.is_none_or(|s| s.shard_parameter(item) == newest.spec.shard_parameter(item))
        };
        let executor = world.executors.get(&task.executor).map(|executor| &executor.record);
        let kind = executor.map(|executor| (executor.app_uid, executor.revision));
        let why = match kind == Some((app, revision)) {
            _ if !same || !parameter() => "its job has another document now",
            false => "its app has another revision now",
            true => continue,
        };
        if is_heard(world, &live.task) {
            return Outdated::Heard(live.task, why);
        }
        others = Outdated::Silent;
    }
    others
}

/// Whether a task that was launched with one document would notice nothing of the other one. What
/// each shard alone is given is compared elsewhere; who adds a field decides here what it means.
fn feels_as(one: &JobSpec, other: &JobSpec) -> bool {
    let JobSpec {
        name,
        app,
        job_type,
        handler,
        script,
        execution,
        schedule,
        sharding,
        parameter,
        resources,
        misfire,
        timeout,
        kill_grace,
        constraints,
        props,
        // These act at once, on what is decided about its shards.
        launch: _,
        start_within: _,
        failover: _,
        retry: _,
        run_timeout: _,
        spread: _,
        priority: _,
        notify: _,
        disabled: _,
        // These are for people.
        labels: _,
        description: _,
    } = one;
    (name, app, execution) == (&other.name, &other.app, &other.execution)
        && (job_type, handler, script) == (&other.job_type, &other.handler, &other.script)
        && (schedule, parameter, props) == (&other.schedule, &other.parameter, &other.props)
        && (resources, constraints) == (&other.resources, &other.constraints)
        // Code that shares out its work must know among how many.
        && sharding.count == other.sharding.count
        && (misfire.policy, misfire.grace) == (other.misfire.policy, other.misfire.grace)
        && (timeout, kill_grace) == (&other.timeout, &other.kill_grace)
}
