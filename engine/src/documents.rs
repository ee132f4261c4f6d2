//! Jobs: how their documents are stored, changed and deleted.

use std::{collections::BTreeSet, sync::Arc};

use muster_api::{
    JobName, JobUid, limits,
    spec::{Fault, JobSpec, MisfirePolicy},
    views::RunState,
};

use crate::{
    apps, blocker,
    cx::Cx,
    daemons,
    event::{Accepted, Change, CommandReply, Expect, Rejected},
    fires, merges, notices,
    records::JobRecord,
    run::Run,
    runs, sweeps,
};

/// The revisions of apps begin here, and so do versions.
pub(crate) const FIRST: u64 = 1;

pub(crate) fn check_expected(expect: Expect, stored: Option<u64>) -> Result<(), Rejected> {
    let fits = match expect {
        Expect::Anything => true,
        Expect::Nothing => stored.is_none(),
        Expect::Version(version) => stored == Some(version),
    };
    if fits { Ok(()) } else { Err(Rejected::VersionMismatch { stored }) }
}

fn job_not_found(name: &JobName) -> Rejected {
    Rejected::NotFound { kind: "job", name: name.to_string() }
}

/// What disabling means for the runs of a job: those that launched nothing are cancelled, the
/// running one ends by itself or is killed, and that of a daemon job is killed always.
pub(crate) fn quiesce(cx: &mut Cx<'_>, job: JobUid, kill: bool) {
    for id in runs::lane(cx, job) {
        let ends = |run: &Run| run.record().state == RunState::Pending || run.is_daemon();
        if kill || cx.world.runs.get(&id).is_some_and(ends) {
            runs::stop(cx, id, "disabled");
        }
    }
}

/// Creates or replaces a job.
pub(crate) fn put_job(cx: &mut Cx<'_>, mut spec: JobSpec, expect: Expect) -> CommandReply {
    sweeps::catch_up(cx, &spec.name);
    let stored = cx.world.jobs.get(&spec.name).cloned();
    check_expected(expect, stored.as_ref().map(|job| job.version))?;
    check_fits_app(cx, &spec)?;
    apps::check_not_going(cx.world.apps.get(&spec.app))?;
    let was_disabled = stored.as_ref().is_some_and(JobRecord::disabled);
    spec.disabled = Some(spec.disabled.unwrap_or(was_disabled));
    if let Some(job) = stored.as_ref().filter(|job| *job.spec == spec) {
        return Ok(Accepted::Job(Box::new(job_view(cx, job)), Change::Unchanged));
    }
    notices::check(&cx.config.installation, &spec)?;
    let change = if stored.is_some() { Change::Updated } else { Change::Created };
    let record = store_job(cx, spec, stored);
    Ok(Accepted::Job(Box::new(job_view(cx, &record)), change))
}

fn check_fits_app(cx: &Cx<'_>, spec: &JobSpec) -> Result<(), Rejected> {
    let faults = match cx.world.apps.get(&spec.app) {
        Some(app) => spec.check_app(&app.spec),
        None => vec![Fault {
            field: "app".to_owned(),
            message: format!("there is no app `{}`; create it first", spec.app),
        }],
    };
    if faults.is_empty() { Ok(()) } else { Err(Rejected::Invalid { faults }) }
}

/// Stores a new or changed document and lets it act on schedule, runs and queue.
fn store_job(cx: &mut Cx<'_>, mut spec: JobSpec, stored: Option<JobRecord>) -> JobRecord {
    let (name, now) = (spec.name.clone(), cx.now.wall);
    // All jobs of an app share its name in memory.
    if let Some(app) = cx.world.apps.get(&spec.app) {
        spec.app = app.spec.name.clone();
    }
    let planned_as =
        |spec: &JobSpec| (spec.schedule.clone(), spec.execution, spec.disabled, spec.app.clone());
    let replanned = stored.as_ref().is_none_or(|job| planned_as(&job.spec) != planned_as(&spec));
    let of_another_kind =
        stored.as_ref().is_some_and(|job| job.spec.is_daemon() != spec.is_daemon());
    if let Some(job) = &stored {
        if replanned {
            fires::close(cx, job, now);
        }
        for run in runs::lane(cx, job.uid) {
            cx.world.out_of_queue(run);
        }
        cx.world.versions.insert((job.uid, job.version), job.spec.clone());
        leave_app(cx, job);
    }
    let spec = Arc::new(spec);
    let record = match stored {
        Some(job) => JobRecord { version: job.version + 1, spec, updated_at: now, ..job },
        None => JobRecord {
            uid: JobUid::from_uuid(cx.world.ids.uuid(now)),
            version: FIRST,
            spec,
            created_at: now,
            updated_at: now,
        },
    };
    let siblings = cx.world.jobs_of_app.entry(record.spec.app.clone()).or_default();
    siblings.insert(name.clone());
    cx.world.jobs.insert(name, record.clone());
    forget_old_versions(cx, &record);
    if replanned {
        fires::plan(cx, &record, now);
    }
    runs::follow_job(cx, &record);
    for run in runs::lane(cx, record.uid) {
        cx.world.requeue(run);
    }
    blocker::follow_document(cx);
    if !cx.world.is_enabled(&record) {
        quiesce(cx, record.uid, false);
    }
    if of_another_kind {
        notices::starts_anew(cx, &record);
    }
    daemons::settle(cx, &record);
    if record.spec.misfire.policy != MisfirePolicy::Replay {
        merges::into_one(cx, &record);
    }
    record
}

