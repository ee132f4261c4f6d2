//! Runs that users start and end.

use muster_api::{
    JobName, RunId, limits,
    views::{Cause, RunState, RunView, TriggerRequest},
};

use crate::{
    cx::Cx,
    event::{Accepted, CommandReply, Rejected},
    idempotency::{self, Asked},
    records::JobRecord,
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
    let asked = Asked::Trigger(request.clone());
    if let Some(reply) = idempotency::answered_before(cx, job.uid, key.as_deref(), &asked) {
        return reply;
    }
    check_enabled(cx, &job)?;
    let faults = job.spec.check_trigger(&request);
    if !faults.is_empty() {
        return Err(Rejected::Invalid { faults });
    }
    check_room(cx, &job)?;
    let new = NewRun {
        cause: Cause::Trigger,
        rerun_of: None,
        planned_at: cx.now.wall,
        planned_until: cx.now.wall,
        fires: Some(1),
        parameter: request.parameter,
        only: request.items.map(|items| items.into_iter().collect()),
    };
    start(cx, &job, new, key, asked)
}

/// Makes a run that a user asked for, and keeps the answer if the request has a key.
pub(crate) fn start(
    cx: &mut Cx<'_>,
    job: &JobRecord,
    new: NewRun,
    key: Option<String>,
    asked: Asked,
) -> CommandReply {
    let id = runs::create(cx, job, new);
    let view = view(cx, id)?;
    idempotency::remember(cx, job.uid, key, asked, &view);
    Ok(Accepted::Run(Box::new(view)))
}

/// Nothing is started of a job that is disabled.
pub(crate) fn check_enabled(cx: &Cx<'_>, job: &JobRecord) -> Result<(), Rejected> {
    if cx.world.is_enabled(job) {
        return Ok(());
    }
    let name = &job.spec.name;
    let detail = format!("job `{name}` or its app is disabled; enable it first");
    Err(Rejected::Conflict { detail })
}

/// Runs that users start wait in bounded numbers.
pub(crate) fn check_room(cx: &Cx<'_>, job: &JobRecord) -> Result<(), Rejected> {
    let waits = |id: &&RunId| {
        cx.world.runs.get(id).is_some_and(|run| {
            run.record().cause != Cause::Schedule && run.record().state == RunState::Pending
        })
    };
    let waiting = cx.world.lanes.get(&job.uid).into_iter().flatten().filter(waits).count();
    if waiting >= limits::WAITING_TRIGGERS_PER_JOB {
        return Err(Rejected::TooManyWaiting { job: job.spec.name.clone(), waiting });
    }
    if cx.room_for_runs() == 0 {
        return Err(Rejected::QueueFull { waiting: cx.world.waiting.len() });
    }
    Ok(())
}

fn view(cx: &Cx<'_>, id: RunId) -> Result<RunView, Rejected> {
    let run = cx.world.runs.get(&id);
    let not_found = || Rejected::NotFound { kind: "run", name: id.to_string() };
    run.map(|run| run.record().view_with(run.counts())).ok_or_else(not_found)
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
