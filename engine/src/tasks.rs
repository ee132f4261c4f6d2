//! Tasks: what is said of them, what that means for their shard, and how they are ended.

use std::{mem, time::Duration};

use muster_api::{AgentId, RunId, Span, TaskId, limits, task::TaskReport, views::ShardState};

use crate::{
    cx::Cx,
    effect::Effect,
    ends::over,
    event::{Signal, TaskUpdate},
    executors, rolls,
    run::Shard,
    task::{Ending, KillCause, Next, Phase, Task, next},
    trace::{self, Said},
    unreachable,
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
    let Some(task) = cx.world.tasks.get(&update.task) else {
        if let Some(agent) = update.agent.as_ref().filter(|_| update.signal.is_of_its_agent()) {
            unreachable::agent_there(cx, agent);
        }
        return zombies::heard(cx, update);
    };
    if update.agent.as_ref().is_some_and(|agent| *agent != task.agent) {
        return;
    }
    let (executor, mut signal) = (task.executor, update.signal);
    if cx.world.is_disowned(task) {
        // It ends without a word, and may not have yet.
        signal = Signal::Unreachable;
    }
    if let Some(agent) = update.agent.as_ref().filter(|_| signal.is_of_its_agent()) {
        unreachable::agent_there(cx, agent);
    }
    match signal {
        Signal::Unreachable => {
            unreachable::doubt(cx, update.task);
            if let Some(agent) = update.agent.as_ref().filter(|_| update.signal == signal) {
                unreachable::agent_away(cx, agent);
            }
        }
        Signal::PerhapsAlive => unreachable::known(cx, update.task),
        Signal::Starting | Signal::Running | Signal::Killing | Signal::Stuck { .. } => {
            unreachable::known(cx, update.task);
            executors::seen_alive(cx, executor);
        }
        Signal::Finished => executors::seen_alive(cx, executor),
        Signal::DiedWithExecutor | Signal::Neighbour | Signal::NoContainer => {
            executors::gone(cx, executor);
        }
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
            over(cx, update.task, ending, &update.message, (Said::of(update), &update.report));
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
        over(cx, id, ending, message, (Said::HERE, &TaskReport::default()));
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
    // What reconciliation says was told before, or is told when it is sent again.
    let is_news = update.uuid.is_some()
        && match (update.signal, phase) {
            (Signal::Starting, Phase::Launching) => !mem::replace(&mut task.told_starting, true),
            (Signal::Running, Phase::Running) => !mem::replace(&mut task.told_running, true),
            (_, Phase::Killing(_)) => !matches!(task.phase, Phase::Killing(_)),
            _ => false,
        };
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
        let started_at = task.started_at.or(update.report.started_at).or(reported);
        // Whatever the clock of its host shows.
        let (from, to) = (task.launched_at, cx.now.wall);
        task.started_at = started_at.map(|at| at.max(from).min(to));
    }
    if began {
        // One that ran before this process did was steady by then, as far as the wall clock knows.
        let before = match task.chosen {
            Some(_) => Duration::ZERO,
            None => cx.now.wall.since(task.launched_at),
        };
        task.steady_at = Some(cx.now.mono + limits::DAEMON_STEADY.saturating_sub(before));
        // Nobody tells it to end any more; whoever does later begins anew.
        (task.kills, task.told_at) = (0, None);
        watch_timeout(cx, update.task, run);
    }
    let state = shard_state(phase);
    if let Some(run) = cx.world.runs.memory(&run) {
        run.set(item, Shard::Live { task: update.task, state });
    }
    if is_news {
        trace::goes(cx, update, phase);
    }
    if began {
        // The next shard of a daemon job may have waited for this one.
        rolls::look_at(cx, run);
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

/// The executor ends a task at its time-out; if it does not, the engine does, a little later. A
/// resident task has none: that of its job is for each execution.
fn watch_timeout(cx: &mut Cx<'_>, task: TaskId, run: RunId) {
    if cx.world.tasks.get(&task).is_some_and(Task::is_resident) {
        return;
    }
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
    // Why one task of a run is ended must be known after a restart too; that a run is, is in its
    // own record.
    let task = match cause {
        KillCause::Asked => cx.world.tasks.memory(&id),
        KillCause::Operator | KillCause::Timeout | KillCause::Restart | KillCause::Launching => {
            cx.world.tasks.change(&id)
        }
    };
    let Some(task) = task else { return };
    // One that is being killed is told again in its own time, whoever asks how often.
    let is_killing = matches!(task.phase, Phase::Killing(_));
    let is_told = task.kills > 0 && is_killing;
    task.is_killed_for(cause);
    if is_told {
        return;
    }
    let (run, item) = (task.run, task.item);
    if let Some(run) = cx.world.runs.memory(&run) {
        run.set(item, Shard::Live { task: id, state: ShardState::Killing });
    }
    if !is_killing {
        trace::killing(cx, id, cause);
    }
    kill_again(cx, id);
}

/// Ends a task so that its shard starts anew, on another agent if one fits. That uses up no attempt
/// and waits for no back-off; `reason` is what people are told.
pub(crate) fn restart(cx: &mut Cx<'_>, id: TaskId, reason: &str) {
    end_to_start_anew(cx, id, reason, true);
}

/// The same where the next one may start on the same agent.
pub(crate) fn replace(cx: &mut Cx<'_>, id: TaskId, reason: &str) {
    end_to_start_anew(cx, id, reason, false);
}

fn end_to_start_anew(cx: &mut Cx<'_>, id: TaskId, reason: &str, elsewhere: bool) {
    let Some(task) = cx.world.tasks.change(&id) else { return };
    // What is to become of its shard is stored with it.
    task.tries.reason = Some(reason.to_owned());
    task.tries.avoid = elsewhere.then(|| task.agent.clone());
    kill(cx, id, KillCause::Restart);
}

/// Repeats the order to end a task that is to end.
pub(crate) fn kill_again(cx: &mut Cx<'_>, id: TaskId) {
    let Some(task) = cx.world.tasks.get(&id) else { return };
    if !matches!(task.phase, Phase::Killing(_)) {
        return;
    }
    let (agent, executor) = (task.agent.clone(), task.executor);
    let grace = cx.world.spec_of_task(task).map_or(Span::ZERO, |spec| spec.kill_grace);
    let heard = is_heard(cx, &agent);
    let now = cx.now.mono;
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
    let heard = there.is_some_and(|agent| agent.silent_since.is_none());
    heard && cx.world.orders_leave()
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
