//! The end of a task: what is stored of it, and what becomes of its shard.

use muster_api::{
    RunId, TaskId, Timestamp, limits, step::Write, task::TaskReport, views::ShardState,
};

use crate::{
    aftermath::{Aftermath, Ended},
    cx::Cx,
    daemons,
    effect::Note,
    executors, notices,
    records::{self, PastTaskRecord, Tries},
    run::Shard,
    runs,
    task::{Ending, Task},
    trace::{self, Said},
    unreachable::Doubt,
    world::Timer,
};

/// A task is over: its shard is over too, or goes another try.
pub(crate) fn over(
    cx: &mut Cx<'_>,
    id: TaskId,
    ending: Ending,
    message: &str,
    (said, report): (Said, &TaskReport),
) {
    let spec = cx.world.tasks.get(&id).and_then(|task| cx.world.spec_of_task(task));
    let Some(task) = cx.world.tasks.remove(&id) else { return };
    executors::task_left(cx, &task, id);
    if ending == Ending::NeverStarted {
        executors::doubt(cx, task.executor);
    }
    forget_timers(cx, &task, id);
    let mut after = aftermath(cx, Ended { task: &task, id, ending, message });
    cx.note(Note::TaskEnded { task: id, how: after.how.clone() });
    trace::over(cx, id, &task, ending, (said, &after.how, report));
    let parameter = spec.map(|spec| spec.shard_parameter(task.item).to_owned());
    let ended_at = trace::time_of(cx, &task, said.at);
    let parameter = parameter.unwrap_or_default();
    write_history(cx, &task, id, &after, (parameter, ended_at, report));
    if let Some((tries, _)) = after.again.as_mut().filter(|_| task.is_resident()) {
        forget_oldest(cx, &task, tries);
    }
    notices::task_over(cx, &task, ending, &after);
    settle(cx, &task, after);
    runs::proceed(cx, task.run);
}

fn aftermath(cx: &Cx<'_>, ended: Ended<'_>) -> Aftermath {
    let run = cx.world.runs.get(&ended.task.run);
    let newest = run.and_then(|run| cx.world.newest_spec_of(run));
    let stopped_as = run.map_or(Some(ShardState::Cancelled), |run| run.record().stopped_as());
    if !ended.task.is_resident() {
        return Aftermath::of(ended, newest.as_deref(), stopped_as);
    }
    let surplus = daemons::is_surplus(cx, ended.task).then_some(ShardState::Cancelled);
    Aftermath::of_resident(ended, newest.as_deref(), stopped_as.or(surplus), cx.now)
}

/// Lets the shard of a task be what it is after the end of that.
fn settle(cx: &mut Cx<'_>, task: &Task, after: Aftermath) {
    let leaves = daemons::is_surplus(cx, task);
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
    if leaves {
        forget_kept(cx, task.run, task.item, &task.tries.kept);
    }
    match cx.world.runs.change(&task.run) {
        Some(run) if leaves => run.remove(task.item),
        Some(run) => run.set(task.item, shard),
        None => {}
    }
}

/// Nobody needs to look at a task again that is over.
fn forget_timers(cx: &mut Cx<'_>, task: &Task, id: TaskId) {
    cx.world.timers.remove(&(task.launching_until, Timer::Launching(id)));
    if let Some(at) = task.overdue_at {
        cx.world.timers.remove(&(at, Timer::Overdue(id)));
    }
    if let Some(Doubt::Until(at)) = task.doubt {
        cx.world.timers.remove(&(at, Timer::Unreachable(id)));
    }
    if let Some(at) = task.told_again_at {
        cx.world.timers.remove(&(at, Timer::KillAgain(id)));
    }
}

/// The run of a daemon job goes on, so history does not keep all of its tasks.
fn forget_oldest(cx: &mut Cx<'_>, task: &Task, tries: &mut Tries) {
    tries.kept.push((task.tries.attempt, task.epoch));
    if tries.kept.len() > limits::PAST_RESIDENTS {
        let oldest = tries.kept.remove(0);
        forget_kept(cx, task.run, task.item, &[oldest]);
    }
}

/// Forgets the history of earlier tasks of a shard, as its run goes on without them.
pub(crate) fn forget_kept(cx: &mut Cx<'_>, run: RunId, item: u32, kept: &[(u32, u64)]) {
    for (attempt, epoch) in kept {
        let key = records::past_task_key(&run, item, *attempt, *epoch);
        cx.out.writes.push(Write::Delete { key });
    }
}

fn write_history(
    cx: &mut Cx<'_>,
    task: &Task,
    id: TaskId,
    after: &Aftermath,
    (parameter, ended_at, report): (String, Timestamp, &TaskReport),
) {
    let succeeded = after.state == ShardState::Succeeded;
    let started_at = report.started_at.or(task.started_at);
    let record = PastTaskRecord {
        task: id,
        item: task.item,
        parameter,
        attempt: task.tries.attempt,
        epoch: task.epoch,
        agent: task.agent.clone(),
        hostname: task.hostname.clone(),
        executor: task.executor,
        state: after.state,
        reason: (!succeeded).then(|| after.how.clone()),
        launched_at: task.launched_at,
        started_at: started_at.map(|at| at.max(task.launched_at).min(ended_at)),
        ended_at,
        exit_code: report.exit_code,
        result: report.result.clone(),
        output: report.output.clone().filter(|_| !succeeded),
        replaces: task.tries.replaces,
    };
    let key = records::past_task_key(&task.run, task.item, task.tries.attempt, task.epoch);
    cx.history(key, &record);
}
