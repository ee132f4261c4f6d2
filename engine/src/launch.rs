//! How a task comes to be: the shard, its executor, and what that is told.

use std::sync::Arc;

use muster_api::{
    AgentId, ExecutorId, TaskId, limits,
    spec::JobType,
    task::{Resident, ShardContext, TaskPayload, Work},
    views::{RunState, ShardState},
};

use crate::{
    cx::Cx,
    deadlines,
    effect::TaskLaunch,
    fires, ledger,
    place::{Batches, Shards},
    placement::Chosen,
    records::{ExecutorRecord, ExecutorState, Tries},
    run::{Run, Shard},
    task::{Phase, Task},
    trace,
    world::{Executor, Timer},
};

/// Makes a task for a shard on an agent.
pub(crate) fn launch(
    cx: &mut Cx<'_>,
    batches: &mut Batches,
    shards: &Shards,
    item: u32,
    agent: &AgentId,
    chosen: Chosen,
) {
    let waits = cx.world.runs.get(&shards.run).and_then(|run| run.shard(item));
    let alone = matches!(&waits, Some(Shard::Pending(tries)) if tries.alone);
    let (executor, info, executor_is_new) = executor_for(cx, shards, agent, alone);
    let epoch = cx.world.next_epoch(cx.now);
    let id = TaskId::from_uuid(cx.world.ids.uuid(cx.now.wall));
    let Some(tries) = take_shard(cx, shards, item, id) else { return };
    let resident = cx.world.runs.get(&shards.run).is_some_and(Run::is_daemon);
    let payload = payload(cx, shards, item, id, epoch, tries.attempt);

    let launching_until = cx.now.mono + limits::LAUNCHING_MAX;
    let entry = cx.world.agents.entry(agent.clone()).or_default();
    entry.tasks.insert(id);
    let task = Task {
        run: shards.run,
        item,
        tries,
        epoch,
        agent: agent.clone(),
        hostname: entry.hostname.clone(),
        executor,
        launched_at: cx.now.wall,
        version: resident.then_some(shards.job_version),
        phase: Phase::Launching,
        told_starting: false,
        told_running: false,
        started_at: None,
        steady_at: None,
        launching_until,
        overdue_at: None,
        doubt: None,
        kills: 0,
        told_at: None,
        told_again_at: None,
        chosen: Some(chosen),
    };
    trace::staging(cx, &shards.job, id, &task);
    cx.world.tasks.insert(id, task);
    cx.world.running.begins(shards.app_uid);
    cx.world.wake_at(launching_until, Timer::Launching(id));
    batches.entry(agent.clone()).or_default().push(TaskLaunch {
        task: id,
        name: format!("{}#{item}", shards.job.name),
        resources: shards.job.resources.clone(),
        executor,
        executor_info: info,
        executor_is_new,
        payload: payload.encode(),
    });
    if let Some(executor) = cx.world.executors.memory(&executor) {
        executor.tasks.insert(id);
        executor.idle_since = None;
    }
}

/// Gives a shard its task; says what it went through, that one included.
fn take_shard(cx: &mut Cx<'_>, shards: &Shards, item: u32, id: TaskId) -> Option<Tries> {
    let run = cx.world.runs.change(&shards.run)?;
    let mut tries = match run.shard(item) {
        Some(Shard::Pending(tries)) => tries,
        _ => Tries::default(),
    };
    tries.attempt += 1;
    tries.reason = None;
    let follows = run.is_daemon();
    let record = run.record_mut();
    let begins = record.started_at.is_none();
    if begins {
        record.started_at = Some(cx.now.wall);
        record.state = RunState::Running;
    }
    if !follows {
        record.version = Some(shards.job_version);
        record.revision = Some(shards.revision);
    }
    run.set(item, Shard::Live { task: id, state: ShardState::Launching });
    if begins {
        cx.world.revision_uses.run_begins(run.record());
        trace::run(cx, shards.run);
        ledger::has_run(cx, shards.run, &shards.job);
        deadlines::watch_end(cx, shards.run);
    }
    Some(tries)
}

/// The executor of that app revision on that agent, or a new one; always a new one for a task that
/// is to be alone.
fn executor_for(
    cx: &mut Cx<'_>,
    shards: &Shards,
    agent: &AgentId,
    alone: bool,
) -> (ExecutorId, Arc<[u8]>, bool) {
    let usable = |executor: &&Executor| {
        (executor.record.app_uid, executor.record.revision) == (shards.app_uid, shards.revision)
            && cx.world.takes_more(executor)
    };
    let living = cx.world.agents.get(agent).filter(|_| !alone);
    let found = living.into_iter().flat_map(|agent| &agent.executors).find_map(|id| {
        let executor = cx.world.executors.get(id).filter(usable)?;
        Some((*id, executor.record.info.clone()))
    });
    if let Some((id, info)) = found {
        return (id, info, false);
    }
    let id = ExecutorId::from_uuid(cx.world.ids.uuid(cx.now.wall));
    cx.world.agents.entry(agent.clone()).or_default().executors.insert(id);
    let info: Arc<[u8]> = cx.config.describe(id, &shards.app).into();
    let record = ExecutorRecord {
        app: shards.app.name.clone(),
        app_uid: shards.app_uid,
        revision: shards.revision,
        agent: agent.clone(),
        state: ExecutorState::Starting,
        info: info.clone(),
    };
    cx.world.revision_uses.executor_begins(&record);
    cx.world.executors.insert(id, Executor::new(record));
    (id, info, true)
}

/// When the code of a task is called, if it is resident.
fn resident(cx: &Cx<'_>, shards: &Shards) -> Option<Resident> {
    let record = cx.world.runs.get(&shards.run).filter(|run| run.is_daemon())?.record();
    let job = cx.world.job(&record.job, record.job_uid)?;
    let offset = fires::jitter_of(&shards.job, job.uid);
    shards.job.resident(job.created_at, offset, shards.app.event_sampling)
}

fn payload(
    cx: &Cx<'_>,
    shards: &Shards,
    item: u32,
    task: TaskId,
    epoch: u64,
    attempt: u32,
) -> TaskPayload {
    let job = &shards.job;
    let run = cx.world.runs.get(&shards.run).expect("it was found a moment ago").record();
    let work = match (job.job_type, &job.script) {
        (JobType::Script, Some(script)) => Work::Script(script.clone()),
        _ => Work::Simple { handler: job.handler_name().to_owned() },
    };
    TaskPayload {
        context: ShardContext {
            job: job.name.clone(),
            run: shards.run,
            task,
            attempt,
            epoch,
            shard_count: job.sharding.count,
            shard_item: item,
            shard_parameter: job.shard_parameter(item).to_owned(),
            job_parameter: run.parameter.clone().unwrap_or_else(|| job.parameter.clone()),
            planned_time: run.planned_at,
            planned_until: run.planned_until,
            fires: run.fires,
            fire_time: cx.now.wall,
            props: job.props.clone(),
        },
        work,
        timeout: job.timeout,
        kill_grace: job.kill_grace,
        resident: resident(cx, shards),
    }
}
