//! Kills that come to nothing: an executor that is frozen, or broken, is ended with all its tasks.

use muster_api::{Now, limits, task::LABEL_LEASE};
use muster_proto::{ExecutorId, KillPolicy};

use super::{
    Agent, Effect, Ending, Kind, Note, Step, TaskKey, Write,
    executors::{Cause, Executor},
};
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
            executor.stuck = true;
            executor.absent = None;
            let ending = self.ending(&id);
            step.writes.push(Write::Entry(Kind::Ending(ending).into()));
            step.notes.push(Note::KillOverdue { executor: id.clone(), task: key.task });
            let grace = limits::EXECUTOR_SHUTDOWN_GRACE;
            step.effects.push(Effect::End { executor: id, grace });
        }
    }

    /// What is written down of an executor that ends: an agent after this one must not take for an
    /// order what a task of it is to blame for.
    pub(super) fn ending(&self, id: &ExecutorId) -> Ending {
        let at_fault = |executor: &&Executor| executor.cause == Some(Cause::Unresponsive);
        let executor = self.executors.get(id).filter(at_fault);
        let culprits = executor.into_iter().flat_map(|executor| self.culprits(executor));
        Ending { culprits: culprits.map(|key| key.task.clone()).collect(), ..Ending::of(id) }
    }

    /// Takes from the journal that an executor was told to end.
    pub(super) fn replay_ending(&mut self, ending: Ending) {
        let id = ExecutorId::new(ending.executor);
        let Some(executor) = self.executors.get_mut(&id) else { return };
        if ending.culprits.is_empty() {
            executor.cause = Some(Cause::Shutdown);
            return;
        }
        executor.cause = Some(Cause::Unresponsive);
        executor.stuck = true;
        let framework = executor.framework.id.clone().unwrap_or_default();
        for task in ending.culprits {
            if let Some(task) = self.tasks.get_mut(&TaskKey { framework: framework.clone(), task })
            {
                task.watched = true;
            }
        }
    }
}
