//! Tasks: what is said of them, what that means for their shard, and how they are ended.

use muster_api::{AgentId, RunId, Span, TaskId, limits, task::TaskReport, views::ShardState};

use crate::{
    aftermath::Aftermath,
    cx::Cx,
    effect::{Effect, Note},
    event::{Signal, TaskUpdate},
    executors,
    records::{self, PastTaskRecord},
    run::Shard,
    runs,
    task::{Ending, KillCause, Next, Phase, Task, next},
    world::Timer,
    zombies,
};

/// Takes in what is said of a task.
pub(crate) fn update(cx: &mut Cx<'_>, update: &TaskUpdate) {
    if let (Some(uuid), Some(agent)) = (update.uuid, update.agent.clone()) {
        // Whatever it means, it is taken: leaving with the other effects, once all is stored.
        cx.effect(Effect::Acknowledge { task: update.task, agent, uuid });
    }
    cx.world.reconcile.heard(&update.task);
    let Some(task) = cx.world.tasks.get(&update.task) else { return zombies::heard(cx, update) };
    if update.agent.as_ref().is_some_and(|agent| *agent != task.agent) {
        return;
    }
    let (executor, mut signal) = (task.executor, update.signal);
    match signal {
        Signal::Starting
        | Signal::Running
        | Signal::Killing
        | Signal::Stuck { .. }
        | Signal::Finished => executors::seen_alive(cx, executor),
        Signal::DiedWithExecutor | Signal::Neighbour => executors::gone(cx, executor),
        // It was killed before anything was heard of it, and its code has run all the same.
        Signal::Killed if update.report.started_at.is_some() => signal = Signal::Died,
        // It was to be launched in an executor that had just ended, with room for the task alone.
        Signal::Invalid if executors::is_gone(cx, executor) => signal = Signal::NeverStarted,
        _ => {}
    }
    let Some(task) = cx.world.tasks.get(&update.task) else { return };
    match next(task.phase, signal) {
        Next::Goes(phase) => {
            goes(cx, update, phase);
            if let Signal::Stuck { timed_out } = signal {
                does_not_end(cx, update.task, timed_out);
            }
        }
        Next::Over(ending) => {
            let ending = unasked(cx, update.task, signal, ending);
            over(cx, update.task, ending, &update.message, &update.report);
        }
    }
}

/// How a task ended that was being killed though nobody asked for it: as its executor did.
fn unasked(cx: &Cx<'_>, id: TaskId, signal: Signal, ending: Ending) -> Ending {
    let run = cx.world.tasks.get(&id).and_then(|task| cx.world.runs.get(&task.run));
    let asked = run.is_none_or(|run| run.is_stopping());
    match (ending, signal) {
        (Ending::Cancelled, Signal::DiedWithExecutor) if !asked => Ending::DiedWithExecutor,
        (Ending::Cancelled, Signal::Neighbour) if !asked => Ending::Neighbour,
        (Ending::Cancelled, Signal::Fenced) if !asked => Ending::Fenced,
        (ending, _) => ending,
    }
}

/// Says of a task what nobody sent: it was found out.
pub(crate) fn found(cx: &mut Cx<'_>, id: TaskId, signal: Signal, message: &str) {
    let Some(task) = cx.world.tasks.get(&id) else { return };
    if let Next::Over(ending) = next(task.phase, signal) {
        let ending = unasked(cx, id, signal, ending);
        over(cx, id, ending, message, &TaskReport::default());
    }
}

/// A task was asked to end and does not, so its executor ends. One that has reached its time-out is
/// killed by the engine too, so that its agent sees to it should the executor freeze.
fn does_not_end(cx: &mut Cx<'_>, id: TaskId, timed_out: bool) {
    let Some(task) = cx.world.tasks.get(&id) else { return };
    executors::close(cx, task.executor);
    if timed_out {
        kill(cx, id, KillCause::Timeout);
    }
}

fn goes(cx: &mut Cx<'_>, update: &TaskUpdate, phase: Phase) {
    let Some(task) = cx.world.tasks.memory(&update.task) else { return };
    let began = phase == Phase::Running && task.phase != Phase::Running;
    let launching = Phase::Killing(KillCause::Launching);
    let started_after_all = task.phase == launching && phase != launching;
    task.phase = phase;
    let (run, item) = (task.run, task.item);
    if started_after_all {
        // What is stored says that it never started.
        cx.world.tasks.change(&update.task);
    }
    let Some(task) = cx.world.tasks.memory(&update.task) else { return };
    if phase == Phase::Running {
        // Reconciliation tells that it runs, and not since when; its executor does.
        let reported = update.at.filter(|_| update.uuid.is_some());
        task.started_at = task.started_at.or(update.report.started_at).or(reported);
    }
    if began {
        // Nobody tells it to end any more; whoever does later begins anew.
        (task.kills, task.told_at) = (0, None);
        watch_timeout(cx, update.task, run);
    }
    let state = shard_state(phase);
    if let Some(run) = cx.world.runs.memory(&run) {
        run.set(item, Shard::Live { task: update.task, state });
    }
}

