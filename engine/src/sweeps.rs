//! Changes of an app that its jobs take over a few at a time, because an app may have a million
//! jobs and a step is one commit.
//!
//! The change counts from when it was asked for. A job that is needed before its turn takes it over
//! at once ([`catch_up`]), so that nobody sees a job that has not; doing so twice changes nothing.

use std::ops::Bound;

use muster_api::{AppName, JobName, schedule::zone_data_version};

use crate::{
    apps,
    cx::Cx,
    daemons, documents, fires,
    records::{AppChange, SweepRecord, ZonesRecord},
};

/// Jobs that take over a change in one step, so that a commit has room for what else happens: an
/// agent's heartbeat must not wait for a thousand jobs.
const JOBS_PER_STEP: usize = 50;

/// Lets the jobs of an app take over a change, as many as fit into this step.
pub(crate) fn begin(cx: &mut Cx<'_>, app: &AppName, change: AppChange) {
    let now = cx.now.wall;
    if let Some(record) = cx.world.apps.change(app) {
        // One that is disabled already goes further, and counts from when that was asked for.
        let disabling = |sweep: &&SweepRecord| sweep.change == AppChange::Disable;
        let at = record.sweep.as_ref().filter(disabling).map_or(now, |sweep| sweep.at);
        record.sweep = Some(SweepRecord { change, at, after: None });
        cx.world.sweeping.insert(app.clone());
    }
    go_on(cx);
}

/// Lets every job be planned anew if the time zone data are others than those that the next
/// instants were reckoned with: a stored one may be no instant any more, or not the next.
pub(crate) fn adopt_zones(cx: &mut Cx<'_>) {
    let version = zone_data_version();
    if cx.world.zones.get(&()).is_some_and(|zones| zones.version == version) {
        return;
    }
    cx.world.zones.insert((), ZonesRecord { version: version.to_owned() });
    let at = cx.now.wall;
    let apps: Vec<AppName> = cx.world.jobs_of_app.keys().cloned().collect();
    for app in apps {
        // One with another change has most of its jobs planned anew by that.
        if let Some(record) = cx.world.apps.change(&app).filter(|app| app.sweep.is_none()) {
            record.sweep = Some(SweepRecord { change: AppChange::Zones, at, after: None });
            cx.world.sweeping.insert(app);
        }
    }
}

/// Goes on with the changes that not all jobs have taken over.
pub(crate) fn go_on(cx: &mut Cx<'_>) {
    let mut left = JOBS_PER_STEP;
    while let Some(app) = cx.world.sweeping.first().cloned() {
        if !sweep(cx, &app, &mut left) {
            return;
        }
        cx.world.sweeping.remove(&app);
    }
}

/// Goes on with the change of one app, for so many jobs; says whether it is through.
fn sweep(cx: &mut Cx<'_>, app: &AppName, left: &mut usize) -> bool {
    let record = cx.world.apps.get(app);
    let Some(mut sweep) = record.and_then(|app| app.sweep.clone()) else { return true };
    let before = sweep.after.clone();
    loop {
        let after = sweep.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let jobs = cx.world.jobs_of_app.get(app);
        let next = jobs.and_then(|jobs| jobs.range((after, Bound::Unbounded)).next()).cloned();
        let Some(job) = next else { break };
        if *left == 0 || cx.is_full() {
            if sweep.after != before
                && let Some(app) = cx.world.apps.change(app)
            {
                app.sweep = Some(sweep);
            }
            return false;
        }
        take_over(cx, &job, &sweep);
        *left -= 1;
        sweep.after = Some(job);
    }
    if let Some(app) = cx.world.apps.change(app) {
        app.sweep = None;
    }
    if sweep.change == AppChange::Delete {
        apps::forget_app(cx, app);
    }
    true
}

/// Lets a job take over a change of its app whose turn has not come.
pub(crate) fn catch_up(cx: &mut Cx<'_>, name: &JobName) {
    if cx.world.sweeping.is_empty() {
        return;
    }
    let app = cx.world.jobs.get(name).and_then(|job| cx.world.apps.get(&job.spec.app));
    let sweep = app.and_then(|app| app.sweep.clone());
    if let Some(sweep) = sweep.filter(|sweep| sweep.after.as_ref().is_none_or(|at| at < name)) {
        take_over(cx, name, &sweep);
    }
}

fn take_over(cx: &mut Cx<'_>, name: &JobName, sweep: &SweepRecord) {
    let Some(job) = cx.world.jobs.get(name).cloned() else { return };
    match sweep.change {
        AppChange::Enable => {
            fires::unplan(cx, &job);
            fires::plan(cx, &job, sweep.at);
            daemons::settle(cx, &job);
        }
        AppChange::Zones => fires::plan_on(cx, &job),
        AppChange::Disable | AppChange::DisableAndKill => {
            fires::close(cx, &job, sweep.at);
            documents::quiesce(cx, job.uid, sweep.change == AppChange::DisableAndKill);
        }
        AppChange::Delete => documents::remove_job(cx, &job),
    }
}
