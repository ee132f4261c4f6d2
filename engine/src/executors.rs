//! Executors: when they live, when they are idle, when they are gone.

use std::time::Duration;

use muster_api::{
    ExecutorId, Mono, TaskId, limits,
    spec::{AppSpec, Lease},
};

use crate::{
    blocker,
    cx::Cx,
    drains,
    effect::{Effect, Note},
    records::ExecutorState,
    revisions,
    task::Task,
    trace,
    world::{Executor, Timer},
};

/// Something was heard of an executor.
pub(crate) fn seen_alive(cx: &mut Cx<'_>, id: ExecutorId) {
    let starting = |e: &Executor| e.record.state == ExecutorState::Starting;
    if cx.world.executors.get(&id).is_some_and(starting)
        && let Some(executor) = cx.world.executors.memory(&id)
    {
        // What is stored need not change: a restart learns it from the agent.
        executor.record.state = ExecutorState::Alive;
    }
}

/// A task of an executor is over.
pub(crate) fn task_left(cx: &mut Cx<'_>, task: &Task, id: TaskId) {
    if let Some(agent) = cx.world.agents.get_mut(&task.agent) {
        agent.tasks.remove(&id);
    }
    let Some(executor) = cx.world.executors.memory(&task.executor) else { return };
    executor.tasks.remove(&id);
    let (app, left, state) = (executor.record.app_uid, executor.tasks.len(), executor.record.state);
    cx.world.task_ends(app);
    let executor = cx.world.executors.get(&task.executor);
    let in_the_way =
        executor.is_some_and(|executor| blocker::is_in_the_way(cx.world, &executor.record));
    let agent = cx.world.agents.get(&task.agent);
    let drained = agent.is_some_and(|agent| agent.drain.is_some());
    match (left == 0, state) {
        (false, _) => {}
        (true, ExecutorState::Gone) => forget(cx, task.executor),
        (true, ExecutorState::Closed) => stop(cx, task.executor),
        // Its room is for the next one that needs an executor of its own.
        (true, ExecutorState::Starting | ExecutorState::Alive) if task.tries.alone => {
            stop(cx, task.executor);
        }
        (true, ExecutorState::Starting | ExecutorState::Alive) if in_the_way || drained => {
            stop(cx, task.executor);
        }
        (true, _) => watch_idle(cx, task.executor),
    }
}

/// Looks at an executor without tasks again when it may have been idle for too long.
pub(crate) fn watch_idle(cx: &mut Cx<'_>, id: ExecutorId) {
    let now = cx.now.mono;
    let timeout = app_of(cx, id).map_or(Duration::ZERO, |app| app.idle_timeout.duration());
    let Some(executor) = cx.world.executors.memory(&id) else { return };
    executor.idle_since = Some(now);
    look_for_idle(cx, id, now + timeout);
}

/// Looks at an executor at that time at the latest. One timer an executor, however often it becomes
/// idle: one that is set for earlier finds that it was busy meanwhile, and is set anew.
fn look_for_idle(cx: &mut Cx<'_>, id: ExecutorId, at: Mono) {
    let Some(executor) = cx.world.executors.memory(&id) else { return };
    if executor.idle_look_at.is_some_and(|before| before <= at) {
        return;
    }
    if let Some(before) = executor.idle_look_at.replace(at) {
        cx.world.timers.remove(&(before, Timer::Idle(id)));
    }
    cx.world.wake_at(at, Timer::Idle(id));
}

/// Stops an executor that has been idle for as long as its app allows. What is stored says so
/// before it is told, so that nothing is ever launched there again.
pub(crate) fn check_idle(cx: &mut Cx<'_>, id: ExecutorId) {
    let timeout = app_of(cx, id).map_or(Duration::ZERO, |app| app.idle_timeout.duration());
    let Some(executor) = cx.world.executors.memory(&id) else { return };
    executor.idle_look_at = None;
    let is_idle = executor.tasks.is_empty() && executor.record.state.takes_tasks();
    match executor.idle_since.filter(|_| is_idle) {
        Some(since) if since + timeout <= cx.now.mono => {
            cx.note(Note::ExecutorIdle { executor: id });
            stop(cx, id);
        }
        Some(since) => look_for_idle(cx, id, since + timeout),
        // It is looked at again when it becomes idle.
        None => {}
    }
}

/// Every launch there was dropped: it may not exist, so nothing is launched there again.
pub(crate) fn doubt(cx: &mut Cx<'_>, id: ExecutorId) {
    let unproved = |executor: &Executor| {
        executor.tasks.is_empty() && executor.record.state == ExecutorState::Starting
    };
    if cx.world.executors.get(&id).is_some_and(unproved) {
        stop(cx, id);
    }
}

