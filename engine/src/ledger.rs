//! The fire ledger: what is stored of instants that became no runs of their own, and what is counted
//! of all.
//!
//! The row of an instant with a run of its own is that run. The others are stored as ranges, and
//! what follows a range and is like it makes it longer: one record for any number of instants.

use std::collections::BTreeMap;

use muster_api::{
    JobUid, RunId, Timestamp, limits,
    schedule::Schedule,
    spec::JobSpec,
    views::{Cause, FireOutcome},
};

use crate::{
    cx::Cx,
    effect::Note,
    fires,
    misfire::{Instants, Why},
    missed, notices,
    records::{self, FireRangeRecord, JobRecord, RunRecord},
    trace,
};

/// A job whose instants are settled, and its schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned<'a> {
    pub(crate) job: &'a JobRecord,
    pub(crate) schedule: &'a Schedule,
}

/// The newest range of each job, as long as it may grow. Memory only: after a restart a new one
/// begins.
#[derive(Debug, Default)]
pub(crate) struct Growing(BTreeMap<JobUid, Range>);

/// What is to be known of a range to make it longer.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: Timestamp,
    last: Timestamp,
    kind: Kind,
}

/// What instants of one range have in common: outcome, reason, run, and the version of their job.
type Kind = (FireOutcome, Why, Option<RunId>, u64);

impl Growing {
    /// Where the range begins that some instants belong to: they make the newest one of their job
    /// longer if they follow it and are like it.
    fn first_of(&mut self, planned: Planned<'_>, instants: Instants, kind: Kind) -> Timestamp {
        let uid = planned.job.uid;
        let follows = |range: &&Range| {
            // Where something else became of an instant between, they are no row.
            range.kind == kind && planned.schedule.next_after(range.last) == Some(instants.first)
        };
        let first = self.0.get(&uid).filter(follows).map_or(instants.first, |range| range.first);
        if self.0.len() >= limits::GROWING_RANGES && !self.0.contains_key(&uid) {
            self.0.pop_first();
        }
        self.0.insert(uid, Range { first, last: instants.last, kind });
        first
    }

    /// Forgets a job.
    pub(crate) fn forget(&mut self, job: &JobUid) {
        self.0.remove(job);
    }
}

/// Writes what became of instants that did not become runs of their own.
pub(crate) fn write(
    cx: &mut Cx<'_>,
    planned: Planned<'_>,
    instants: Instants,
    outcome: FireOutcome,
    why: Why,
    run: Option<RunId>,
) {
    let Some(schedule) = planned.job.spec.schedule.clone() else { return };
    let kind = (outcome, why, run, planned.job.version);
    let first = cx.world.growing.first_of(planned, instants, kind);
    let range = FireRangeRecord {
        first,
        last: instants.last,
        outcome,
        reason: why.to_string(),
        run,
        at: cx.now.wall,
        schedule,
        anchor: planned.job.created_at,
    };
    cx.history(records::fire_key(&planned.job.uid, first), &range);
    cx.out.tally.fires.add_range(outcome, instants.count);
    trace::fires(cx, planned, instants, outcome, (why, run));
    if let Some(cause) = why.passed_for() {
        missed::passed_over(cx, planned.job, cause, instants, why.to_string());
    }
    if instants.count != Some(1) {
        let job = planned.job.spec.name.clone();
        cx.note(Note::FiresMissed { job, count: instants.count });
    }
}

/// Counts that a scheduled run has launched its first task.
pub(crate) fn has_run(cx: &mut Cx<'_>, run: RunId, job: &JobSpec) {
    let Some(record) = cx.world.runs.get(&run).map(crate::run::Run::record) else { return };
    if record.cause == Cause::Schedule {
        let due = record.planned_at + fires::offset_of(job, record.job_uid);
        cx.out.tally.fires.ran += 1;
        cx.out.tally.lateness.push(cx.now.wall.since(due));
        notices::begins(cx, run);
    }
}

/// Counts what became of the instant of a scheduled run that ended with nothing launched.
pub(crate) fn is_over(cx: &mut Cx<'_>, run: &RunRecord) {
    if run.cause != Cause::Schedule || run.started_at.is_some() {
        return;
    }
    trace::fire_of(cx, run);
    let fires = &mut cx.out.tally.fires;
    match run.merged_into {
        Some(_) => fires.coalesced += 1,
        None => fires.skipped += 1,
    }
}
