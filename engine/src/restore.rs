//! Restart: from stored records to the world.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{AppName, IdStream, JobName, JobUid, Now, RunId, TaskId, limits};

use crate::{
    blocker::Blocker,
    cx::Cx,
    deadlines,
    engine::RestoreError,
    executors, fires, held,
    ledger::Growing,
    load::{Loader, packed},
    lost_hosts::Silent,
    notices,
    offered::Offered,
    outbox::{Outbox, Waiting},
    queue::Queue,
    reconcile::Reconciliation,
    records::{self, CursorRecord},
    revisions::RevisionUses,
    run::{Run, Shard},
    running::Running,
    runs, sweeps,
    tables::Table,
    task::{KillCause, Phase, Task},
    tasks, unreachable,
    world::{Executor, Timer, World},
};

/// The world as it was stored. Agents and offers are brought by the master.
pub(crate) fn world(seed: u64, stored: Loader, now: Now) -> Result<World, RestoreError> {
    let epoch = stored.counters.first().map_or(0, |((), counters)| counters.epoch_bound);
    let kept = stored.idempotency.iter();
    let keys_by_time = kept.map(|((job, key), kept)| (kept.at, *job, key.clone())).collect();
    let runs = stored.runs.into_iter().map(|(id, record)| (id, Run::restored(record, now)));
    let tasks = stored.tasks.into_iter().map(|(id, task)| (id, Task::restored(task, now.mono)));
    let executors = stored.executors.into_iter().map(|(id, record)| (id, Executor::new(record)));
    let notices = stored.notices.into_iter().map(|(id, record)| (id, Waiting::new(record)));
    let notices = Table::restored(notices.collect());
    let mut world = World {
        apps: Table::restored(packed(stored.apps)),
        revisions: Table::restored(packed(stored.revisions)),
        jobs: Table::restored(packed(stored.jobs)),
        versions: Table::restored(packed(stored.versions)),
        cursors: Table::restored(packed(stored.cursors)),
        runs: Table::restored(runs.collect()),
        tasks: Table::restored(tasks.collect()),
        executors: Table::restored(executors.collect()),
        idempotency: Table::restored(packed(stored.idempotency)),
        counters: Table::restored(packed(stored.counters)),
        held: Table::restored(packed(stored.held)),
        resumed: Table::restored(packed(stored.resumed)),
        settling_mark: Table::restored(packed(stored.settling)),
        zones: Table::restored(packed(stored.zones)),
        disowned: Table::restored(packed(stored.disowned)),
        unreachable_wait: None,
        outbox: Outbox::restored(seed, &notices),
        notices,
        told: Table::restored(packed(stored.told)),
        lost: Table::restored(packed(stored.lost)),
        silent_hosts: Silent::default(),
        epoch,
        lanes: BTreeMap::new(),
        queue: Queue::default(),
        waiting: BTreeSet::new(),
        expiries: BTreeSet::new(),
        fires_by_time: BTreeMap::new(),
        jobs_of_app: BTreeMap::new(),
        sweeping: BTreeSet::new(),
        rolling: BTreeSet::new(),
        growing: Growing::default(),
        zombies: BTreeMap::new(),
        strangers: BTreeMap::new(),
        settling: false,
        revision_uses: RevisionUses::default(),
        agents: BTreeMap::new(),
        keys_by_time,
        offers: BTreeMap::new(),
        offered: Offered::default(),
        running: Running::default(),
        blocker: Blocker::default(),
        sharing: Default::default(),
        drains_look: Default::default(),
        blocker_looked: None,
        reconcile: Reconciliation::default(),
        timers: BTreeSet::new(),
        ids: IdStream::new(seed, 1),
    };
    share_specs(&mut world);
    index_jobs(&mut world, now);
    count_revision_uses(&mut world);
    place_executors(&mut world, now);
    place_tasks(&mut world, now)?;
    line_up(&mut world);
    Ok(world)
}

fn count_revision_uses(world: &mut World) {
    let uses = &mut world.revision_uses;
    world.runs.iter().for_each(|(_, run)| uses.run_begins(run.record()));
    world.executors.iter().for_each(|(_, executor)| uses.executor_begins(&executor.record));
}

/// Executors belong to agents, all of which are silent until the master says otherwise.
fn place_executors(world: &mut World, now: Now) {
    let places: Vec<_> =
        world.executors.iter().map(|(id, e)| (*id, e.record.agent.clone())).collect();
    for (id, agent) in places {
        let agent = world.agents.entry(agent).or_default();
        agent.silent_since = Some(now.mono);
        agent.executors.insert(id);
    }
}

/// Tasks belong to agents, executors and shards.
fn place_tasks(world: &mut World, now: Now) -> Result<(), RestoreError> {
    let places: Vec<_> = world
        .tasks
        .iter()
        .map(|(id, t)| {
            let state = tasks::shard_state(t.phase);
            (*id, t.run, t.item, t.agent.clone(), t.hostname.clone(), t.executor, state)
        })
        .collect();
    for (id, run, item, agent, hostname, executor, state) in places {
        let agent = world.agents.entry(agent).or_default();
        agent.silent_since = Some(now.mono);
        agent.hostname = hostname;
        agent.tasks.insert(id);
        if let Some(executor) = world.executors.memory(&executor) {
            executor.tasks.insert(id);
            world.running.begins(executor.record.app_uid);
        }
        let run = world.runs.memory(&run).ok_or_else(|| RestoreError::Missing {
            key: format!("{}{id}", records::TASKS),
            missing: format!("run {run}"),
        })?;
        run.set(item, Shard::Live { task: id, state });
    }
    Ok(())
}

