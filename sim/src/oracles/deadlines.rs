//! Runs begin and end in time.

use std::time::Duration;

use muster_api::{
    Timestamp,
    step::{Records, Write},
    views::{Cause, RunState},
};
use muster_engine::records::{self, RunRecord};

use super::{Truth, Verdict, attempts::spec_of, broken, with_prefix};

/// By how much a decision may come late: what is due is done with the next thing that happens.
const LATE: Duration = Duration::from_secs(1);
/// How much later what was overdue must be over.
const PATIENCE: Duration = Duration::from_secs(3);

/// A run that waits for longer than its `start_within` is not started any more. Both are instants of
/// one wall clock, so it holds whoever sets that. Changes of a document are seen before the commit
/// that starts a run.
pub(crate) fn no_run_starts_too_late(truth: &mut Truth, store: &Records, write: &Write) -> Verdict {
    let Write::Put { key, value } = write else { return Ok(()) };
    let is_run = key.starts_with(records::RUNS.as_bytes());
    let Some(run) = is_run.then(|| records::decode::<RunRecord>(value).ok()).flatten() else {
        return Ok(());
    };
    truth.run_jobs.insert(run.id, run.job_uid);
    let Some(started) = run.started_at else { return Ok(()) };
    if truth.started.insert(run.id, started).is_some() {
        return Ok(());
    }
    let Some(spec) = spec_of(store, run.id).filter(|spec| !spec.start_within.is_zero()) else {
        return Ok(());
    };
    let last = planned(&run) + spec.start_within.duration() + LATE;
    if started <= last {
        return Ok(());
    }
    let what = format!("run {} is started at {started}, and not by {last}", run.id);
    broken("no_run_starts_too_late", what)
}

/// A run that has waited for longer than its `start_within`, or gone on for longer than its
/// `run_timeout`, is ended by a scheduler that lives: what was overdue at one commit is not any more
/// at one that was decided on some seconds later. `now` is when this one was decided on.
///
/// A `run_timeout` is a wait of a clock that nobody sets, and is seen here by one that somebody may
/// set: then nothing is said of it.
pub(crate) fn what_is_overdue_ends(truth: &mut Truth, store: &Records, now: Timestamp) -> Verdict {
    if now.since(truth.looked_at) < LATE && now >= truth.looked_at {
        return Ok(());
    }
    truth.looked_at = now;
    let before = std::mem::take(&mut truth.overdue);
    for (_, value) in with_prefix(store, records::RUNS) {
        let Ok(run) = records::decode::<RunRecord>(value) else { continue };
        let Some(due) = due(truth, store, &run).filter(|due| *due + LATE < now) else { continue };
        let since = before.get(&run.id).copied().unwrap_or(now).min(now);
        truth.overdue.insert(run.id, since);
        if since + PATIENCE < now {
            let what = format!("run {} was due to end at {due}, and is {:?}", run.id, run.state);
            return broken("what_is_overdue_ends", what);
        }
    }
    Ok(())
}

/// When a run is due to be ended.
fn due(truth: &Truth, store: &Records, run: &RunRecord) -> Option<Timestamp> {
    let spec = spec_of(store, run.id)?;
    match (run.state, truth.started.get(&run.id)) {
        (RunState::Pending, _) if !spec.start_within.is_zero() => {
            Some(planned(run) + spec.start_within.duration())
        }
        (RunState::Running, Some(started))
            if !spec.run_timeout.is_zero() && !truth.wall_was_set =>
        {
            // Clocks drift, by far less than this.
            let drift = spec.run_timeout.duration() / 100;
            Some(*started + spec.run_timeout.duration() + drift)
        }
        _ => None,
    }
}

/// When a run was to start.
fn planned(run: &RunRecord) -> Timestamp {
    if run.cause == Cause::Schedule { run.planned_until } else { run.created_at }
}
