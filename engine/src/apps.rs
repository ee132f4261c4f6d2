//! Apps: how their documents are stored, changed and deleted, and what that means for their jobs.

use std::sync::Arc;

use muster_api::{
    AppName, AppUid, ExecutorId, RunId,
    spec::{AppSpec, Fault},
};

use crate::{
    cx::Cx,
    documents::{FIRST, check_expected},
    event::{Accepted, Change, CommandReply, Expect, Rejected},
    executors,
    records::{AppChange, AppRecord},
    revisions, rolls, runs, sweeps,
};

/// Creates or replaces an app.
pub(crate) fn put_app(cx: &mut Cx<'_>, spec: AppSpec, expect: Expect) -> CommandReply {
    let stored = cx.world.apps.get(&spec.name).cloned();
    check_expected(expect, stored.as_ref().map(|app| app.version))?;
    check_not_going(stored.as_ref())?;
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
    revisions::forget_unused(cx, &name, uid, former);
    cx.world.line_up_app(uid);
    rolls::look_at_app(cx, &name);
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
        sweep: None,
    }
}

/// An app that is being deleted takes no changes.
pub(crate) fn check_not_going(app: Option<&AppRecord>) -> Result<(), Rejected> {
    let sweep = app.and_then(|app| app.sweep.as_ref());
    match app.filter(|_| sweep.is_some_and(|sweep| sweep.change == AppChange::Delete)) {
        None => Ok(()),
        Some(app) => {
            let name = &app.spec.name;
            let detail = format!("app `{name}` is being deleted; try again when it is gone");
            Err(Rejected::Conflict { detail })
        }
    }
}

/// Whether executors of the old document cannot serve the new one (SEMANTICS 1).
fn needs_new_executors(old: &AppSpec, new: &AppSpec) -> bool {
    (&old.command, &old.artifacts, &old.env, &old.resources, &old.lease)
        != (&new.command, &new.artifacts, &new.env, &new.resources, &new.lease)
}

fn faults_of_jobs(cx: &Cx<'_>, app: &AppSpec) -> Vec<Fault> {
    let jobs = cx.world.jobs_of_app.get(&app.name).into_iter().flatten();
    let faults = jobs.filter_map(|name| cx.world.jobs.get(name)).flat_map(|job| {
        job.spec.check_app(app).into_iter().map(|fault| Fault {
            field: "command".to_owned(),
            message: format!("job `{}` does not allow it: {}", job.spec.name, fault.message),
        })
    });
    faults.collect()
}

fn app_not_found(name: &AppName) -> Rejected {
    Rejected::NotFound { kind: "app", name: name.to_string() }
}

/// Deletes an app and its jobs; their tasks are killed, its executors stopped. With many jobs that
/// takes several steps, and until it is over the app is there, disabled.
pub(crate) fn delete_app(cx: &mut Cx<'_>, name: &AppName, expect: Expect) -> CommandReply {
    let app = cx.world.apps.get(name).ok_or_else(|| app_not_found(name))?;
    check_expected(expect, Some(app.version))?;
    if let Some(app) = cx.world.apps.change(name) {
        app.disabled = true;
    }
    sweeps::begin(cx, name, AppChange::Delete);
    Ok(Accepted::Deleted { app: name.clone() })
}

/// Forgets an app whose jobs are all deleted.
pub(crate) fn forget_app(cx: &mut Cx<'_>, name: &AppName) {
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
    let Some(uid) = cx.world.apps.remove(name).map(|app| app.uid) else { return };
    let executors: Vec<ExecutorId> = cx
        .world
        .executors
        .iter()
        .filter(|(_, executor)| executor.record.app_uid == uid)
        .map(|(id, _)| *id)
        .collect();
    revisions::forget_unused_of(cx, name, uid);
    for executor in executors {
        executors::stop(cx, executor);
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
    check_not_going(Some(app))?;
    let changed = app.disabled != disabled;
    if changed && app.sweep.is_some() {
        let detail =
            format!("not all jobs of app `{name}` have followed its last change; try again soon");
        return Err(Rejected::Conflict { detail });
    }
    let now = cx.now.wall;
    let app = cx.world.apps.change(name).ok_or_else(|| app_not_found(name))?;
    if changed {
        app.disabled = disabled;
        app.version += 1;
        app.updated_at = now;
    }
    let goes_on = app.sweep.is_some();
    let view = Box::new(app.view());
    match (disabled, kill) {
        (false, _) if !changed => {}
        (false, _) => sweeps::begin(cx, name, AppChange::Enable),
        // The one under way does as much, and its jobs count from when it was asked for.
        (true, false) if goes_on => {}
        (true, false) => sweeps::begin(cx, name, AppChange::Disable),
        (true, true) => sweeps::begin(cx, name, AppChange::DisableAndKill),
    }
    Ok(Accepted::App(view, if changed { Change::Updated } else { Change::Unchanged }))
}
