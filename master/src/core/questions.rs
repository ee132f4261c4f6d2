//! What frameworks have asked about and were not told of yet: one step answers a bounded part of
//! it, and ticks the rest, a framework at a time, as fast as those who ask can read.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

use muster_api::{AgentId, Mono, limits};
use muster_proto::{
    FrameworkId, TaskId,
    scheduler::{Reconcile, ReconcileOperation},
};

use super::wire;

/// The questions of all frameworks.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Of each that waits for answers.
    of: BTreeMap<FrameworkId, Asked>,
    /// Who was answered last.
    last: Option<FrameworkId>,
    /// Nobody is answered unasked before this.
    rest: Mono,
}

/// The questions of one framework.
#[derive(Debug, Default)]
struct Asked {
    one_by_one: VecDeque<Question>,
    /// It wants to be told of all its tasks: after this one.
    all: Option<Bound<TaskId>>,
}

/// Something that a framework asks about.
#[derive(Debug)]
pub(super) enum Question {
    /// A task, and where it should be.
    Task(TaskId, Option<AgentId>),
    /// An operation.
    Operation(ReconcileOperation),
}

/// What is to be answered next.
#[derive(Debug)]
pub(super) enum Next {
    /// These.
    Questions(Vec<Question>),
    /// Its tasks from here on.
    All(Bound<TaskId>),
}

/// A framework asks about more than it is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it asks about more than {} tasks and operations at one time", limits::RECONCILE_WAITING)]
pub(super) struct TooMany;

impl Questions {
    /// When the next of those who wait is to be answered.
    pub(super) fn due(&self) -> Option<Mono> {
        (!self.of.is_empty()).then_some(self.rest)
    }

    /// Somebody asks, and is told the first of it at once. That does not put off those who wait.
    pub(super) fn asked(&mut self, now: Mono) {
        if self.of.is_empty() {
            self.rest = now + limits::RECONCILE_PAUSE;
        }
    }

    /// Those who wait for answers.
    pub(super) fn askers(&self) -> impl Iterator<Item = &FrameworkId> {
        self.of.keys()
    }

    /// A framework asks about some tasks or operations.
    pub(super) fn ask(
        &mut self,
        id: &FrameworkId,
        questions: impl IntoIterator<Item = Question>,
    ) -> Result<(), TooMany> {
        let waiting = &mut self.of.entry(id.clone()).or_default().one_by_one;
        let mut questions = questions.into_iter();
        let room = limits::RECONCILE_WAITING - waiting.len();
        waiting.extend(questions.by_ref().take(room));
        questions.next().map_or(Ok(()), |_| Err(TooMany))
    }

    /// A framework is to be told of all its tasks from here on, however far it had come.
    pub(super) fn ask_all(&mut self, id: &FrameworkId, after: Bound<TaskId>) {
        self.of.entry(id.clone()).or_default().all = Some(after);
    }

    /// Nobody waits for answers to this framework any more.
    pub(super) fn forget(&mut self, id: &FrameworkId) {
        self.of.remove(id);
    }

    /// The framework whose turn it is, if it is time for one.
    pub(super) fn whose_turn(&mut self, now: Mono) -> Option<FrameworkId> {
        if self.rest > now || self.of.is_empty() {
            return None;
        }
        self.rest = now + limits::RECONCILE_PAUSE;
        let after = self.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next =
            self.of.range((after, Bound::Unbounded)).next().or_else(|| self.of.iter().next());
        self.last = next.map(|(id, _)| id.clone());
        self.last.clone()
    }

    /// Takes out what a framework is to be told of next.
    pub(super) fn next_of(&mut self, id: &FrameworkId) -> Option<Next> {
        let asked = self.of.get_mut(id)?;
        let next = if asked.one_by_one.is_empty() {
            asked.all.take().map(Next::All)
        } else {
            let many = asked.one_by_one.len().min(limits::RECONCILE_TASKS);
            Some(Next::Questions(asked.one_by_one.drain(..many).collect()))
        };
        if asked.one_by_one.is_empty() && asked.all.is_none() {
            self.of.remove(id);
        }
        next
    }
}

/// The tasks that a call names, as questions.
pub(super) fn tasks(reconcile: Reconcile) -> impl Iterator<Item = Question> {
    reconcile.tasks.into_iter().filter_map(|asked| {
        let hint = wire::agent_id_in(asked.agent_id.as_ref());
        Some(Question::Task(asked.task_id?, hint))
    })
}
