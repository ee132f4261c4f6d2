//! What is told of tasks, runs, fires and hosts to those who ask later what happened.
//!
//! Each change is told once, where it is made. What only says again what is known, as
//! reconciliation and updates that are sent again do, changes nothing and is no event.

use muster_api::{
    AgentId, ExecutorId, RunId, TaskId, Timestamp,
    events::{EventKind, EventSource, TraceEvent},
    spec::JobSpec,
    task::TaskReport,
    views::{Cause, FireOutcome},
};

use crate::{
    cx::Cx,
    event::TaskUpdate,
    ledger::Planned,
    misfire::{Instants, Why},
    records::RunRecord,
    run::Run,
    task::{Ending, KillCause, Phase, Task},
};

/// Who said something, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) by: EventSource,
    pub(crate) at: Option<Timestamp>,
}

impl Said {
    /// It was found out here and now.
    pub(crate) const HERE: Self = Self { by: EventSource::Scheduler, at: None };

    /// Who says what an update says.
    pub(crate) fn of(update: &TaskUpdate) -> Self {
        Self { by: update.source, at: update.at }
    }
}

/// A task was made for a shard, and is on its way.
pub(crate) fn staging(cx: &mut Cx<'_>, job: &JobSpec, id: TaskId, task: &Task) {
    let mut event = here(cx, EventKind::Task, "staging");
    of_job(&mut event, job);
    of_task(&mut event, id, task);
    cx.trace(event);
}

/// An executor or agent says that a task has reached a phase in which it was not before.
pub(crate) fn goes(cx: &mut Cx<'_>, update: &TaskUpdate, phase: Phase) {
    let state = match phase {
        Phase::Launching => "starting",
        Phase::Running => "running",
        Phase::Killing(_) => "killing",
    };
    task(cx, update.task, state, Said::of(update), some(&update.message));
}

/// A task is told to end.
pub(crate) fn killing(cx: &mut Cx<'_>, id: TaskId, cause: KillCause) {
    let Some(killed) = cx.world.tasks.get(&id) else { return };
    let run = cx.world.runs.get(&killed.run).map(Run::record);
    let message = match cause {
        KillCause::Asked => run.and_then(|run| run.reason.clone()),
        KillCause::Restart => killed.tries.reason.clone(),
        KillCause::Operator => Some("an operator wants it to end".to_owned()),
        KillCause::Timeout => Some("it took longer than its timeout".to_owned()),
        KillCause::Launching => Some("it was launching for too long".to_owned()),
    };
    task(cx, id, "killing", Said::HERE, message);
}

/// A task is over, and has left the world already.
pub(crate) fn over(
    cx: &mut Cx<'_>,
    id: TaskId,
    task: &Task,
    ending: Ending,
    (said, how, report): (Said, &str, &TaskReport),
) {
    let mut event = told(cx, task, ended_as(ending), said);
    of_its_run(cx, &mut event, task.run);
    of_task(&mut event, id, task);
    event.message = some(how).filter(|_| ending != Ending::Succeeded);
    let started_at = report.started_at.or(task.started_at);
    event.started_at = started_at.map(|at| at.max(task.launched_at).min(event.at));
    event.exit_code = report.exit_code;
    cx.trace(event);
}

/// A task that is over for us lives, and is being ended.
pub(crate) fn zombie(cx: &mut Cx<'_>, update: &TaskUpdate) {
    let mut event = here(cx, EventKind::Task, "zombie");
    event.task = Some(update.task);
    event.agent = update.agent.clone();
    event.message = Some("it is over for the scheduler and lives: it is being killed".to_owned());
    cx.trace(event);
}

fn task(cx: &mut Cx<'_>, id: TaskId, state: &'static str, said: Said, message: Option<String>) {
    let Some(task) = cx.world.tasks.get(&id) else { return };
    let mut event = told(cx, task, state, said);
    of_its_run(cx, &mut event, task.run);
    of_task(&mut event, id, task);
    event.message = message;
    cx.trace(event);
}

/// How a task ended, as a state.
fn ended_as(ending: Ending) -> &'static str {
    match ending {
        Ending::Succeeded => "finished",
        Ending::CodeFailed => "failed",
        Ending::TimedOut => "timed_out",
        Ending::CannotStart | Ending::NoContainer => "cannot_start",
        Ending::Cancelled | Ending::KilledOnRequest | Ending::Restarted => "killed",
        Ending::NeverStarted => "never_started",
        Ending::Died | Ending::DiedWithExecutor | Ending::Neighbour => "died",
        Ending::Fenced => "fenced",
        Ending::Invalid => "invalid",
    }
}

/// A run is in another state: what it says itself is told.
pub(crate) fn run(cx: &mut Cx<'_>, id: RunId) {
    if let Some(run) = cx.world.runs.get(&id) {
        let event = run_event(cx.now.wall, run.record());
        cx.trace(event);
    }
}

