//! Scheduled runs that wait, and how one of them comes to stand for further instants.

use muster_api::{
    JobUid, RunId, Timestamp,
    views::{Cause, FireOutcome, RunState},
};

use crate::{
    cx::Cx,
    ledger::{self, Planned},
    misfire::{Instants, Why},
    records::{JobRecord, RunRecord},
    run::Run,
    runs,
};

/// The scheduled runs of a job of which nothing was launched, in the order of their turns.
pub(crate) fn waiting<'a>(cx: &'a Cx<'_>, job: &JobUid) -> impl Iterator<Item = RunId> + 'a {
    let lane = cx.world.lanes.get(job).into_iter().flatten().copied();
    lane.filter(|id| cx.world.runs.get(id).map(Run::record).is_some_and(waits_for_its_turn))
}

fn waits_for_its_turn(run: &RunRecord) -> bool {
    run.cause == Cause::Schedule && run.state == RunState::Pending
}

/// Lets a run that waits stand for further instants too.
pub(crate) fn into_run(cx: &mut Cx<'_>, planned: Planned<'_>, instants: Instants, run: RunId) {
    take_in(cx, run, instants.last, instants.count);
    ledger::write(cx, planned, instants, FireOutcome::Coalesced, Why::RunWaits, Some(run));
}

/// Lets the oldest scheduled run of a job that waits stand for all that do, because its misfire
/// policy allows one only.
pub(crate) fn into_one(cx: &mut Cx<'_>, job: &JobRecord) {
    let waiting: Vec<RunId> = waiting(cx, &job.uid).collect();
    let Some((kept, others)) = waiting.split_first() else { return };
    let reason = format!("merged into run {kept}, for the misfire policy is no longer `replay`");
    for other in others {
        let Some(run) = cx.world.runs.change(other) else { continue };
        run.record_mut().merged_into = Some(*kept);
        let (until, fires) = (run.record().planned_until, run.record().fires);
        take_in(cx, *kept, until, fires);
        runs::stop(cx, *other, &reason);
    }
}

fn take_in(cx: &mut Cx<'_>, run: RunId, until: Timestamp, fires: Option<u64>) {
    let Some(stored) = cx.world.runs.change(&run) else { return };
    let record = stored.record_mut();
    record.planned_until = record.planned_until.max(until);
    record.fires = record.fires.zip(fires).map(|(had, more)| had + more);
    cx.world.watch_start(run);
}
