//! An agent of which its master was told that it never comes back, and that came back.
//!
//! What it runs counts as dead and may run elsewhere by now. So all of it is ended at once, nobody
//! is told of it any more, and only when nothing is left the agent registers, as another one.

use std::time::Duration;

use muster_api::Now;

use super::{
    Agent, Connection, Effect, Identity, Kind, Note, Step, Write,
    executors::{Cause, Executor, Phase},
    journal::Disowned,
    link::Link,
};
use crate::supervise::{Exit, Why};

impl Agent {
    /// Whether executors of a former life are left, which must end before this agent registers: one
    /// without an id has none of its own.
    pub(super) fn is_leaving(&self) -> bool {
        self.identity.agent.is_none() && !self.executors.is_empty()
    }

    /// The master, which has proven itself, says that this agent was declared gone.
    pub(super) fn disowned(
        &mut self,
        now: Now,
        connection: Connection,
        term: u64,
        message: String,
        step: &mut Step,
    ) {
        if self.link.connection() != Some(connection) {
            return;
        }
        self.link = Link::Down;
        step.effects.push(Effect::Disconnect { connection });
        if self.is_old(term, step) {
            return;
        }
        step.writes.push(Write::Entry(Kind::Disowned(Disowned {}).into()));
        self.identity = Identity { agent: None, term };
        step.writes.push(Write::Identity(self.identity.clone()));
        for (task, _) in self.tasks.iter().filter(|(_, task)| !task.state.is_terminal()) {
            step.effects.push(Effect::TaskOver { task: task.clone() });
        }
        self.end_life();
        // Of one that is being fetched nothing runs, and its download may take long.
        let fetching = self.executors.iter().filter(|(_, e)| e.phase == Phase::Fetching);
        let fetching: Vec<_> = fetching.map(|(container, _)| container.clone()).collect();
        for container in fetching {
            self.finish(now, &container, &Exit::unknown(Why::NeverStarted), step);
        }
        for (container, executor) in &self.executors {
            // One that is being started is ended when its supervisor answers.
            if matches!(executor.phase, Phase::Running | Phase::Attaching) {
                let (container, grace) = (container.clone(), Duration::ZERO);
                step.effects.push(Effect::End { container, grace });
            }
        }
        let left = self.executors.values().map(Executor::key).collect();
        step.notes.push(Note::Disowned { message, left });
    }

    /// Forgets all tasks, and has all executors end.
    pub(super) fn end_life(&mut self) {
        self.tasks.clear();
        self.retries.clear();
        self.overdue.clear();
        for executor in self.executors.values_mut() {
            executor.cause.get_or_insert(Cause::Shutdown);
            executor.tasks.clear();
            executor.absent = None;
            executor.force_at = None;
        }
    }
}