/// The state of a shard whose task is in some phase.
pub(crate) fn shard_state(phase: Phase) -> ShardState {
    match phase {
        Phase::Launching => ShardState::Launching,
        Phase::Running => ShardState::Running,
        Phase::Killing(_) => ShardState::Killing,
    }
}

/// The executor ends a task at its time-out; if it does not, the engine does, a little later.
fn watch_timeout(cx: &mut Cx<'_>, task: TaskId, run: RunId) {
    let Some(spec) = cx.world.runs.get(&run).and_then(|run| cx.world.spec_of(run)) else { return };
    if !spec.timeout.is_zero() {
        let allowed = spec.timeout.duration() + spec.kill_grace.duration() + limits::TIMEOUT_SLACK;
        let at = cx.now.mono + allowed;
        if let Some(task) = cx.world.tasks.memory(&task) {
            task.overdue_at = Some(at);
        }
        cx.world.wake_at(at, Timer::Overdue(task));
    }
}

/// Tells a task to end, now and again until it has.
pub(crate) fn kill(cx: &mut Cx<'_>, id: TaskId, cause: KillCause) {
    // A rule of the engine must be known after a restart too; what a user asked for is in the run.
    let task = match cause {
        KillCause::Asked => cx.world.tasks.memory(&id),
        KillCause::Timeout | KillCause::Launching => cx.world.tasks.change(&id),
    };
    let Some(task) = task else { return };
    // One that is being killed is told again in its own time, whoever asks how often.
    let is_told = task.kills > 0 && matches!(task.phase, Phase::Killing(_));
    if !matches!(task.phase, Phase::Killing(KillCause::Asked)) {
        task.phase = Phase::Killing(cause);
    }
    if is_told {
        return;
    }
    let (run, item) = (task.run, task.item);
    if let Some(run) = cx.world.runs.memory(&run) {
        run.set(item, Shard::Live { task: id, state: ShardState::Killing });
    }
    kill_again(cx, id);
}

/// Repeats the order to end a task that is to end.
pub(crate) fn kill_again(cx: &mut Cx<'_>, id: TaskId) {
    let Some(task) = cx.world.tasks.get(&id) else { return };
    if !matches!(task.phase, Phase::Killing(_)) {
        return;
    }
    let (agent, run, executor) = (task.agent.clone(), task.run, task.executor);
    let heard = is_heard(cx, &agent);
    let now = cx.now.mono;
    let spec = cx.world.runs.get(&run).and_then(|run| cx.world.spec_of(run));
    let grace = spec.map_or(Span::ZERO, |spec| spec.kill_grace);
    let Some(task) = cx.world.tasks.memory(&id) else { return };
    let wait = limits::KILL_REPEAT_FIRST.saturating_mul(1 << task.kills.min(16));
    let next = now + wait.min(limits::KILL_REPEAT_MAX);
    task.kills += 1;
    // Of a silent host nobody expects an answer.
    task.told_at = if heard { task.told_at.or(Some(now)) } else { None };
    let late = |told_at| told_at + grace.duration() + limits::KILL_LATE <= now;
    let is_late = task.told_at.is_some_and(late);
    // One timer a task, however it came to be told.
    let before = task.told_again_at.replace(next);
    if let Some(before) = before {
        cx.world.timers.remove(&(before, Timer::KillAgain(id)));
    }
    if is_late {
        // Its executor should have said by now that it does not end.
        executors::close(cx, executor);
    }
    cx.effect(Effect::Kill { task: id, agent, grace });
    cx.world.wake_at(next, Timer::KillAgain(id));
}

/// Nobody expects an answer of a task while its host is silent.
pub(crate) fn host_is_silent(cx: &mut Cx<'_>, id: TaskId) {
    if let Some(task) = cx.world.tasks.memory(&id) {
        task.told_at = None;
    }
}

/// Whether orders reach an agent.
fn is_heard(cx: &Cx<'_>, agent: &AgentId) -> bool {
    let there = cx.world.agents.get(agent);
    cx.world.held().is_none() && there.is_some_and(|agent| agent.silent_since.is_none())
}

/// A task that never left for its executor is ended and counts as never started. Silence ends
/// nothing, for it may run all the while: that is for its lease to do.
pub(crate) fn check_launching(cx: &mut Cx<'_>, id: TaskId) {
    let launching = |task: &&Task| task.phase == Phase::Launching;
    let Some(task) = cx.world.tasks.get(&id).filter(launching) else { return };
    if is_heard(cx, &task.agent) {
        return kill(cx, id, KillCause::Launching);
    }
    let until = cx.now.mono + limits::LAUNCHING_MAX;
    if let Some(task) = cx.world.tasks.memory(&id) {
        task.launching_until = until;
    }
    cx.world.wake_at(until, Timer::Launching(id));
}

