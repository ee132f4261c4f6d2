//! Restart: from stored records to the world.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::Arc,
};

use muster_api::{
    IdStream, JobUid, Now, RunId, TaskId, limits,
    schedule::Schedule,
    spec::{AppSpec, JobSpec},
    step::Records,
};
use serde::de::DeserializeOwned;

use crate::{
    cx::Cx,
    engine::RestoreError,
    executors,
    records::{
        self, CountersRecord, CursorRecord, ExecutorRecord, IdempotencyRecord, RunRecord,
        TaskRecord,
    },
    run::{Run, Shard},
    runs,
    tables::Table,
    task::{KillCause, Phase, Task},
    tasks,
    world::{Executor, Planned, Timer, World},
};

/// The records of one kind, read.
fn rows<K: FromStr + Ord, V: DeserializeOwned>(
    stored: &Records,
    prefix: &str,
) -> Result<BTreeMap<K, V>, RestoreError> {
    split_rows(stored, prefix, |text| text.parse().ok())
}

fn split_rows<K: Ord, V: DeserializeOwned>(
    stored: &Records,
    prefix: &str,
    key_of: impl Fn(&str) -> Option<K>,
) -> Result<BTreeMap<K, V>, RestoreError> {
    let mut rows = BTreeMap::new();
    let of_kind = stored.range(prefix.as_bytes().to_vec()..);
    for (key, value) in of_kind.take_while(|(key, _)| key.starts_with(prefix.as_bytes())) {
        let text = String::from_utf8_lossy(key).into_owned();
        let parsed = key_of(&text[prefix.len()..]);
        let parsed = parsed.ok_or_else(|| RestoreError::UnknownKey { key: text.clone() })?;
        let record =
            records::decode(value).map_err(|source| RestoreError::Record { key: text, source })?;
        rows.insert(parsed, record);
    }
    Ok(rows)
}

/// A key of two parts: a uid and a number.
fn numbered<K: FromStr>(text: &str) -> Option<(K, u64)> {
    let (uid, number) = text.split_once('/')?;
    Some((uid.parse().ok()?, number.parse().ok()?))
}

/// The world as it was stored. Agents and offers are brought by the master.
pub(crate) fn world(seed: u64, stored: &Records, now: Now) -> Result<World, RestoreError> {
    let versions: BTreeMap<(JobUid, u64), Arc<JobSpec>> =
        split_rows(stored, records::VERSIONS, numbered)?;
    let revisions: BTreeMap<_, Arc<AppSpec>> = split_rows(stored, records::REVISIONS, numbered)?;
    let idempotency: BTreeMap<_, IdempotencyRecord> =
        split_rows(stored, records::IDEMPOTENCY, |text| {
            let (uid, key) = text.split_once('/')?;
            Some((uid.parse().ok()?, key.to_owned()))
        })?;
    let counters: Option<CountersRecord> = match stored.get(records::COUNTERS.as_bytes()) {
        None => None,
        Some(bytes) => Some(records::decode(bytes).map_err(|source| RestoreError::Record {
            key: records::COUNTERS.to_owned(),
            source,
        })?),
    };
    let runs: BTreeMap<RunId, RunRecord> = rows(stored, records::RUNS)?;
    let tasks: BTreeMap<TaskId, TaskRecord> = rows(stored, records::TASKS)?;
    let executors: BTreeMap<_, ExecutorRecord> = rows(stored, records::EXECUTORS)?;
    let keys_by_time =
        idempotency.iter().map(|((job, key), kept)| (kept.at, *job, key.clone())).collect();
    let mut world = World {
        apps: Table::restored(rows(stored, records::APPS)?),
        revisions: Table::restored(revisions),
        jobs: Table::restored(rows(stored, records::JOBS)?),
        versions: Table::restored(versions),
        cursors: Table::restored(rows(stored, records::CURSORS)?),
        runs: Table::restored(
            runs.into_iter().map(|(id, record)| (id, Run::restored(record, now))).collect(),
        ),
        tasks: Table::restored(
            tasks.into_iter().map(|(id, record)| (id, Task::restored(record, now.mono))).collect(),
        ),
        executors: Table::restored(
            executors.into_iter().map(|(id, record)| (id, Executor::new(record))).collect(),
        ),
        idempotency: Table::restored(idempotency),
        epoch: counters.map_or(0, |counters| counters.epoch_bound),
        counters: Table::restored(counters.map(|counters| ((), counters)).into_iter().collect()),
        lanes: BTreeMap::new(),
        queue: BTreeSet::new(),
        waiting: BTreeSet::new(),
        fires: BTreeMap::new(),
        fires_by_time: BTreeSet::new(),
        agents: BTreeMap::new(),
        keys_by_time,
        offers: BTreeMap::new(),
        round_from: None,
        timers: BTreeSet::new(),
        ids: IdStream::new(seed, 1),
        placement_due: true,
    };
    place_executors(&mut world, now);
    place_tasks(&mut world, now)?;
    line_up(&mut world);
    plan(&mut world, now);
    Ok(world)
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

/// Enabled jobs fire on from where their cursor stands; what is due by now is a misfire.
fn plan(world: &mut World, now: Now) {
    let planned: Vec<(JobUid, Planned)> = world
        .jobs
        .iter()
        .filter(|(_, job)| world.is_enabled(job))
        .filter_map(|(name, job)| {
            let spec = job.spec.schedule.as_ref()?;
            let schedule = Schedule::compile(spec, job.created_at).ok()?;
            let cursor = world.cursors.get(&job.uid).copied();
            let settled = cursor.unwrap_or(CursorRecord { settled: now.wall, next: None }).settled;
            let next = schedule.next_after(settled)?;
            Some((job.uid, Planned { name: name.clone(), schedule, next }))
        })
        .collect();
    for (uid, planned) in planned {
        world.fires_by_time.insert((planned.next, uid));
        world.fires.insert(uid, planned);
    }
}

/// Goes on with what was under way: what was being ended is ended again, and every wait is waited
/// for anew.
pub(crate) fn recover(cx: &mut Cx<'_>) {
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
    for id in stopping {
        let live: Vec<TaskId> = match cx.world.runs.get(&id) {
            Some(run) => run.live().map(|(_, live)| live.task).collect(),
            None => Vec::new(),
        };
        for task in live {
            tasks::kill(cx, task, KillCause::Asked);
        }
        runs::proceed(cx, id);
    }
}
