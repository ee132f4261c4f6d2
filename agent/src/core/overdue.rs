//! Kills that come to nothing: an executor that is frozen, or broken, is ended with all its tasks.

use muster_api::{Now, limits, task::LABEL_LEASE};
use muster_proto::KillPolicy;

use super::{Agent, Effect, Kind, Note, Step, TaskKey, Write, executors::Cause};
use crate::wire;

impl Agent {
    /// Notes by when a task must have ended that is killed for the first time.
    ///
    /// The executors of other frameworks are left alone: a kill is theirs to refuse.
    pub(super) fn watch_kill(&mut self, now: Now, key: &TaskKey, policy: Option<KillPolicy>) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Some(executor) = self.executors.get(&task.executor) else { return };
        let is_ours = executor.info.labels.as_ref().is_some_and(|l| l.get(LABEL_LEASE).is_some());
        let grace = policy.and_then(|policy| policy.grace_period).map(wire::duration);
        if let Some(grace) = grace.filter(|_| is_ours && !task.watched) {
            task.watched = true;
            self.overdue.insert((now.mono + grace + limits::KILL_OVERDUE, key.clone()));
        }
    }

    /// Ends the executors of tasks that should have ended.
    pub(super) fn tick_kills(&mut self, now: Now, step: &mut Step) {
        while let Some((at, key)) = self.overdue.first().cloned() {
            if at > now.mono {
                break;
            }
            self.overdue.pop_first();
            let Some(task) = self.tasks.get(&key) else { continue };
            let id = task.executor.clone();
            let Some(executor) = self.executors.get_mut(&id) else { continue };
            if task.state.is_terminal() || executor.is_ending() {
                continue;
            }
            executor.cause = Some(Cause::Unresponsive);
            executor.absent = None;
            step.writes.push(Write::Entry(Kind::Ending(id.clone()).into()));
            step.notes.push(Note::KillOverdue { executor: id.clone(), task: key.task });
            let grace = limits::EXECUTOR_SHUTDOWN_GRACE;
            step.effects.push(Effect::End { executor: id, grace });
        }
    }
}