/// A task there does not end: nothing is launched there again. The tasks that are there may go on;
/// the executor gives itself up, or is ended by its agent, or else with its last task.
pub(crate) fn close(cx: &mut Cx<'_>, id: ExecutorId) {
    let open = |executor: &Executor| executor.record.state.takes_tasks();
    if cx.world.executors.get(&id).is_some_and(open)
        && let Some(executor) = cx.world.executors.change(&id)
    {
        executor.record.state = ExecutorState::Closed;
        let agent = executor.record.agent.clone();
        cx.world.executors_changed(&agent);
        cx.note(Note::ExecutorClosed { executor: id });
        trace::executor(cx, id, "closed", "a task there did not end when it had to");
    }
}

/// Whether an executor is known to be gone.
pub(crate) fn is_gone(cx: &Cx<'_>, id: ExecutorId) -> bool {
    let executor = cx.world.executors.get(&id);
    executor.is_none_or(|executor| executor.record.state == ExecutorState::Gone)
}

/// Tells an executor to end, now and again until it is gone.
pub(crate) fn stop(cx: &mut Cx<'_>, id: ExecutorId) {
    // There is nobody to tell where it is known to be gone.
    if !is_gone(cx, id)
        && let Some(executor) = cx.world.executors.change(&id)
    {
        executor.record.state = ExecutorState::Stopping;
        let agent = executor.record.agent.clone();
        cx.world.executors_changed(&agent);
        shutdown_again(cx, id);
    }
}

/// An offer names an executor, so that it lives as far as its master knows: one that is to end is
/// given up only when it was not named for the whole wait.
pub(crate) fn named(cx: &mut Cx<'_>, id: ExecutorId) {
    let now = cx.now.mono;
    let executor = cx.world.executors.memory(&id);
    if let Some(since) = executor.and_then(|executor| executor.stopping_since.as_mut()) {
        *since = now;
    }
}

/// Repeats the order to end an executor that is to end.
pub(crate) fn shutdown_again(cx: &mut Cx<'_>, id: ExecutorId) {
    let now = cx.now.mono;
    let next = now + limits::KILL_REPEAT_MAX;
    let (wait, orders_leave) = (cx.world.unreachable_wait, cx.world.orders_leave());
    let Some(executor) = cx.world.executors.memory(&id) else { return };
    if executor.record.state == ExecutorState::Stopping {
        // Time in which it could not be told does not count.
        let since = orders_leave.then(|| executor.stopping_since.unwrap_or(now));
        executor.stopping_since = since;
        // Another master says once that an executor has ended, perhaps while we were away, and no
        // offer may ever come that would not name it. One that lives all the same is a stranger.
        let over = wait.zip(since).is_some_and(|(wait, since)| since + wait <= now);
        if executor.tasks.is_empty() && over {
            return gone(cx, id);
        }
        // One timer an executor, however often it is told in between.
        let before = executor.told_again_at.replace(next);
        let agent = executor.record.agent.clone();
        if let Some(before) = before {
            cx.world.timers.remove(&(before, Timer::ShutdownAgain(id)));
        }
        cx.effect(Effect::Shutdown { executor: id, agent });
        cx.world.wake_at(next, Timer::ShutdownAgain(id));
    }
}

/// An executor is gone. What becomes of its tasks is said of each of them; until then they keep
/// its lease, in case the agent that knows falls silent.
pub(crate) fn gone(cx: &mut Cx<'_>, id: ExecutorId) {
    let Some(executor) = cx.world.executors.get(&id) else { return };
    if executor.tasks.is_empty() {
        forget(cx, id);
    } else if executor.record.state != ExecutorState::Gone
        && let Some(executor) = cx.world.executors.change(&id)
    {
        executor.record.state = ExecutorState::Gone;
        let agent = executor.record.agent.clone();
        cx.world.executors_changed(&agent);
    }
}

fn forget(cx: &mut Cx<'_>, id: ExecutorId) {
    if let Some(executor) = cx.world.executors.remove(&id) {
        if let Some(at) = executor.idle_look_at {
            cx.world.timers.remove(&(at, Timer::Idle(id)));
        }
        if let Some(agent) = cx.world.agents.get_mut(&executor.record.agent) {
            agent.executors.remove(&id);
        }
        cx.world.executors_changed(&executor.record.agent);
        let record = &executor.record;
        cx.world.revision_uses.executor_ends(record);
        revisions::forget_unused(cx, &record.app, record.app_uid, record.revision);
        drains::executor_gone(cx, &record.agent);
    }
}

/// How long an executor outlives silence; for ever as far as is known, where the master is not our
/// own.
pub(crate) fn lease_of(cx: &Cx<'_>, id: ExecutorId) -> Lease {
    if cx.world.unreachable_wait.is_some() {
        return Lease::Off;
    }
    app_of(cx, id).map_or_else(Lease::default, |app| app.lease)
}

fn app_of<'a>(cx: &'a Cx<'_>, id: ExecutorId) -> Option<&'a AppSpec> {
    let record = &cx.world.executors.get(&id)?.record;
    Some(cx.world.revisions.get(&(record.app_uid, record.revision))?)
}
