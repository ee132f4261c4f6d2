//! By when a run must have started, and by when it must be over.
//!
//! `start_within` is about planned time, so it counts on the wall clock, and the newest document of
//! the job says how long it is: an index of all runs that may expire is kept exact for that.
//! `run_timeout` is a duration, so it counts on the other clock, from the first launch, and the
//! document that the run took then says how long it is.

use std::time::Duration;

use muster_api::{
    RunId, Timestamp,
    views::{Cause, RunState},
};

use crate::{
    cx::Cx,
    fires, missed,
    run::Run,
    runs, sweeps,
    world::{Timer, World},
};

/// Runs that expire in one step, so that its commit stays bounded. The rest is due at once again.
const EXPIRIES_PER_STEP: usize = 200;

/// When a run expires, unless something of it is launched before.
pub(crate) fn expiry_of(world: &World, run: &Run) -> Option<Timestamp> {
    let record = run.record();
    if record.state != RunState::Pending {
        return None;
    }
    let job = world.job(&record.job, record.job_uid)?;
    let within = job.spec.start_within;
    if within.is_zero() {
        return None;
    }
    let from = match record.cause {
        // With jitter it cannot start before that is over.
        Cause::Schedule => fires::due(job, record.planned_until),
        Cause::Trigger | Cause::Rerun | Cause::Daemon => record.created_at,
    };
    Some(from + within.duration())
}

impl World {
    /// Has the index of expiries say of a run what is so now.
    pub(crate) fn watch_start(&mut self, id: RunId) {
        let at = self.runs.get(&id).and_then(|run| expiry_of(self, run));
        self.set_expiry(id, at);
    }

    /// Takes a run out of the index of expiries.
    pub(crate) fn forget_start(&mut self, id: RunId) {
        self.set_expiry(id, None);
    }

    fn set_expiry(&mut self, id: RunId, at: Option<Timestamp>) {
        let Some(run) = self.runs.memory(&id) else { return };
        let before = std::mem::replace(&mut run.expires_at, at);
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.expiries.remove(&(before, id));
        }
        if let Some(at) = at {
            self.expiries.insert((at, id));
        }
    }
}

/// Whether a run has expired.
pub(crate) fn has_expired(cx: &Cx<'_>, id: RunId) -> bool {
    let expires_at = cx.world.runs.get(&id).and_then(|run| run.expires_at);
    expires_at.is_some_and(|at| at <= cx.now.wall)
}

/// Ends the runs that have expired: nothing of them was launched in time.
pub(crate) fn expire_due(cx: &mut Cx<'_>) {
    if cx.world.held().is_some() {
        return;
    }
    for _ in 0..EXPIRIES_PER_STEP {
        let first = cx.world.expiries.first().copied();
        let Some((_, id)) = first.filter(|(at, _)| *at <= cx.now.wall) else { return };
        expire(cx, id);
        if cx.is_full() {
            return;
        }
    }
}

fn expire(cx: &mut Cx<'_>, id: RunId) {
    let job = cx.world.runs.get(&id).map(|run| run.record().job.clone());
    if let Some(job) = job {
        // Its app may have been disabled a moment ago, and that comes first.
        sweeps::catch_up(cx, &job);
    }
    if !has_expired(cx, id) {
        return;
    }
    let Some(run) = cx.world.runs.get(&id) else { return };
    let within = cx.world.newest_spec_of(run).map(|spec| spec.start_within).unwrap_or_default();
    let of = match run.record().cause {
        Cause::Schedule => "its planned time",
        Cause::Trigger | Cause::Rerun | Cause::Daemon => "being accepted",
    };
    let reason = format!("not started within {within} of {of}");
    missed::expires(cx, id, &reason);
    runs::stop(cx, id, &reason);
}

/// Watches how long a run takes that has begun: from now on, or before a restart, in which case the
/// wall time since is taken off, but never more than all of it (SEMANTICS 11).
pub(crate) fn watch_end(cx: &mut Cx<'_>, id: RunId) {
    let Some(run) = cx.world.runs.get(&id) else { return };
    let Some(started_at) = run.record().started_at else { return };
    let timeout = cx.world.spec_of(run).map_or(Duration::ZERO, |spec| spec.run_timeout.duration());
    if timeout.is_zero() {
        return;
    }
    let at = cx.now.mono + timeout.saturating_sub(cx.now.wall.since(started_at));
    if let Some(run) = cx.world.runs.memory(&id) {
        run.timeout_at = Some(at);
    }
    cx.world.wake_at(at, Timer::RunTimeout(id));
}

/// Ends a run that has taken too long. While the store is held it goes on.
pub(crate) fn check_end(cx: &mut Cx<'_>, id: RunId) {
    let Some(run) = cx.world.runs.get(&id).filter(|run| !run.is_stopping()) else { return };
    if cx.world.held().is_some() {
        return;
    }
    let timeout = cx.world.spec_of(run).map(|spec| spec.run_timeout).unwrap_or_default();
    runs::time_out(cx, id, &format!("it took longer than its run_timeout of {timeout}"));
}

/// Looks again, when a held store is let go on, at the runs whose time was over meanwhile.
pub(crate) fn check_held(cx: &mut Cx<'_>) {
    let now = cx.now.mono;
    let over = cx.world.runs.iter().filter_map(|(id, run)| {
        let at = run.timeout_at.filter(|at| *at <= now)?;
        Some((at, Timer::RunTimeout(*id)))
    });
    let over: Vec<_> = over.collect();
    cx.world.timers.extend(over);
}
