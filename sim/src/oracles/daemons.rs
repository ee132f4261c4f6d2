//! Daemon jobs: one run for as long as they are enabled, tasks that are replaced one at a time.

use std::{collections::BTreeMap, sync::Arc};

use muster_api::{
    AgentId, JobUid, RunId, Span,
    spec::JobSpec,
    step::{Records, Write},
    views::{AgentView, Cause, RunState},
};
use muster_engine::records::{self, AppRecord, EndedFor, JobRecord, RunRecord, TaskRecord};

use super::{Truth, Verdict, broken, hosts::launched, with_prefix};

impl Truth {
    /// Sees in a commit what jobs are like, in each of their versions, and how many tasks an app may
    /// have.
    pub(crate) fn see_document(&mut self, write: &Write) {
        let Write::Put { key, value } = write else { return };
        if key.starts_with(records::JOBS.as_bytes())
            && let Ok(job) = records::decode::<JobRecord>(value)
        {
            self.specs.insert((job.uid, job.version), job.spec);
        }
        if key.starts_with(records::APPS.as_bytes())
            && let Ok(app) = records::decode::<AppRecord>(value)
        {
            self.app_limits.insert(app.uid, app.spec.max_tasks);
        }
        if (key.starts_with(records::RUNS.as_bytes())
            || key.starts_with(records::PAST_RUNS.as_bytes()))
            && let Ok(run) = records::decode::<RunRecord>(value)
        {
            self.run_versions.insert(run.id, (run.job_uid, run.version));
        }
    }

    /// The document that a task was launched with.
    pub(super) fn spec_of_task(&self, task: &TaskRecord) -> Option<Arc<JobSpec>> {
        let (uid, version) = self.run_versions.get(&task.run)?;
        let version = task.version.or(*version)?;
        self.specs.get(&(*uid, version)).cloned()
    }
}

/// A job has at most one daemon run that is not being ended. Asked after each commit with runs.
pub(crate) fn one_daemon_run_a_job(store: &Records) -> Verdict {
    let mut runs: BTreeMap<JobUid, RunId> = BTreeMap::new();
    for run in daemon_runs(store).filter(|run| run.state != RunState::Stopping) {
        if let Some(other) = runs.insert(run.job_uid, run.id) {
            let what = format!("{} has the daemon runs {other} and {}", run.job, run.id);
            return broken("one_daemon_run_a_job", what);
        }
    }
    Ok(())
}

fn daemon_runs(store: &Records) -> impl Iterator<Item = RunRecord> {
    let runs = with_prefix(store, records::RUNS);
    let runs = runs.filter_map(|(_, value)| records::decode::<RunRecord>(value).ok());
    runs.filter(|run| run.cause == Cause::Daemon)
}

fn tasks(store: &Records) -> impl Iterator<Item = (&Vec<u8>, TaskRecord)> {
    let tasks = with_prefix(store, records::TASKS);
    tasks.filter_map(|(key, value)| Some((key, records::decode::<TaskRecord>(value).ok()?)))
}

/// No shard of a daemon run is taken down to be replaced for a newer document while another one is
/// down for that: is being ended, or waits or starts after that. What is under way on a host of which
/// nothing was heard for a minute may never be over, so it keeps nobody waiting. Moves off a drained
/// host may add to it, and a shard that died is down by nobody's wish.
pub(crate) fn one_shard_is_replaced_at_a_time(
    truth: &mut Truth,
    store: &Records,
    hosts: &[AgentView],
) -> Verdict {
    // So it begins when a document or a revision is newer than that of a task.
    let is_rolled = |reason: Option<&str>| {
        let newer = ["its job has another document", "its app has another revision"];
        reason.is_some_and(|words| newer.iter().any(|begin| words.starts_with(begin)))
    };
    let lost = |agent: &AgentId| {
        let host = hosts.iter().find(|host| host.id == *agent);
        host.and_then(|host| host.silent_for).is_some_and(|span| span >= Span::from_secs(60))
    };
    let before = std::mem::take(&mut truth.replacing);
    for run in daemon_runs(store).filter(|run| run.state != RunState::Stopping) {
        let of_run = tasks(store).filter(|(_, task)| task.run == run.id);
        let down = of_run.filter(|(_, task)| {
            let ends = task.ended_for == Some(EndedFor::Restart);
            ends && is_rolled(task.tries.reason.as_deref())
        });
        let mut items: BTreeMap<u32, bool> =
            down.map(|(_, task)| (task.item, lost(&task.agent))).collect();
        let again = run.shards.again.iter();
        let again =
            again.filter(|(_, it)| it.tries.replaced && is_rolled(it.tries.reason.as_deref()));
        items.extend(again.map(|(item, _)| (*item, false)));
        let was_down = |item: &u32| before.contains(&(run.id, *item));
        let waited_for = items.iter().filter(|(item, lost)| !(was_down(item) && **lost)).count();
        if waited_for > 1 && !items.keys().all(was_down) {
            let items: Vec<u32> = items.into_keys().collect();
            let what = format!("shards {items:?} of run {} are down to be replaced", run.id);
            return broken("one_shard_is_replaced_at_a_time", what);
        }
        truth.replacing.extend(items.into_keys().map(|item| (run.id, item)));
    }
    Ok(())
}

