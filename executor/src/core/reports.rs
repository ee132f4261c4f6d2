//! What the scheduler has not been told of executions.
//!
//! It is told in batches, of which one is on its way at a time and is sent again until it is taken, for
//! nobody between here and there keeps it. So this is the one place where executions wait while the
//! master is away, and the one that bounds them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use muster_api::{
    Mono, TaskId, limits,
    task::{ExecutionBatch, ExecutionReport, LeftOut, ResidentTask},
};

/// How long an execution waits for others to share its message.
const LINGER: Duration = Duration::from_secs(1);
/// Between two times that it is said how much is left out.
const COUNTS_EVERY: Duration = Duration::from_secs(10);
/// When a batch that was not taken is sent again: the master may have been away, or the framework.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Executions and counts that wait.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// Executions, the oldest first, with whose they are.
    waiting: VecDeque<(Arc<ResidentTask>, ExecutionReport)>,
    /// When the first of them has waited for long enough.
    due: Mono,
    left_out: BTreeMap<TaskId, (Arc<ResidentTask>, LeftOut)>,
    /// When the counts may be told.
    counts_due: Mono,
    /// The batch that is on its way, and when it is sent again.
    sent: Option<(ExecutionBatch, Mono)>,
    /// How many batches there were.
    batches: u64,
    /// Nothing waits for others: the process is at its end.
    hurries: bool,
}

impl Reports {
    /// An execution is to be told of. Beyond what may wait, the oldest one that is not on its way is
    /// dropped and counted.
    pub(super) fn tell(&mut self, now: Mono, who: &Arc<ResidentTask>, report: ExecutionReport) {
        if self.waiting.is_empty() {
            self.due = now + LINGER;
        }
        self.waiting.push_back((Arc::clone(who), report));
        let on_its_way = self.sent.as_ref().map_or(0, |(batch, _)| batch.executions.len());
        if self.waiting.len() + on_its_way > limits::EXECUTIONS_WAITING
            && let Some((who, _)) = self.waiting.pop_front()
        {
            self.leave_out(now, &who, |counts| counts.dropped += 1);
        }
    }

    /// Something is counted that is not told of one by one.
    pub(super) fn leave_out(
        &mut self,
        now: Mono,
        who: &Arc<ResidentTask>,
        count: impl FnOnce(&mut LeftOut),
    ) {
        if self.left_out.is_empty() {
            self.counts_due = self.counts_due.max(now + LINGER);
        }
        let none =
            LeftOut { task: who.task, sampled: 0, dropped: 0, skipped: 0, uncounted_ranges: 0 };
        let entry = self.left_out.entry(who.task).or_insert_with(|| (Arc::clone(who), none));
        count(&mut entry.1);
    }

    /// The scheduler has a batch.
    pub(super) fn taken(&mut self, number: u64) {
        self.sent.take_if(|(batch, _)| batch.number == number);
    }

    /// There is a new connection; what was on its way over the former one may be lost.
    pub(super) fn connected(&mut self, now: Mono) {
        if let Some((_, again_at)) = &mut self.sent {
            *again_at = now;
        }
    }

    /// From now on nothing waits for others to share its message.
    pub(super) fn hurry(&mut self) {
        self.hurries = true;
    }

    /// When [`Self::take`] has something.
    pub(super) fn next_due(&self) -> Option<Mono> {
        if let Some((_, again_at)) = &self.sent {
            return Some(*again_at);
        }
        if self.waiting.is_empty() && self.left_out.is_empty() {
            return None;
        }
        if self.hurries || self.waiting.len() >= limits::EXECUTIONS_PER_MESSAGE {
            return Some(Mono::default());
        }
        let executions = (!self.waiting.is_empty()).then_some(self.due);
        let counts = (!self.left_out.is_empty()).then_some(self.counts_due);
        executions.into_iter().chain(counts).min()
    }

    /// The batch that is to be sent now.
    pub(super) fn take(&mut self, now: Mono) -> Option<ExecutionBatch> {
        if self.next_due().is_none_or(|due| due > now) {
            return None;
        }
        let batch = match self.sent.take() {
            Some((batch, _)) => batch,
            None => self.next_batch(now),
        };
        self.sent = Some((batch.clone(), now + AGAIN_AFTER));
        Some(batch)
    }

    fn next_batch(&mut self, now: Mono) -> ExecutionBatch {
        self.batches += 1;
        let mut batch = ExecutionBatch { number: self.batches, ..ExecutionBatch::default() };
        let mut tasks = BTreeMap::new();
        let mut text = 0;
        while batch.executions.len() < limits::EXECUTIONS_PER_MESSAGE
            && text < limits::EXECUTIONS_TEXT_PER_MESSAGE
            && let Some((who, report)) = self.waiting.pop_front()
        {
            text += report.message.as_ref().map_or(0, String::len);
            batch.executions.push(report);
            tasks.insert(who.task, who);
        }
        if self.hurries || self.counts_due <= now {
            while batch.left_out.len() < limits::EXECUTIONS_PER_MESSAGE
                && let Some((_, (who, counts))) = self.left_out.pop_first()
            {
                batch.left_out.push(counts);
                tasks.insert(who.task, who);
            }
            if self.left_out.is_empty() && !batch.left_out.is_empty() {
                self.counts_due = now + COUNTS_EVERY;
            }
        }
        batch.tasks = tasks.into_values().map(|who| (*who).clone()).collect();
        batch
    }
}

#[cfg(test)]
mod tests;
