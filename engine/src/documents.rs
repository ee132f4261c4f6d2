//! Apps and jobs: how their documents are stored, changed and deleted.

use std::sync::Arc;

use muster_api::{
    AppName, AppUid, ExecutorId, JobName, JobUid, RunId, limits,
    spec::{AppSpec, Fault, JobSpec},
    views::RunState,
};

use crate::{
    cx::Cx,
    event::{Accepted, Change, CommandReply, Expect, Rejected},
    executors, fires,
    records::{AppRecord, JobRecord},
    runs,
};

/// The revisions of apps begin here, and so do versions.
const FIRST: u64 = 1;

fn check_expected(expect: Expect, stored: Option<u64>) -> Result<(), Rejected> {
    let fits = match expect {
        Expect::Anything => true,
        Expect::Nothing => stored.is_none(),
        Expect::Version(version) => stored == Some(version),
    };
    if fits { Ok(()) } else { Err(Rejected::VersionMismatch { stored }) }
}

/// Creates or replaces an app.
pub(crate) fn put_app(cx: &mut Cx<'_>, spec: AppSpec, expect: Expect) -> CommandReply {
    let stored = cx.world.apps.get(&spec.name).cloned();
    check_expected(expect, stored.as_ref().map(|app| app.version))?;
    let faults = faults_of_jobs(cx, &spec);
    if !faults.is_empty() {
        return Err(Rejected::Invalid { faults });
    }
    let (record, change) = match stored {
        None => (new_app(cx, spec), Change::Created),
        Some(app) if *app.spec == spec => {
            return Ok(Accepted::App(Box::new(app.view()), Change::Unchanged));
        }
        Some(app) => {
            let renewed = needs_new_executors(&app.spec, &spec);
            let revision = app.revision + u64::from(renewed);
            let spec = Arc::new(spec);
            let (version, updated_at) = (app.version + 1, cx.now.wall);
            (AppRecord { version, revision, spec, updated_at, ..app }, Change::Updated)
        }
    };
    let (uid, former) = (record.uid, record.revision - 1);
    cx.world.revisions.insert((uid, record.revision), record.spec.clone());
    let (view, name) = (record.view(), record.spec.name.clone());
    cx.world.apps.insert(name.clone(), record);
    executors::forget_revision(cx, &name, uid, former);
    cx.world.placement_due = true;
    Ok(Accepted::App(Box::new(view), change))
}

fn new_app(cx: &mut Cx<'_>, spec: AppSpec) -> AppRecord {
    AppRecord {
        uid: AppUid::from_uuid(cx.world.ids.uuid(cx.now.wall)),
        version: FIRST,
        revision: FIRST,
        spec: Arc::new(spec),
        disabled: false,
        created_at: cx.now.wall,
        updated_at: cx.now.wall,
    }
}

/// Whether executors of the old document cannot serve the new one (SEMANTICS 1).
fn needs_new_executors(old: &AppSpec, new: &AppSpec) -> bool {
    (&old.command, &old.artifacts, &old.env, &old.resources, &old.lease)
        != (&new.command, &new.artifacts, &new.env, &new.resources, &new.lease)
}

fn faults_of_jobs(cx: &Cx<'_>, app: &AppSpec) -> Vec<Fault> {
    let jobs = jobs_of(cx, &app.name);
    let faults = jobs.iter().filter_map(|name| cx.world.jobs.get(name)).flat_map(|job| {
        job.spec.check_app(app).into_iter().map(|fault| Fault {
            field: "command".to_owned(),
            message: format!("job `{}` does not allow it: {}", job.spec.name, fault.message),
        })
    });
    faults.collect()
}

fn jobs_of(cx: &Cx<'_>, app: &AppName) -> Vec<JobName> {
    let jobs = cx.world.jobs.iter().filter(|(_, job)| job.spec.app == *app);
    jobs.map(|(name, _)| name.clone()).collect()
}

fn app_not_found(name: &AppName) -> Rejected {
    Rejected::NotFound { kind: "app", name: name.to_string() }
}

fn job_not_found(name: &JobName) -> Rejected {
    Rejected::NotFound { kind: "job", name: name.to_string() }
}

/// Deletes an app and its jobs; their tasks are killed, its executors stopped.
pub(crate) fn delete_app(cx: &mut Cx<'_>, name: &AppName, expect: Expect) -> CommandReply {
    let app = cx.world.apps.get(name).ok_or_else(|| app_not_found(name))?;
    check_expected(expect, Some(app.version))?;
    let uid = app.uid;
    for job in jobs_of(cx, name) {
        delete_job(cx, &job, Expect::Anything)?;
    }
    // Runs of jobs that have moved to another app since they took this one.
    let left: Vec<RunId> = cx
        .world
        .runs
        .iter()
        .filter(|(_, run)| run.record().app == *name && !run.is_stopping())
        .map(|(id, _)| *id)
        .collect();
    for run in left {
        runs::stop(cx, run, "its app was deleted");
    }
    cx.world.apps.remove(name);
    let executors: Vec<ExecutorId> = cx
        .world
        .executors
        .iter()
        .filter(|(_, executor)| executor.record.app_uid == uid)
        .map(|(id, _)| *id)
        .collect();
    if executors.is_empty() {
        forget_revisions(cx, uid);
    }
    for executor in executors {
        executors::stop(cx, executor);
    }
    Ok(Accepted::Deleted)
}

