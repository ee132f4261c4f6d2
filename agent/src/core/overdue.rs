//! Kills that come to nothing: an executor that is frozen, or broken, is ended with all its tasks.

use muster_api::{Now, limits};
use muster_proto::KillPolicy;

use super::{
    Agent, Container, Effect, Ending, Kind, Note, Step, TaskKey, Write,
    executors::{Cause, Executor},
    origin::Origin,
};
use crate::wire;

impl Agent {
    /// Notes by when a task must have ended that is killed for the first time.
    ///
    /// The executors of other frameworks are left alone: a kill is theirs to refuse.
    pub(super) fn watch_kill(&mut self, now: Now, key: &TaskKey, policy: Option<KillPolicy>) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let container = task.container.as_ref();
        let Some(executor) = container.and_then(|name| self.executors.get(name)) else { return };
        let is_ours = executor.origin == Origin::Ours;
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
            let Some(container) = task.container.clone() else { continue };
            let Some(executor) = self.executors.get_mut(&container) else { continue };
            if task.state.is_terminal() || executor.is_ending() {
                continue;
            }
            executor.cause = Some(Cause::Unresponsive);
            executor.stuck = true;
            executor.absent = None;
            step.notes.push(Note::KillOverdue { executor: executor.key(), task: key.task });
            let ending = self.ending(&container);
            step.writes.push(Write::Entry(Kind::Ending(ending).into()));
            let grace = limits::EXECUTOR_SHUTDOWN_GRACE;
            step.effects.push(Effect::End { container, grace });
        }
    }

    /// What is written down of an executor that ends: an agent after this one must not take for an
    /// order what a task of it is to blame for.
    pub(super) fn ending(&self, container: &Container) -> Ending {
        let at_fault = |executor: &&Executor| executor.cause == Some(Cause::Unresponsive);
        let executor = self.executors.get(container).filter(at_fault);
        let culprits = executor.into_iter().flat_map(|executor| self.culprits(executor));
        Ending { culprits: culprits.map(|key| key.task.clone()).collect(), ..Ending::of(container) }
    }

    /// Takes from the journal that an executor was told to end.
    pub(super) fn replay_ending(&mut self, ending: Ending) {
        let container = Container::new(ending.container);
        let Some(executor) = self.executors.get_mut(&container) else { return };
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
