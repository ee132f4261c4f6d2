//! The oracle of misfires: whether the rule of a job allowed what became of its instants. Judged from
//! when runs were made, started and ended, and not from what the ledger gives as its reasons.

use std::collections::BTreeMap;

use muster_api::{
    RunId, Timestamp,
    spec::{Misfire, MisfirePolicy},
    views::FireOutcome,
};
use muster_engine::records::RunRecord;

use super::{
    jobs::{Job, Stint},
    ledger::Row,
};

/// What judges the ledger of one job.
pub(super) struct Judge<'a> {
    job: &'a Job,
    runs: &'a BTreeMap<RunId, RunRecord>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(job: &'a Job, runs: &'a BTreeMap<RunId, RunRecord>) -> Self {
        Self { job, runs }
    }

    /// Whether a run could be made, or be merged.
    pub(super) fn of_row(&self, row: &Row) -> Result<(), String> {
        let allowed = match (row.outcome, row.into) {
            (None, _) => self.rule_allows(row, |rule, _| self.may_be_made(rule, row)),
            // A run of its own that was merged: the rule was changed.
            (Some(FireOutcome::Coalesced), Some(into)) => {
                let into = &self.runs[&into];
                let waited = into.started_at.is_none_or(|at| at >= row.decided_at);
                waited && into.planned_at < row.first
            }
            _ => true,
        };
        if allowed { Ok(()) } else { Err(format!("{row:?} is against the misfire rule")) }
    }

    /// Whether an instant could have its outcome.
    pub(super) fn of_instant(&self, row: &Row, at: Timestamp) -> Result<(), String> {
        let Some(outcome) = row.outcome else { return Ok(()) };
        let allowed = self.rule_allows(row, |rule, stint| {
            let due = at + self.job.offset(stint.schedule);
            match (outcome, rule.policy) {
                (FireOutcome::Coalesced, policy) => policy != MisfirePolicy::Replay,
                (FireOutcome::Dropped, MisfirePolicy::Replay) => self.waited(at, due) >= rule.cap,
                (FireOutcome::Skipped, _) if row.decided_at.since(at) >= rule.grace.duration() => {
                    true
                }
                (FireOutcome::Skipped, MisfirePolicy::Skip) => self.one_went_on(row, due),
                _ => false,
            }
        });
        if allowed {
            return Ok(());
        }
        Err(format!("{at} was {outcome:?} at {}, against the misfire rule", row.decided_at))
    }

    /// Whether a rule that was in force when a row was decided allows it; at the moment of a change
    /// there were two.
    fn rule_allows(&self, row: &Row, allows: impl Fn(&Misfire, &Stint) -> bool) -> bool {
        let in_force = self.job.stints.iter().filter(|stint| {
            stint.after <= row.decided_at && stint.until.is_none_or(|until| row.decided_at <= until)
        });
        in_force.into_iter().any(|stint| allows(&self.job.schedules[stint.schedule].misfire, stint))
    }

    /// Whether a run could be made when it was, beside those that were there.
    fn may_be_made(&self, rule: &Misfire, row: &Row) -> bool {
        if row.decided_at.since(row.first) > rule.grace.duration() + self.longest_offset() {
            return false;
        }
        let made = row.decided_at;
        let older = self.runs.values().filter(|run| run.planned_at < row.first);
        let there = older.filter(|run| run.ended_at.is_none_or(|ended| ended > made));
        match rule.policy {
            MisfirePolicy::Skip => there.count() == 0,
            // Such as wait, and do not start or end in that very moment.
            MisfirePolicy::Coalesce => there.filter(|run| waits_beyond(run, made)).count() == 0,
            MisfirePolicy::Replay => {
                let waiting = there.filter(|run| waits_beyond(run, made)).count();
                u32::try_from(waiting).is_ok_and(|waiting| waiting < rule.cap)
            }
        }
    }

    /// How many older runs had not started when an instant was due.
    fn waited(&self, at: Timestamp, due: Timestamp) -> u32 {
        let older = self.runs.values().filter(|run| run.planned_at < at);
        let waited = older.filter(|run| run.started_at.or(run.ended_at).is_none_or(|at| at >= due));
        u32::try_from(waited.count()).unwrap_or(u32::MAX)
    }

    /// Whether a run of the job was there between when an instant was due and when it was decided.
    fn one_went_on(&self, row: &Row, due: Timestamp) -> bool {
        self.runs.values().any(|run| {
            run.created_at <= row.decided_at && run.ended_at.is_none_or(|ended| ended >= due)
        })
    }

    fn longest_offset(&self) -> std::time::Duration {
        let offsets = (0..self.job.schedules.len()).map(|schedule| self.job.offset(schedule));
        offsets.max().unwrap_or_default()
    }
}

/// Whether a run that is there at a moment has not started then, nor in that moment.
fn waits_beyond(run: &RunRecord, moment: Timestamp) -> bool {
    run.started_at.is_none_or(|started| started > moment)
}
