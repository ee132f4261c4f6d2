//! Runs that users start and end.

use muster_api::{
    JobName, RunId, limits,
    spec::JobSpec,
    views::{Cause, RunState, RunView, TriggerRequest},
};

use crate::{
    cx::Cx,
    event::{Accepted, CommandReply, Rejected},
    idempotency::{self, Asked},
    records::JobRecord,
    run::Shard,
    runs::{self, NewRun},
    task::KillCause,
    tasks,
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
    check_transient(&job)?;
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

/// A daemon job has one run, which nobody starts but by enabling it.
pub(crate) fn check_transient(job: &JobRecord) -> Result<(), Rejected> {
    if !job.spec.is_daemon() {
        return Ok(());
    }
    let name = &job.spec.name;
    let detail = format!(
        "job `{name}` is a daemon job: its tasks stay for as long as it is enabled and follow its \
         schedule by themselves, so there is nothing to start"
    );
    Err(Rejected::Conflict { detail })
}

/// Nothing is started of a job that is disabled.
pub(crate) fn check_enabled(cx: &Cx<'_>, job: &JobRecord) -> Result<(), Rejected> {
    if cx.world.is_enabled(job) {
        return Ok(());
    }
    let JobSpec { name, app, .. } = &*job.spec;
    let app_is_disabled = cx.world.apps.get(app).is_some_and(|app| app.disabled);
    let detail = match (job.disabled(), app_is_disabled) {
        (true, true) => {
            format!("job `{name}` and its app `{app}` are disabled; enable both first")
        }
        (true, false) => format!("job `{name}` is disabled; enable it first"),
        (false, _) => format!("app `{app}` of job `{name}` is disabled; enable it first"),
    };
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
    run.map(|run| cx.world.view_of(run)).ok_or_else(not_found)
}

/// Ends a run on request.
pub(crate) fn cancel(cx: &mut Cx<'_>, id: RunId) -> CommandReply {
    let run = cx.world.runs.get(&id);
    let not_found = || Rejected::NotFound { kind: "run", name: id.to_string() };
    let run = run.ok_or_else(not_found)?;
    if run.is_daemon() && !run.is_stopping() {
        let job = &run.record().job;
        let detail = format!(
            "run `{id}` is that of daemon job `{job}` and ends when the job is disabled: `muster \
             disable job {job}`; to have one of its tasks replaced: `muster kill {id} ITEM`"
        );
        return Err(Rejected::Conflict { detail });
    }
    let mut answer = run.record().clone();
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

/// Ends the task of one shard on request; the others of its run go on. The shard of a daemon job
/// gets another task, that of any other run is over.
pub(crate) fn kill_task(cx: &mut Cx<'_>, id: RunId, item: u32) -> CommandReply {
    let run = cx.world.runs.get(&id);
    let run = run.ok_or_else(|| Rejected::NotFound { kind: "run", name: id.to_string() })?;
    let conflict = |detail: String| Err(Rejected::Conflict { detail });
    let whole = match run.is_daemon() {
        true => format!("`muster disable job {}` ends all of it", run.record().job),
        false => format!("`muster cancel {id}` ends the whole run"),
    };
    let waits = match run.shard(item) {
        Some(Shard::Live { task, .. }) => {
            tasks::kill(cx, task, KillCause::Operator);
            return view(cx, id).map(|view| Accepted::Run(Box::new(view)));
        }
        None => return conflict(format!("run `{id}` has no shard {item}")),
        Some(Shard::Over(state)) => {
            let state = state.as_str();
            return conflict(format!("shard {item} of run `{id}` is over ({state})"));
        }
        Some(Shard::Pending(_)) => "waits for its start",
        Some(Shard::BackingOff { .. }) => "waits out its back-off",
    };
    conflict(format!("shard {item} of run `{id}` has no task to be killed: it {waits}; {whole}"))
}