/// A shard whose task an operator has ended is not tried again in its run, unless it is that of a
/// daemon job.
pub(crate) fn what_was_killed_stays_dead(
    truth: &mut Truth,
    store: &Records,
    writes: &[Write],
) -> Verdict {
    let is_daemon = |truth: &Truth, task: &TaskRecord| {
        task.version.is_some() || truth.spec_of_task(task).is_none_or(|spec| spec.is_daemon())
    };
    for (key, task) in launched(store, writes) {
        if truth.killed.contains(&(task.run, task.item)) {
            let (key, item, run) = (String::from_utf8_lossy(key), task.item, task.run);
            let what = format!("{key} is of shard {item} of run {run}, which somebody has killed");
            return broken("what_was_killed_stays_dead", what);
        }
    }
    for write in writes {
        let Write::Put { key, value } = write else { continue };
        if key.starts_with(records::TASKS.as_bytes())
            && let Ok(task) = records::decode::<TaskRecord>(value)
            && task.ended_for == Some(EndedFor::Operator)
            && !is_daemon(truth, &task)
        {
            truth.killed.insert((task.run, task.item));
        }
    }
    Ok(())
}

/// What keeps daemon jobs from being as their documents say, when nothing disturbs them: each that is
/// enabled has one run with one task a shard, all of the newest document, and the others have none.
pub(crate) fn daemons_are_settled(truth: &Truth, store: &Records) -> Result<(), String> {
    let apps: BTreeMap<_, AppRecord> = with_prefix(store, records::APPS)
        .filter_map(|(_, value)| records::decode::<AppRecord>(value).ok())
        .map(|app| (app.spec.name.clone(), app))
        .collect();
    let mut runs: BTreeMap<JobUid, Vec<RunRecord>> = BTreeMap::new();
    for run in daemon_runs(store) {
        runs.entry(run.job_uid).or_default().push(run);
    }
    for (_, value) in with_prefix(store, records::JOBS) {
        let Ok(job) = records::decode::<JobRecord>(value) else { continue };
        let runs = runs.remove(&job.uid).unwrap_or_default();
        let app = apps.get(&job.spec.app).filter(|app| !app.disabled);
        let name = &job.spec.name;
        match (app.filter(|_| job.spec.is_daemon() && !job.disabled()), runs.as_slice()) {
            (None, []) => {}
            (Some(app), [run]) if run.state == RunState::Running => {
                shards_are_settled(truth, store, &job, app, run.id)?;
            }
            (app, runs) => {
                let runs: Vec<_> = runs.iter().map(|run| (run.id, run.state)).collect();
                let wanted = if app.is_some() { "enabled" } else { "no daemon, or disabled" };
                return Err(format!("{name} is {wanted}, and has the daemon runs {runs:?}"));
            }
        }
    }
    match runs.into_values().flatten().next() {
        None => Ok(()),
        Some(run) => Err(format!("daemon run {} is of no job", run.id)),
    }
}

fn shards_are_settled(
    truth: &Truth,
    store: &Records,
    job: &JobRecord,
    app: &AppRecord,
    run: RunId,
) -> Result<(), String> {
    let name = &job.spec.name;
    let of_run: Vec<_> = tasks(store).filter(|(_, task)| task.run == run).collect();
    let count = job.spec.sharding.count;
    let mut items: Vec<u32> = of_run.iter().map(|(_, task)| task.item).collect();
    items.sort_unstable();
    if !items.iter().copied().eq(0..count) {
        return Err(format!("{name} has tasks for the shards {items:?}, of {count}"));
    }
    for (key, task) in of_run {
        let key = String::from_utf8_lossy(key);
        let Some(there) = truth.residents.get(&(run, task.item)) else {
            return Err(format!("{name}: {key} is resident nowhere"));
        };
        if key != format!("{}{}", records::TASKS, there.task) {
            return Err(format!("{name}: {key} is stored, and {} is resident", there.task));
        }
        let executor = format!("{}{}", records::EXECUTORS, task.executor);
        let executor = store.get(executor.as_bytes());
        let executor = executor.and_then(|v| records::decode::<records::ExecutorRecord>(v).ok());
        if executor.is_none_or(|it| it.revision != app.revision || it.app_uid != app.uid) {
            return Err(format!("{name}: {key} is in an executor of another revision"));
        }
        let given = &there.payload;
        let resident = given.resident.as_ref();
        let is_newest = given.context.job_parameter == job.spec.parameter
            && given.context.shard_count == count
            && given.timeout == job.spec.timeout
            && given.kill_grace == job.spec.kill_grace
            && resident.is_some_and(|it| {
                Some(&it.schedule) == job.spec.schedule.as_ref()
                    && it.misfire == job.spec.misfire.policy
            });
        if task.ended_for.is_some() || !is_newest {
            return Err(format!("{name}: {key} is not of version {}", job.version));
        }
    }
    Ok(())
}
