//! What the master wants ended: tasks, and executors.

use muster_api::Now;
use muster_proto::{
    agent::{ExecutorExited, Kill, ShutdownExecutor},
    executor::EventType,
};

use super::{
    Agent, Container, Effect, Ending, ExecutorKey, Kind, Step, TaskKey, Write,
    executors::{Cause, Phase},
    launch::event_of,
    origin::Origin,
    statuses::PendingKill,
};
use crate::supervise::{Exit, Why};

impl Agent {
    /// Ends a task: through its executor, or at once when that never got it.
    pub(super) fn kill(&mut self, now: Now, kill: Kill, step: &mut Step) {
        let (Some(framework), Some(task_id)) = (kill.framework_id, kill.task_id) else {
            return step.ignore("a kill without ids", "");
        };
        let key = TaskKey { framework, task: task_id };
        let Some(task) = self.tasks.get_mut(&key) else {
            return step.ignore("the kill of a task that is not here", key.task.value);
        };
        if task.state.is_terminal() {
            return;
        }
        if task.delivered {
            task.kill = Some(PendingKill { policy: kill.kill_policy });
            self.watch_kill(now, &key, kill.kill_policy);
            self.forward_kill(&key, step);
        } else {
            self.kill_undelivered(now, &key, step);
        }
    }

    /// Ends an executor: SHUTDOWN first, and by force when its grace is over.
    pub(super) fn shutdown(&mut self, now: Now, shutdown: ShutdownExecutor, step: &mut Step) {
        let key = ExecutorKey {
            framework: shutdown.framework_id.unwrap_or_default(),
            executor: shutdown.executor_id.unwrap_or_default(),
        };
        let Some(container) = self.lives.get(&key).cloned() else {
            // The master believes that it lives; whatever led to that, this ends it.
            step.ignore("the shutdown of an executor that is not here", key.to_string());
            let (framework_id, executor_id) = (Some(key.framework), Some(key.executor));
            let exited = ExecutorExited { framework_id, executor_id, status: -1 };
            return self.tell_ended(exited, step);
        };
        self.tell_to_end(now, &container, Cause::Shutdown, step);
    }

    /// Ends an executor whose tasks were all killed before it was given one.
    pub(super) fn end_unused(&mut self, now: Now, container: &Container, step: &mut Step) {
        self.tell_to_end(now, container, Cause::Unused, step);
    }

    fn tell_to_end(&mut self, now: Now, container: &Container, cause: Cause, step: &mut Step) {
        let Some(executor) = self.executors.get_mut(container) else { return };
        if executor.is_ending() {
            return;
        }
        let grace = executor.shutdown_grace();
        executor.cause = Some(cause);
        executor.absent = None;
        if executor.phase == Phase::Fetching {
            // Nothing of it runs, and its download may take long. What comes of that is for nobody.
            return self.finish(now, container, &Exit::unknown(Why::NeverStarted), step);
        }
        step.writes.push(Write::Entry(Kind::Ending(Ending::of(container)).into()));
        if let Some(session) = executor.session {
            executor.force_at = Some(now.mono + grace);
            let event = Box::new(event_of(EventType::Shutdown));
            step.effects.push(Effect::ToExecutor { session, event });
        } else if executor.origin == Origin::Foreign {
            // It is told when it subscribes, and has its grace until then.
            executor.force_at = Some(now.mono + grace);
        } else if executor.phase == Phase::Running {
            let container = container.clone();
            step.effects.push(Effect::End { container, grace });
        }
    }
}
