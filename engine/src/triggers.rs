//! Runs that users start and end.

use muster_api::{
    JobName, JobUid, RunId, limits,
    views::{Cause, RunState, RunView, TriggerRequest},
};

use crate::{
    cx::Cx,
    event::{Accepted, CommandReply, Rejected},
    records::{IdempotencyRecord, JobRecord},
    runs::{self, NewRun},
};

/// Starts a run now, or as soon as its turn comes.
pub(crate) fn trigger(
    cx: &mut Cx<'_>,
    name: &JobName,
    request: TriggerRequest,
    key: Option<String>,
) -> CommandReply {
    let not_found = || Rejected::NotFound { kind: "job", name: name.to_string() };
    let job = cx.world.jobs.get(name).cloned().ok_or_else(not_found)?;
    if let Some(key) = &key
        && let Some(reply) = answered_before(cx, job.uid, key, &request)
    {
        return reply;
    }
    if !cx.world.is_enabled(&job) {
        let detail = format!("job `{name}` or its app is disabled; enable it first");
        return Err(Rejected::Conflict { detail });
    }
    let faults = job.spec.check_trigger(&request);
    if !faults.is_empty() {
        return Err(Rejected::Invalid { faults });
    }
    let waiting = waiting_triggers(cx, job.uid);
    if waiting >= limits::WAITING_TRIGGERS_PER_JOB {
        return Err(Rejected::TooManyWaiting { job: name.clone(), waiting });
    }
    let view = start(cx, &job, &request)?;
    if let Some(key) = key {
        forget_old_keys(cx);
        cx.world.keys_by_time.insert((cx.now.wall, job.uid, key.clone()));
        let record = IdempotencyRecord { request, answer: view.clone(), at: cx.now.wall };
        cx.world.idempotency.insert((job.uid, key), record);
    }
    Ok(Accepted::Run(Box::new(view)))
}

fn start(cx: &mut Cx<'_>, job: &JobRecord, request: &TriggerRequest) -> Result<RunView, Rejected> {
    let new = NewRun {
        cause: Cause::Trigger,
        planned_at: cx.now.wall,
        planned_until: cx.now.wall,
        fires: Some(1),
        parameter: request.parameter.clone(),
        only: request.items.as_ref().map(|items| items.iter().copied().collect()),
    };
    let id = runs::create(cx, job, new);
    view(cx, id)
}

fn view(cx: &Cx<'_>, id: RunId) -> Result<RunView, Rejected> {
    let run = cx.world.runs.get(&id);
    let not_found = || Rejected::NotFound { kind: "run", name: id.to_string() };
    run.map(|run| run.record().view_with(run.counts())).ok_or_else(not_found)
}

fn waiting_triggers(cx: &Cx<'_>, job: JobUid) -> usize {
    let lane = runs::lane(cx, job);
    let waits = |id: &&RunId| {
        cx.world.runs.get(id).is_some_and(|run| {
            run.record().cause == Cause::Trigger && run.record().state == RunState::Pending
        })
    };
    lane.iter().filter(waits).count()
}

/// The same key within a day is the same trigger: the first answer, or a conflict if it asks for
/// something else.
fn answered_before(
    cx: &Cx<'_>,
    job: JobUid,
    key: &str,
    request: &TriggerRequest,
) -> Option<CommandReply> {
    let record = cx.world.idempotency.get(&(job, key.to_owned()))?;
    if cx.now.wall.since(record.at) > limits::IDEMPOTENCY_KEPT {
        return None;
    }
    if record.request == *request {
        return Some(Ok(Accepted::Run(Box::new(record.answer.clone()))));
    }
    let detail = format!("the idempotency key `{key}` was used for another trigger of this job");
    Some(Err(Rejected::Conflict { detail }))
}

/// Forgets a few keys that are over a day old, of whichever job; each new key pays for them.
fn forget_old_keys(cx: &mut Cx<'_>) {
    const AT_ONCE: usize = 10;
    for _ in 0..AT_ONCE {
        match cx.world.keys_by_time.first() {
            Some((at, ..)) if cx.now.wall.since(*at) > limits::IDEMPOTENCY_KEPT => {}
            _ => return,
        }
        if let Some((at, job, key)) = cx.world.keys_by_time.pop_first()
            && cx.world.idempotency.get(&(job, key.clone())).is_some_and(|kept| kept.at == at)
        {
            cx.world.idempotency.remove(&(job, key));
        }
    }
}

/// Ends a run on request.
pub(crate) fn cancel(cx: &mut Cx<'_>, id: RunId) -> CommandReply {
    let run = cx.world.runs.get(&id);
    let not_found = || Rejected::NotFound { kind: "run", name: id.to_string() };
    let mut answer = run.map(|run| run.record().clone()).ok_or_else(not_found)?;
    runs::stop(cx, id, "cancelled by request");
    if let Ok(view) = view(cx, id) {
        return Ok(Accepted::Run(Box::new(view)));
    }
    // Nothing of it lived, so it is over already.
    answer.state = RunState::Cancelled;
    answer.reason = Some("cancelled by request".to_owned());
    answer.ended_at = Some(cx.now.wall);
    let view = answer.view_with(muster_api::views::ShardCounts::default());
    Ok(Accepted::Run(Box::new(view)))
}
