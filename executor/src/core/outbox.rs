//! What the agent has not been told yet, and when it may be.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use muster_api::Mono;
use muster_proto::TaskId;

use super::{Outgoing, Task, reports::Reports};

/// How long it is kept back that a task runs. Most short tasks end within it, and then their end
/// is all that is sent.
const LINGER: Duration = Duration::from_millis(10);
/// Updates in one batch, so that a backlog does not become one huge write.
const BATCH: usize = 1_000;

/// The tasks that have something to tell, in order, and how far the connection is.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    link: Link,
    /// Tasks that are over.
    ends: VecDeque<TaskId>,
    /// Tasks that run, by when that may be told. One whose end came meanwhile has nothing left to
    /// tell here and is passed over.
    progress: VecDeque<(Mono, TaskId)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Link {
    /// No connection.
    #[default]
    Down,
    /// A connection on which nothing was said.
    New,
    /// The subscription was sent and is not answered.
    Subscribing,
    /// The agent listens.
    Up,
}

impl Outbox {
    pub(super) fn connected(&mut self) {
        self.link = Link::New;
    }

    /// The agent listens; `false` when it was not asked to.
    pub(super) fn subscribed(&mut self) -> bool {
        let asked = self.link == Link::Subscribing;
        if asked {
            self.link = Link::Up;
        }
        asked
    }

    pub(super) fn disconnected(&mut self) {
        self.link = Link::Down;
    }

    /// A task has an end to tell.
    pub(super) fn end(&mut self, task: TaskId) {
        self.ends.push_back(task);
    }

    /// A task has something to tell that is not its end.
    pub(super) fn progress(&mut self, now: Mono, task: TaskId) {
        self.progress.push_back((now + LINGER, task));
    }

    pub(super) fn wants_to_write(&self, now: Mono, reports: &Reports) -> bool {
        match self.link {
            Link::Down | Link::Subscribing => false,
            Link::New => true,
            Link::Up => {
                !self.ends.is_empty() || self.next_due(reports).is_some_and(|due| due <= now)
            }
        }
    }

    /// When something that is kept back may be sent.
    pub(super) fn next_due(&self, reports: &Reports) -> Option<Mono> {
        if self.link != Link::Up {
            return None;
        }
        let progress = self.progress.front().map(|(due, _)| *due);
        progress.into_iter().chain(reports.next_due()).min()
    }

    /// The next batch for the connection; empty when there is nothing to say. What became of tasks
    /// goes before what became of executions.
    pub(super) fn take(
        &mut self,
        now: Mono,
        tasks: &mut BTreeMap<TaskId, Task>,
        reports: &mut Reports,
    ) -> Vec<Outgoing> {
        match self.link {
            Link::Down | Link::Subscribing => Vec::new(),
            Link::New => vec![self.subscribe(tasks)],
            Link::Up => {
                let mut batch = self.take_updates(now, tasks);
                batch.extend(reports.take(now).map(Outgoing::Executions));
                batch
            }
        }
    }

    /// The subscription tells all there is, so that nothing waits any more.
    fn subscribe(&mut self, tasks: &mut BTreeMap<TaskId, Task>) -> Outgoing {
        self.link = Link::Subscribing;
        self.ends.clear();
        self.progress.clear();
        let mut unacknowledged = (Vec::new(), Vec::new());
        for task in tasks.values_mut().filter(|task| task.is_unacknowledged()) {
            unacknowledged.0.push(task.info.clone());
            unacknowledged.1.extend(task.hand_out_all());
        }
        let (tasks, updates) = unacknowledged;
        Outgoing::Subscribe { tasks, updates }
    }

    fn take_updates(&mut self, now: Mono, tasks: &mut BTreeMap<TaskId, Task>) -> Vec<Outgoing> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let due = self.progress.pop_front_if(|(due, _)| *due <= now).map(|(_, task)| task);
            let Some(id) = due.or_else(|| self.ends.pop_front()) else { break };
            if let Some(task) = tasks.get_mut(&id) {
                batch.extend(task.hand_out_new().map(Outgoing::Update));
            }
        }
        batch
    }
}
