//! A restored store is held until an operator lets it go on: what it says is of the past, and the
//! hosts may be doing something else by now.
//!
//! While it is held nothing fires and nothing is launched, and no order to end anything leaves the
//! engine ([`Cx::effect`] keeps it back). Statuses are taken in as ever, so that by the time it is
//! resumed the engine knows what became of its tasks.

use muster_api::{ExecutorId, TaskId, Timestamp, limits};

use crate::{
    cx::Cx,
    deadlines,
    effect::Effect,
    event::{Accepted, CommandReply, Rejected},
    executors, fires,
    records::{CountersRecord, JobRecord, ResumedRecord, SettlingRecord},
    task::{Phase, Task},
    tasks, trace,
    world::{Timer, World},
    zombies,
};

impl World {
    /// Whether a task is known from a backup. It may have run and ended since that was made, and its
    /// end been acknowledged to the scheduler of before.
    pub(crate) fn is_of_backup(&self, task: &Task) -> bool {
        let up_to = self.counters.get(&()).and_then(|counters| counters.restored_up_to);
        self.held().is_some() || up_to.is_some_and(|up_to| task.epoch <= up_to)
    }

    /// Keeps in mind which tasks are those of the backup, also for hosts that come back much later.
    fn mark_backup(&mut self) {
        if self.tasks.len() > 0 {
            let counters = self.counters.get(&()).copied().unwrap_or_default();
            let restored_up_to = Some(self.epoch);
            self.counters.insert((), CountersRecord { restored_up_to, ..counters });
        }
    }
}

/// Whether an effect must not leave while the store is held.
pub(crate) fn keeps_back(effect: &Effect) -> bool {
    match effect {
        Effect::Launch(_) | Effect::Kill { .. } | Effect::Shutdown { .. } | Effect::Deliver(_) => {
            true
        }
        Effect::Reply { .. }
        | Effect::Answer { .. }
        | Effect::Decline { .. }
        | Effect::Suppress
        | Effect::Revive
        | Effect::Acknowledge { .. }
        | Effect::Reconcile { .. }
        | Effect::RunOver(_) => false,
    }
}

/// Lets a held store go on. What was due meanwhile is passed over, or made good by the misfire rule.
pub(crate) fn resume(cx: &mut Cx<'_>, replay: bool) -> CommandReply {
    if cx.world.held.remove(&()).is_none() {
        let detail = "nothing is held: this store was not restored, or it was resumed already";
        return Err(Rejected::Conflict { detail: detail.to_owned() });
    }
    cx.world.mark_backup();
    if !replay {
        cx.world.resumed.insert((), ResumedRecord { skip_until: cx.now.wall });
    }
    let due = if replay { "made good" } else { "passed over" };
    trace::scheduler(cx, "resumed", &format!("what was due meanwhile is {due}"));
    release(cx);
    cx.world.settling_mark.insert((), SettlingRecord { since: cx.now.wall });
    settle(cx);
    Ok(Accepted::Resumed)
}

/// Keeps launches back for a while: what runs on and is not known here may be the very shards that
/// wait, so it ends first. A scheduler that starts again meanwhile waits for all of it anew, for
/// nobody knows how long it was away.
pub(crate) fn settle(cx: &mut Cx<'_>) {
    cx.world.settling = true;
    cx.world.wake_at(cx.now.mono + limits::RESUME_SETTLE, Timer::Settled);
}

/// What was not known here has ended by now.
pub(crate) fn settled(cx: &mut Cx<'_>) {
    cx.world.settling = false;
    cx.world.settling_mark.remove(&());
}

/// Gives the orders that were kept back.
fn release(cx: &mut Cx<'_>) {
    // Those of a backup that was made just after a resume are of that one.
    let former =
        |timer| matches!(timer, Timer::KillAgain(_) | Timer::KillZombie(_) | Timer::Settled);
    cx.world.timers.retain(|(_, timer)| !former(*timer));
    let killing = |phase| matches!(phase, Phase::Killing(_));
    let ending: Vec<TaskId> =
        cx.world.tasks.iter().filter(|(_, task)| killing(task.phase)).map(|(id, _)| *id).collect();
    for id in ending {
        if let Some(task) = cx.world.tasks.memory(&id) {
            (task.kills, task.told_at) = (0, None);
        }
        tasks::kill_again(cx, id);
    }
    zombies::kill_all(cx);
    let executors: Vec<ExecutorId> = cx.world.executors.iter().map(|(id, _)| *id).collect();
    for id in executors {
        executors::shutdown_again(cx, id);
    }
    deadlines::check_held(cx);
    for (executor, agent) in std::mem::take(&mut cx.world.strangers) {
        cx.effect(Effect::Shutdown { executor, agent });
    }
    // The master names every task of ours that it knows; those that we do not know are ended.
    cx.effect(Effect::Reconcile { tasks: Vec::new() });
}

/// Up to which instant those of a job are skipped, if any are: all while the store is held, and
/// those that came due before it was resumed.
pub(crate) fn skip_until(cx: &Cx<'_>, job: &JobRecord) -> Option<Timestamp> {
    if cx.world.held().is_some() {
        return Some(cx.now.wall);
    }
    let resumed = cx.world.resumed.get(&())?;
    Some(resumed.skip_until.before(fires::offset(job)))
}

/// Forgets what the last resume passes over, once every job was looked at that it concerns.
pub(crate) fn forget_resumed(cx: &mut Cx<'_>) {
    let Some(skip_until) = cx.world.resumed.get(&()).map(|resumed| resumed.skip_until) else {
        return;
    };
    let first = cx.world.fires_by_time.first_key_value().map(|((at, _), _)| *at);
    if first.is_none_or(|at| at > skip_until) {
        cx.world.resumed.remove(&());
    }
}
