//! A resident task: what it executes, and the execution that goes on.

use std::sync::Arc;

use muster_api::{
    Timestamp,
    task::{ExecutionOutcome, ExecutionReport, ResidentTask, TaskPayload},
};

use super::{
    End,
    task::Cause,
    timed_out,
    timetable::{Due, InvalidTimetable, Timetable},
};

/// What a task has that stays.
#[derive(Debug)]
pub(super) struct Resident {
    pub(super) timetable: Timetable,
    /// When the timetable asks to be followed again, as it is in the index of those times.
    pub(super) due_at: Option<Timestamp>,
    /// What it is to those who read of its executions.
    pub(super) who: Arc<ResidentTask>,
    payload: TaskPayload,
    /// Of the executions that succeed every so-manieth is told of.
    sampling: u32,
    /// How many have succeeded since the last one that was told of.
    untold: u32,
    execution: Option<Execution>,
}

/// An execution that goes on.
#[derive(Debug, Clone, Copy)]
struct Execution {
    due: Due,
    began_at: Timestamp,
}

impl Resident {
    /// What stays of a task that starts now; nothing if the task does not stay.
    pub(super) fn of(
        payload: &TaskPayload,
        now: Timestamp,
    ) -> Result<Option<Self>, InvalidTimetable> {
        let Some(resident) = &payload.resident else { return Ok(None) };
        let context = &payload.context;
        let who = ResidentTask {
            task: context.task,
            job: context.job.clone(),
            run: context.run,
            item: context.shard_item,
            attempt: context.attempt,
        };
        Ok(Some(Self {
            timetable: Timetable::new(resident, now)?,
            due_at: None,
            who: Arc::new(who),
            payload: payload.clone(),
            sampling: resident.sampling.max(1),
            untold: 0,
            execution: None,
        }))
    }

    /// An execution begins; gives what is to be run.
    pub(super) fn begin(&mut self, now: Timestamp, due: Due) -> TaskPayload {
        self.execution = Some(Execution { due, began_at: now });
        let mut payload = self.payload.clone();
        payload.context.planned_time = due.first;
        payload.context.planned_until = due.last;
        payload.context.fires = Some(due.count);
        payload.context.fire_time = now;
        payload
    }

    /// The code of the execution begins to run.
    pub(super) fn started(&mut self, at: Timestamp) {
        if let Some(execution) = &mut self.execution {
            execution.began_at = at;
        }
    }

    /// The execution is over, of itself or for a cause.
    pub(super) fn over(
        &mut self,
        now: Timestamp,
        cause: Option<Cause>,
        end: End,
    ) -> Option<ExecutionReport> {
        let Execution { due, began_at } = self.execution.take()?;
        let outcome = match cause {
            Some(Cause::Killed) => ExecutionOutcome::Cancelled,
            Some(Cause::TimedOut) => ExecutionOutcome::TimedOut,
            None if end.success => ExecutionOutcome::Succeeded,
            None => ExecutionOutcome::Failed,
        };
        let message = match cause {
            Some(Cause::TimedOut) => Some(timed_out(self.payload.timeout.duration())),
            Some(Cause::Killed) | None => end.message,
        };
        Some(ExecutionReport {
            task: self.who.task,
            planned_at: due.first,
            planned_until: due.last,
            fires: due.count,
            started_at: began_at,
            ended_at: now,
            outcome,
            message,
            exit_code: end.report.exit_code,
        })
    }

    /// Whether this execution is one that is left out because its like are many.
    pub(super) fn leaves_out(&mut self, report: &ExecutionReport) -> bool {
        if report.outcome != ExecutionOutcome::Succeeded {
            return false;
        }
        self.untold += 1;
        let leaves_out = self.untold < self.sampling;
        if !leaves_out {
            self.untold = 0;
        }
        leaves_out
    }
}