/// Takes a job out of the index of its app.
fn leave_app(cx: &mut Cx<'_>, job: &JobRecord) {
    if let Some(siblings) = cx.world.jobs_of_app.get_mut(&job.spec.app) {
        siblings.remove(&job.spec.name);
        if siblings.is_empty() {
            cx.world.jobs_of_app.remove(&job.spec.app);
        }
    }
}

fn job_view(cx: &Cx<'_>, job: &JobRecord) -> muster_api::views::JobView {
    job.view(cx.world.apps.get(&job.spec.app), cx.world.cursors.get(&job.uid))
}

/// Keeps the last versions of a job and those that a run uses.
fn forget_old_versions(cx: &mut Cx<'_>, job: &JobRecord) {
    let Some(oldest) = job.version.checked_sub(limits::VERSIONS_KEPT) else { return };
    let lane = runs::lane(cx, job.uid);
    let runs = || lane.iter().filter_map(|id| cx.world.runs.get(id));
    let mut used: BTreeSet<u64> = runs().filter_map(|run| run.record().version).collect();
    let tasks = runs().filter(|run| run.is_daemon()).flat_map(Run::live);
    used.extend(tasks.filter_map(|(_, live)| cx.world.tasks.get(&live.task)?.version));
    let old = cx.world.versions.range((job.uid, 0)..(job.uid, oldest));
    let unused: Vec<_> = old.map(|(key, _)| *key).filter(|(_, v)| !used.contains(v)).collect();
    for key in unused {
        cx.world.versions.remove(&key);
    }
}

/// Forgets all versions of a deleted job, once no run uses them.
pub(crate) fn forget_versions(cx: &mut Cx<'_>, uid: JobUid) {
    if cx.world.cursors.contains(&uid) {
        return;
    }
    let versions = cx.world.versions.range((uid, 0)..=(uid, u64::MAX));
    let keys: Vec<_> = versions.map(|(key, _)| *key).collect();
    for key in keys {
        cx.world.versions.remove(&key);
    }
}

/// Deletes a job; its tasks are killed.
pub(crate) fn delete_job(cx: &mut Cx<'_>, name: &JobName, expect: Expect) -> CommandReply {
    let job = cx.world.jobs.get(name).ok_or_else(|| job_not_found(name))?;
    check_expected(expect, Some(job.version))?;
    let job = job.clone();
    remove_job(cx, &job);
    Ok(Accepted::Deleted { app: job.spec.app.clone() })
}

/// Deletes a job; its tasks are killed, and what they need to know of it is kept until they end.
pub(crate) fn remove_job(cx: &mut Cx<'_>, job: &JobRecord) {
    let uid = job.uid;
    fires::unplan(cx, job);
    cx.world.cursors.remove(&uid);
    cx.world.growing.forget(&uid);
    cx.world.told.remove(&uid);
    for run in runs::lane(cx, uid) {
        runs::stop(cx, run, "its job was deleted");
    }
    // The places of its runs in the queue depend on its priority, so it goes last.
    cx.world.jobs.remove(&job.spec.name);
    leave_app(cx, job);
    forget_idempotency(cx, uid);
    if cx.world.lanes.contains_key(&uid) {
        cx.world.versions.insert((uid, job.version), job.spec.clone());
    } else {
        forget_versions(cx, uid);
    }
}

fn forget_idempotency(cx: &mut Cx<'_>, uid: JobUid) {
    let of_job = cx.world.idempotency.range((uid, String::new())..);
    let keys: Vec<_> =
        of_job.take_while(|((job, _), _)| *job == uid).map(|(key, _)| key.clone()).collect();
    for key in keys {
        cx.world.idempotency.remove(&key);
    }
}

/// Enables or disables a job.
pub(crate) fn set_job_disabled(
    cx: &mut Cx<'_>,
    name: &JobName,
    disabled: bool,
    kill: bool,
) -> CommandReply {
    sweeps::catch_up(cx, name);
    let stored = cx.world.jobs.get(name).cloned().ok_or_else(|| job_not_found(name))?;
    let changed = stored.disabled() != disabled;
    let record = if changed {
        let spec = JobSpec { disabled: Some(disabled), ..(*stored.spec).clone() };
        store_job(cx, spec, Some(stored))
    } else {
        stored
    };
    if disabled {
        quiesce(cx, record.uid, kill);
    }
    let change = if changed { Change::Updated } else { Change::Unchanged };
    Ok(Accepted::Job(Box::new(job_view(cx, &record)), change))
}