/// A run is over.
pub(crate) fn run_over(cx: &mut Cx<'_>, run: &RunRecord) {
    let mut event = run_event(run.ended_at.unwrap_or(cx.now.wall), run);
    event.started_at = run.started_at;
    cx.trace(event);
}

fn run_event(at: Timestamp, run: &RunRecord) -> TraceEvent {
    let state = run.state.as_str();
    let mut event = TraceEvent::new(at, EventKind::Run, state, EventSource::Scheduler);
    event.app = Some(run.app.clone());
    event.job = Some(run.job.clone());
    event.run = Some(run.id);
    event.message = run.reason.clone();
    event.version = run.version;
    if run.cause == Cause::Schedule {
        event.planned_at = Some(run.planned_at);
        event.planned_until = Some(run.planned_until).filter(|until| *until != run.planned_at);
        event.count = run.fires;
    }
    event
}

/// Instants became no runs of their own.
pub(crate) fn fires(
    cx: &mut Cx<'_>,
    planned: Planned<'_>,
    instants: Instants,
    outcome: FireOutcome,
    (why, run): (Why, Option<RunId>),
) {
    let mut event = here(cx, EventKind::Fire, outcome.as_str());
    of_job(&mut event, &planned.job.spec);
    event.run = run;
    event.message = Some(why.to_string());
    event.planned_at = Some(instants.first);
    event.planned_until = Some(instants.last).filter(|last| *last != instants.first);
    event.count = instants.count;
    cx.trace(event);
}

/// The instants of a scheduled run have no run of their own any more: it ended with nothing launched.
pub(crate) fn fire_of(cx: &mut Cx<'_>, run: &RunRecord) {
    let outcome = match run.merged_into {
        Some(_) => FireOutcome::Coalesced,
        None => FireOutcome::Skipped,
    };
    let mut event = run_event(cx.now.wall, run);
    event.kind = EventKind::Fire;
    event.state = outcome.as_str().into();
    event.run = run.merged_into.or(Some(run.id));
    cx.trace(event);
}

/// Something became of a host.
pub(crate) fn host(cx: &mut Cx<'_>, id: &AgentId, state: &'static str, message: Option<&str>) {
    let mut event = here(cx, EventKind::Host, state);
    event.agent = Some(id.clone());
    event.hostname = hostname(cx, id);
    event.message = message.map(str::to_owned);
    cx.trace(event);
}

/// An executor takes no tasks any more.
pub(crate) fn executor(cx: &mut Cx<'_>, id: ExecutorId, state: &'static str, message: &str) {
    let Some(record) = cx.world.executors.get(&id).map(|executor| &executor.record) else { return };
    let mut event = here(cx, EventKind::Executor, state);
    event.app = Some(record.app.clone());
    event.agent = Some(record.agent.clone());
    event.hostname = hostname(cx, &record.agent);
    event.executor = Some(id);
    event.message = some(message);
    cx.trace(event);
}

/// A restored store is held, or goes on.
pub(crate) fn scheduler(cx: &mut Cx<'_>, state: &'static str, message: &str) {
    let mut event = here(cx, EventKind::Scheduler, state);
    event.message = some(message);
    cx.trace(event);
}

fn here(cx: &Cx<'_>, kind: EventKind, state: &'static str) -> TraceEvent {
    TraceEvent::new(cx.now.wall, kind, state, EventSource::Scheduler)
}

/// An event of a task that somebody told of: nothing of it is earlier than its launch, nor later
/// than now, whatever the clocks of hosts show.
fn told(cx: &Cx<'_>, task: &Task, state: &'static str, said: Said) -> TraceEvent {
    TraceEvent::new(time_of(cx, task, said.at), EventKind::Task, state, said.by)
}

/// When something became of a task, as somebody told it or, without that, now.
pub(crate) fn time_of(cx: &Cx<'_>, task: &Task, told: Option<Timestamp>) -> Timestamp {
    told.unwrap_or(cx.now.wall).max(task.launched_at).min(cx.now.wall)
}

fn of_job(event: &mut TraceEvent, job: &JobSpec) {
    event.app = Some(job.app.clone());
    event.job = Some(job.name.clone());
}

fn of_its_run(cx: &Cx<'_>, event: &mut TraceEvent, run: RunId) {
    if let Some(record) = cx.world.runs.get(&run).map(Run::record) {
        event.app = Some(record.app.clone());
        event.job = Some(record.job.clone());
    }
}

fn of_task(event: &mut TraceEvent, id: TaskId, task: &Task) {
    event.run = Some(task.run);
    event.task = Some(id);
    event.item = Some(task.item);
    event.attempt = Some(task.tries.attempt);
    event.replaces = task.tries.replaces;
    event.agent = Some(task.agent.clone());
    event.hostname = Some(task.hostname.clone());
    event.executor = Some(task.executor);
}

fn hostname(cx: &Cx<'_>, id: &AgentId) -> Option<String> {
    let agent = cx.world.agents.get(id)?;
    some(&agent.hostname)
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