/// The host of a task is back and names it: what it is doing is said in a moment, and only then
/// its time to launch may be over.
pub(crate) fn host_is_back(cx: &mut Cx<'_>, id: TaskId) {
    let until = cx.now.mono + limits::SILENT_AFTER;
    let Some(task) = cx.world.tasks.memory(&id) else { return };
    if task.phase == Phase::Launching && task.launching_until < until {
        let before = std::mem::replace(&mut task.launching_until, until);
        cx.world.timers.remove(&(before, Timer::Launching(id)));
        cx.world.wake_at(until, Timer::Launching(id));
    }
}

/// A task that its executor did not end at its time-out is ended by the engine.
pub(crate) fn check_overdue(cx: &mut Cx<'_>, id: TaskId) {
    if cx.world.tasks.get(&id).is_some_and(|task| task.phase == Phase::Running) {
        kill(cx, id, KillCause::Timeout);
    }
}

/// A task is over: its shard is over too, or goes another try.
fn over(cx: &mut Cx<'_>, id: TaskId, ending: Ending, message: &str, report: &TaskReport) {
    let Some(task) = cx.world.tasks.remove(&id) else { return };
    executors::task_left(cx, &task, id);
    if ending == Ending::NeverStarted {
        executors::doubt(cx, task.executor);
    }
    forget_timers(cx, &task, id);
    let run = cx.world.runs.get(&task.run);
    let newest = run.and_then(|run| cx.world.newest_spec_of(run));
    let stopped_as = run.map_or(Some(ShardState::Cancelled), |run| run.record().stopped_as());
    let after = Aftermath::of(&task, id, ending, message, newest.as_deref(), stopped_as);
    cx.note(Note::TaskEnded { task: id, how: after.how.clone() });
    write_history(cx, &task, id, &after, report);

    let shard = match after.again {
        None => {
            *cx.out.tally.shards_over.of(after.state) += 1;
            Shard::Over(after.state)
        }
        Some((tries, wait)) if wait.is_zero() => Shard::Pending(tries),
        Some((tries, wait)) => {
            let until = cx.now.mono + wait;
            cx.world.wake_at(until, Timer::Backoff(task.run, task.item));
            Shard::BackingOff { tries, until }
        }
    };
    if let Some(run) = cx.world.runs.change(&task.run) {
        run.set(task.item, shard);
    }
    runs::proceed(cx, task.run);
}

/// Nobody needs to look at a task again that is over.
fn forget_timers(cx: &mut Cx<'_>, task: &Task, id: TaskId) {
    cx.world.timers.remove(&(task.launching_until, Timer::Launching(id)));
    if let Some(at) = task.overdue_at {
        cx.world.timers.remove(&(at, Timer::Overdue(id)));
    }
    if let Some(at) = task.told_again_at {
        cx.world.timers.remove(&(at, Timer::KillAgain(id)));
    }
}

/// Lets a shard start again whose back-off is over.
pub(crate) fn check_backoff(cx: &mut Cx<'_>, run: RunId, item: u32) {
    let now = cx.now.mono;
    let Some(stored) = cx.world.runs.memory(&run) else { return };
    if let Some(Shard::BackingOff { tries, until }) = stored.shard(item)
        && until <= now
    {
        stored.set(item, Shard::Pending(tries));
        cx.world.requeue(run);
    }
}

fn write_history(cx: &mut Cx<'_>, task: &Task, id: TaskId, after: &Aftermath, report: &TaskReport) {
    let spec = cx.world.runs.get(&task.run).and_then(|run| cx.world.spec_of(run));
    let succeeded = after.state == ShardState::Succeeded;
    let record = PastTaskRecord {
        task: id,
        item: task.item,
        parameter: spec.map(|spec| spec.shard_parameter(task.item).to_owned()).unwrap_or_default(),
        attempt: task.tries.attempt,
        epoch: task.epoch,
        agent: task.agent.clone(),
        hostname: task.hostname.clone(),
        executor: task.executor,
        state: after.state,
        reason: (!succeeded).then(|| after.how.clone()),
        launched_at: task.launched_at,
        started_at: report.started_at.or(task.started_at),
        ended_at: cx.now.wall,
        exit_code: report.exit_code,
        result: report.result.clone(),
        output: report.output.clone().filter(|_| !succeeded),
        replaces: task.tries.replaces,
    };
    let key = records::past_task_key(&task.run, task.item, task.tries.attempt, task.epoch);
    cx.history(key, &record);
}
