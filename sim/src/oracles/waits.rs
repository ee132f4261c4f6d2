//! Every wait has a reason.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{
    RunId, limits,
    step::Records,
    views::{QueueView, RunState, WaitReason},
};
use muster_engine::records::{self, RunRecord};

use super::{Verdict, broken, with_prefix};

const NAME: &str = "every_wait_has_a_reason";

/// What a user is told of the queue is in order, names each run that has shards to start and no
/// other, and the reason of each is true as far as the disk can tell.
pub(crate) fn every_wait_has_a_reason(store: &Records, rows: &[QueueView]) -> Verdict {
    let runs: BTreeMap<RunId, RunRecord> = with_prefix(store, records::RUNS)
        .filter_map(|(_, value)| records::decode::<RunRecord>(value).ok())
        .map(|run| (run.id, run))
        .collect();
    let waits = |run: &&RunRecord| {
        run.state != RunState::Stopping
            && !(run.shards.fresh.is_empty() && run.shards.again.is_empty())
    };
    let waiting: BTreeSet<RunId> = runs.values().filter(waits).map(|run| run.id).collect();
    let named: BTreeSet<RunId> = rows.iter().map(|row| row.run).collect();
    if rows.len() < limits::LIVE_ROWS && named != waiting {
        let other: Vec<_> = named.symmetric_difference(&waiting).collect();
        return broken(NAME, format!("the queue and the disk differ in {other:?}"));
    }
    let place =
        |row: &QueueView| (std::cmp::Reverse(row.priority), row.planned_at, row.job.clone());
    if !rows.is_sorted_by_key(place) {
        return broken(NAME, "the queue is not in order".to_owned());
    }
    match rows.iter().find(|row| !is_true(row, &runs)) {
        None => Ok(()),
        Some(row) => {
            let QueueView { run, reason, detail, .. } = row;
            broken(NAME, format!("run {run} is said to wait because {reason:?}: `{detail}`"))
        }
    }
}

fn is_true(row: &QueueView, runs: &BTreeMap<RunId, RunRecord>) -> bool {
    let Some(run) = runs.get(&row.run) else { return false };
    if row.detail.trim().is_empty() || row.pending == 0 {
        return false;
    }
    match row.reason {
        WaitReason::FormerRun => {
            runs.values().any(|other| other.id != run.id && other.job_uid == run.job_uid)
        }
        WaitReason::BackingOff => run.shards.fresh.is_empty() && !run.shards.again.is_empty(),
        _ => true,
    }
}