fn forget_revisions(cx: &mut Cx<'_>, uid: AppUid) {
    let revisions = cx.world.revisions.range((uid, 0)..=(uid, u64::MAX));
    let keys: Vec<_> = revisions.map(|(key, _)| *key).collect();
    for key in keys {
        cx.world.revisions.remove(&key);
    }
}

/// Enables or disables an app, and with it its jobs.
pub(crate) fn set_app_disabled(
    cx: &mut Cx<'_>,
    name: &AppName,
    disabled: bool,
    kill: bool,
) -> CommandReply {
    let app = cx.world.apps.get(name).ok_or_else(|| app_not_found(name))?;
    if app.disabled == disabled {
        let view = Box::new(app.view());
        quiesce_jobs(cx, name, disabled, kill);
        return Ok(Accepted::App(view, Change::Unchanged));
    }
    let now = cx.now.wall;
    for job in jobs_of(cx, name) {
        settle_due(cx, &job);
    }
    let app = cx.world.apps.change(name).ok_or_else(|| app_not_found(name))?;
    app.disabled = disabled;
    app.version += 1;
    app.updated_at = now;
    let view = Box::new(app.view());
    for job in jobs_of(cx, name) {
        fires::plan(cx, &job);
    }
    quiesce_jobs(cx, name, disabled, kill);
    Ok(Accepted::App(view, Change::Updated))
}

fn quiesce_jobs(cx: &mut Cx<'_>, app: &AppName, disabled: bool, kill: bool) {
    for job in jobs_of(cx, app) {
        if let Some(uid) = cx.world.jobs.get(&job).map(|job| job.uid).filter(|_| disabled) {
            quiesce(cx, uid, kill);
        }
    }
}

/// What disabling means for the runs of a job: those that launched nothing are cancelled, the
/// running one ends by itself or is killed.
fn quiesce(cx: &mut Cx<'_>, job: JobUid, kill: bool) {
    for id in runs::lane(cx, job) {
        let pending = |id: RunId| {
            cx.world.runs.get(&id).is_some_and(|run| run.record().state == RunState::Pending)
        };
        if kill || pending(id) {
            runs::stop(cx, id, "disabled");
        }
    }
}

/// Creates or replaces a job.
pub(crate) fn put_job(cx: &mut Cx<'_>, mut spec: JobSpec, expect: Expect) -> CommandReply {
    let stored = cx.world.jobs.get(&spec.name).cloned();
    check_expected(expect, stored.as_ref().map(|job| job.version))?;
    check_fits_app(cx, &spec)?;
    let was_disabled = stored.as_ref().is_some_and(JobRecord::disabled);
    spec.disabled = Some(spec.disabled.unwrap_or(was_disabled));
    if let Some(job) = stored.as_ref().filter(|job| *job.spec == spec) {
        return Ok(Accepted::Job(Box::new(job_view(cx, job)), Change::Unchanged));
    }
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
fn store_job(cx: &mut Cx<'_>, spec: JobSpec, stored: Option<JobRecord>) -> JobRecord {
    let (name, now) = (spec.name.clone(), cx.now.wall);
    let spec = Arc::new(spec);
    let old = stored.clone();
    if let Some(job) = &old {
        settle_due(cx, &name);
        for run in runs::lane(cx, job.uid) {
            cx.world.out_of_queue(run);
        }
    }
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
    cx.world.versions.insert((record.uid, record.version), record.spec.clone());
    cx.world.jobs.insert(name.clone(), record.clone());
    forget_old_versions(cx, &record);

    let planned_as =
        |job: &JobRecord| (job.spec.schedule.clone(), job.disabled(), job.spec.app.clone());
    if old.as_ref().map(planned_as) != Some(planned_as(&record)) {
        fires::plan(cx, &name);
    }
    runs::follow_job(cx, &record);
    for run in runs::lane(cx, record.uid) {
        cx.world.requeue(run);
    }
    if record.disabled() {
        quiesce(cx, record.uid, false);
    }
    record
}

/// What was due before a change is settled under what stood before.
fn settle_due(cx: &mut Cx<'_>, name: &JobName) {
    let Some(uid) = cx.world.jobs.get(name).map(|job| job.uid) else { return };
    if cx.world.fires.get(&uid).is_some_and(|planned| planned.next <= cx.now.wall) {
        fires::fire(cx, uid);
    }
}

fn job_view(cx: &Cx<'_>, job: &JobRecord) -> muster_api::views::JobView {
    job.view(cx.world.apps.get(&job.spec.app), cx.world.cursors.get(&job.uid))
}

/// Keeps the last versions of a job and those that a run uses.
fn forget_old_versions(cx: &mut Cx<'_>, job: &JobRecord) {
    let Some(oldest) = job.version.checked_sub(limits::VERSIONS_KEPT) else { return };
    let lane = runs::lane(cx, job.uid);
    let used: Vec<u64> = lane
        .iter()
        .filter_map(|id| cx.world.runs.get(id).and_then(|run| run.record().version))
        .collect();
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
    let uid = job.uid;
    fires::unplan(cx, uid);
    cx.world.cursors.remove(&uid);
    for run in runs::lane(cx, uid) {
        runs::stop(cx, run, "its job was deleted");
    }
    // The places of its runs in the queue depend on its priority, so it goes last.
    cx.world.jobs.remove(name);
    forget_idempotency(cx, uid);
    if !cx.world.lanes.contains_key(&uid) {
        forget_versions(cx, uid);
    }
    Ok(Accepted::Deleted)
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
