//! Executions of resident tasks, as their executors tell of them.
//!
//! They change nothing: they become events for those who ask later, and counts. What an executor says
//! may come twice, so its batches have numbers, of which the newest is remembered (in memory only: one
//! batch may come through twice over a restart). It may also come when the task is over, as the word of
//! its last execution does, so a batch says itself what its tasks are; a task that lives is the better
//! witness.

use muster_api::{
    AgentId, ExecutorId, JobName, Timestamp,
    events::{EventKind, EventSource, TraceEvent},
    limits,
    task::{ExecutionBatch, ExecutionOutcome, ExecutionReport, LeftOut, ResidentTask},
};

use crate::{
    cx::Cx,
    effect::{ExecutionCounts, Note},
    records::ExecutorRecord,
};

/// An executor tells of executions.
pub(crate) fn told(cx: &mut Cx<'_>, executor: ExecutorId, agent: &AgentId, batch: ExecutionBatch) {
    let Some(known) = cx.world.executors.memory(&executor) else {
        return pass_over(cx, executor, "it is not known");
    };
    if known.record.agent != *agent {
        return pass_over(cx, executor, "it lives on another agent");
    }
    if batch.number <= known.told {
        return;
    }
    known.told = batch.number;
    let record = known.record.clone();
    let most = limits::EXECUTIONS_PER_MESSAGE;
    let lengths = [batch.tasks.len(), batch.executions.len(), batch.left_out.len()];
    // Such a batch has at most one line of counts for each of its tasks.
    if lengths.iter().any(|length| *length > 2 * most) || batch.executions.len() > most {
        return pass_over(cx, executor, "it says more than fits into a message");
    }
    let teller = Teller::new(cx, executor, &record);
    let (ours, others): (Vec<_>, Vec<_>) =
        batch.tasks.iter().partition(|task| teller.hosts(cx, task));
    if !others.is_empty() {
        pass_over(cx, executor, "it tells of a task that is none of its own");
    }
    for report in batch.executions {
        if let Some(task) = ours.iter().find(|task| task.task == report.task) {
            count(cx, &report);
            cx.trace(teller.execution(task, report));
        }
    }
    for left_out in batch.left_out {
        if let Some(task) = ours.iter().find(|task| task.task == left_out.task) {
            teller.left_out(cx, task, left_out);
        }
    }
}

fn pass_over(cx: &mut Cx<'_>, executor: ExecutorId, why: &'static str) {
    cx.note(Note::ExecutionsPassedOver { executor, why });
}

fn count(cx: &mut Cx<'_>, report: &ExecutionReport) {
    let counts = &mut cx.out.tally.executions;
    match report.outcome {
        ExecutionOutcome::Succeeded => counts.succeeded += 1,
        ExecutionOutcome::Failed => counts.failed += 1,
        ExecutionOutcome::TimedOut => counts.timed_out += 1,
        ExecutionOutcome::Cancelled => counts.cancelled += 1,
    }
}

/// The executor that tells.
struct Teller<'a> {
    executor: ExecutorId,
    record: &'a ExecutorRecord,
    hostname: Option<String>,
}

impl<'a> Teller<'a> {
    fn new(cx: &Cx<'_>, executor: ExecutorId, record: &'a ExecutorRecord) -> Self {
        let agent = cx.world.agents.get(&record.agent);
        let hostname = agent.map(|agent| agent.hostname.clone()).filter(|name| !name.is_empty());
        Self { executor, record, hostname }
    }

    /// Whether it may tell of this task: it hosts it, or hosted a task of a job of its app.
    fn hosts(&self, cx: &Cx<'_>, told: &ResidentTask) -> bool {
        let Some(task) = cx.world.tasks.get(&told.task) else {
            return self.is_of_app(cx, &told.job);
        };
        let job = cx.world.runs.get(&task.run).map(|run| &run.record().job);
        let same_shard = (task.run, task.item) == (told.run, told.item);
        task.executor == self.executor && same_shard && job == Some(&told.job)
    }

    /// What is said late of a job that is deleted changes nothing.
    fn is_of_app(&self, cx: &Cx<'_>, job: &JobName) -> bool {
        cx.world.jobs.get(job).is_some_and(|job| job.spec.app == self.record.app)
    }

    fn event(&self, task: &ResidentTask, at: Timestamp, state: &'static str) -> TraceEvent {
        TraceEvent {
            app: Some(self.record.app.clone()),
            job: Some(task.job.clone()),
            run: Some(task.run),
            task: Some(task.task),
            item: Some(task.item),
            attempt: Some(task.attempt),
            agent: Some(self.record.agent.clone()),
            hostname: self.hostname.clone(),
            executor: Some(self.executor),
            ..TraceEvent::new(at, EventKind::Execution, state, EventSource::Executor)
        }
    }

    fn execution(&self, task: &ResidentTask, report: ExecutionReport) -> TraceEvent {
        let message = report.message.map(|mut text| {
            text.truncate(text.floor_char_boundary(limits::OUTPUT_TAIL_BYTES));
            text
        });
        TraceEvent {
            message,
            planned_at: Some(report.planned_at),
            planned_until: Some(report.planned_until),
            count: Some(report.fires),
            started_at: Some(report.started_at),
            exit_code: report.exit_code,
            ..self.event(task, report.ended_at, report.outcome.as_str())
        }
    }

    /// What an executor counts instead of telling of each is one event for each kind.
    fn left_out(&self, cx: &mut Cx<'_>, task: &ResidentTask, left_out: LeftOut) {
        let LeftOut { task: _, sampled, dropped, skipped, uncounted_ranges } = left_out;
        let succeeded = sampled;
        let counts =
            ExecutionCounts { succeeded, dropped, skipped, uncounted_ranges, ..Default::default() };
        cx.out.tally.executions.add(counts);
        let now = cx.now.wall;
        for (state, count) in [("sampled", sampled), ("dropped", dropped), ("skipped", skipped)] {
            if count > 0 {
                let count = Some(count);
                cx.trace(TraceEvent { count, ..self.event(task, now, state) });
            }
        }
        if uncounted_ranges > 0 {
            let message = Some("more than anybody counted".to_owned());
            cx.trace(TraceEvent { message, ..self.event(task, now, "skipped") });
        }
    }
}