/// Runs take their turn in the order in which they were accepted, which is that of their ids; a
/// run that has started goes first.
fn line_up(world: &mut World) {
    let mut ids: Vec<(bool, RunId, JobUid)> = world
        .runs
        .iter()
        .map(|(id, run)| (!run.has_started(), *id, run.record().job_uid))
        .collect();
    ids.sort();
    for (_, id, job) in &ids {
        world.lanes.entry(*job).or_default().push_back(*id);
    }
    for (_, id, _) in ids {
        world.requeue(id);
    }
}

/// The document of a job that is stored as one of its versions too, as it once was, is the same
/// in memory.
fn share_specs(world: &mut World) {
    if world.versions.len() == 0 {
        return;
    }
    for (_, job) in world.jobs.iter() {
        if let Some(version) = world.versions.memory(&(job.uid, job.version)) {
            *version = job.spec.clone();
        }
    }
}

/// Enabled jobs fire on from where their cursor stands; what is due by now is a misfire.
///
/// When a job fires next is taken as it was stored, for to reckon it anew for a million jobs takes
/// long. It only says when to look; what is due then is reckoned from the cursor.
fn index_jobs(world: &mut World, now: Now) {
    let mut of_app: BTreeMap<AppName, Vec<JobName>> = BTreeMap::new();
    let (mut planned, mut reckoned) = (Vec::new(), Vec::new());
    for (name, job) in world.jobs.iter() {
        match of_app.get_mut(&job.spec.app) {
            Some(jobs) => jobs.push(name.clone()),
            None => {
                of_app.insert(job.spec.app.clone(), vec![name.clone()]);
            }
        }
        let stored = world.cursors.get(&job.uid).copied();
        let mut cursor = stored.unwrap_or(CursorRecord { settled: now.wall, next: None });
        if cursor.next.is_none() && world.is_enabled(job) {
            // It has no instant any more, or an earlier version did not store it.
            cursor.next = fires::compile(job).and_then(|plan| plan.next_after(cursor.settled));
        }
        if stored != Some(cursor) {
            reckoned.push((job.uid, cursor));
        }
        if let Some(next) = cursor.next {
            planned.push(((fires::due(job, next), job.uid), name.clone()));
        }
    }
    world.fires_by_time = planned.into_iter().collect();
    world.jobs_of_app =
        of_app.into_iter().map(|(app, jobs)| (app, jobs.into_iter().collect())).collect();
    for (uid, cursor) in reckoned {
        world.cursors.insert(uid, cursor);
    }
    let sweeping = world.apps.iter().filter(|(_, app)| app.sweep.is_some());
    world.sweeping = sweeping.map(|(name, _)| name.clone()).collect();
}

/// Goes on with what was under way: what was being ended is ended again, and every wait is waited
/// for anew.
pub(crate) fn recover(cx: &mut Cx<'_>) {
    sweeps::adopt_zones(cx);
    notices::recover(cx.world, cx.now);
    if cx.world.settling_mark.get(&()).is_some() {
        held::settle(cx);
    }
    let stopping: Vec<RunId> =
        cx.world.runs.iter().filter(|(_, run)| run.is_stopping()).map(|(id, _)| *id).collect();
    let mut waits = Vec::new();
    for (id, run) in cx.world.runs.iter() {
        for (item, until) in run.backing_off() {
            waits.push((until, Timer::Backoff(*id, item)));
        }
    }
    for (id, task) in cx.world.tasks.iter() {
        waits.push((task.launching_until, Timer::Launching(*id)));
    }
    cx.world.timers.extend(waits);
    let ending: Vec<TaskId> = cx
        .world
        .tasks
        .iter()
        .filter(|(_, task)| matches!(task.phase, Phase::Killing(_)))
        .map(|(id, _)| *id)
        .collect();
    for id in ending {
        tasks::kill_again(cx, id);
    }
    let executors: Vec<_> =
        cx.world.executors.iter().map(|(id, e)| (*id, e.tasks.is_empty())).collect();
    for (id, idle) in executors {
        let since = cx.now.mono;
        if let muster_api::spec::Lease::For(lease) = executors::lease_of(cx, id) {
            let fenced = since + limits::fenced_after(lease.duration());
            cx.world.wake_at(fenced, Timer::Fence(id));
        }
        if idle {
            executors::watch_idle(cx, id);
        }
        executors::shutdown_again(cx, id);
    }
    unreachable::recover(cx);
    let begun = |run: &Run| run.has_started() && !run.is_stopping();
    let begun: Vec<RunId> =
        cx.world.runs.iter().filter(|(_, run)| begun(run)).map(|(id, _)| *id).collect();
    for id in begun {
        deadlines::watch_end(cx, id);
    }
    let daemons = cx.world.runs.iter().filter(|(_, run)| run.is_daemon());
    cx.world.rolling = daemons.map(|(id, _)| *id).collect();
    for id in stopping {
        let live: Vec<TaskId> = match cx.world.runs.get(&id) {
            Some(run) => run.live().map(|(_, live)| live.task).collect(),
            None => Vec::new(),
        };
        let told = cx.out.trace.len();
        for task in live {
            tasks::kill(cx, task, KillCause::Asked);
        }
        // That they are being ended was told when it was decided.
        cx.out.trace.truncate(told);
        runs::proceed(cx, id);
    }
}
