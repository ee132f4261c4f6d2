//! What must hold of user code on hosts.

use muster_api::{Resources, RunId, step::Write, task::ShardContext};
use muster_engine::records::{self, PastTaskRecord, RunRecord};

use super::{Truth, Verdict, broken, guests::Command};

/// The code of a shard that is about to run does not run anywhere already.
pub(crate) fn no_shard_runs_twice(truth: &Truth, context: &ShardContext) -> Verdict {
    let running = truth.running.get(&(context.run, context.shard_item));
    match running.filter(|code| truth.is_guarded(code)) {
        None => Ok(()),
        Some(other) => broken(
            "no_shard_runs_twice",
            format!(
                "shard {} of run {} runs as task {} on host{}, and now as task {}",
                context.shard_item, context.run, other.task, other.host, context.task
            ),
        ),
    }
}

/// While code of one run runs, no code of another run of its job begins.
pub(crate) fn no_two_runs_of_a_job(truth: &Truth, context: &ShardContext) -> Verdict {
    let Some(job) = truth.run_jobs.get(&context.run) else { return Ok(()) };
    let mut others = truth.running.iter().filter(|((run, _), _)| *run != context.run);
    let other = others
        .find(|((run, _), code)| truth.run_jobs.get(run) == Some(job) && truth.is_guarded(code));
    match other {
        None => Ok(()),
        Some(((run, _), code)) => broken(
            "no_two_runs_of_a_job",
            format!("run {} begins, and task {} of run {run} runs", context.run, code.task),
        ),
    }
}

/// Code that is about to run is of a run and a task that are not over.
pub(crate) fn nothing_runs_after_its_end(truth: &Truth, context: &ShardContext) -> Verdict {
    if truth.runs_over.contains_key(&context.run) || truth.tasks_over.contains(&context.task) {
        let ShardContext { run, task, shard_item, .. } = context;
        let what = format!("task {task} of shard {shard_item} of run {run} is over, and runs");
        return broken("nothing_runs_after_its_end", what);
    }
    Ok(())
}

/// Of the tasks of one shard a later one has a higher epoch.
pub(crate) fn epochs_grow(truth: &Truth, context: &ShardContext) -> Verdict {
    let shard = (context.run, context.shard_item);
    // All executions of a resident task have its epoch.
    let resident = truth.residents.get(&shard).is_some_and(|it| it.task == context.task);
    match truth.epochs.get(&shard) {
        Some(before) if resident && *before == context.epoch => Ok(()),
        Some(before) if *before >= context.epoch => broken(
            "epochs_grow",
            format!("task {} has epoch {} after {before}", context.task, context.epoch),
        ),
        Some(_) | None => Ok(()),
    }
}

/// What lives on a host fits into it.
pub(crate) fn no_host_is_over_promised(truth: &Truth, host: usize) -> Verdict {
    let executors =
        truth.executors.iter().filter(|((of, id), _)| *of == host && !truth.is_forgiven(host, id));
    let executors = executors.map(|(_, resources)| resources);
    // A task that stays needs what it needs whether its code runs or not.
    let comes = |shard: &(RunId, u32)| !truth.residents.contains_key(shard);
    let tasks = truth.running.iter().filter(|(shard, _)| comes(shard)).map(|(_, code)| code);
    let tasks = tasks.filter(|code| code.host == host && truth.is_guarded(code));
    let tasks = tasks.map(|code| &code.resources);
    let resident = truth.residents.values().filter(|it| it.host == host);
    let resident = resident.filter(|it| !truth.is_forgiven_of(host, &it.executor, &it.task));
    let resident = resident.filter_map(|it| truth.jobs.get(&it.payload.context.job));
    let commands = truth.commands.values().filter(|it| it.host == host);
    let commands = commands.map(|_| Command::resources()).collect::<Vec<_>>();
    let mut used = Resources::none();
    for each in executors.chain(tasks).chain(resident).chain(&commands) {
        used = used.checked_add(each).unwrap_or(used);
    }
    let total = truth.hosts.get(&host).cloned().unwrap_or_else(Resources::none);
    if total.covers(&used) {
        return Ok(());
    }
    broken("no_host_is_over_promised", format!("host{host} has {total}, and {used} is in use"))
}

/// When it is stored that a run or a task is over, nothing of it runs.
pub(crate) fn what_is_over_does_not_run(truth: &mut Truth, write: &Write) -> Verdict {
    const NAME: &str = "what_is_over_does_not_run";
    let Write::Put { key, value } = write else { return Ok(()) };
    if key.starts_with(records::PAST_RUNS.as_bytes())
        && let Ok(record) = records::decode::<RunRecord>(value)
    {
        truth.runs_over.insert(record.id, key.clone());
        let mut shards = truth.running.range((record.id, 0)..=(record.id, u32::MAX));
        if let Some(((run, item), code)) = shards.find(|(_, code)| truth.is_guarded(code)) {
            let what = format!("run {run} is over, and task {} of shard {item} runs", code.task);
            return broken(NAME, what);
        }
    }
    if key.starts_with(records::PAST_TASKS.as_bytes())
        && let Ok(record) = records::decode::<PastTaskRecord>(value)
    {
        truth.tasks_over.insert(record.task);
        if let Some(code) =
            truth.running.values().find(|code| code.task == record.task && truth.is_guarded(code))
        {
            let what = format!("task {} is over, and runs on host{}", record.task, code.host);
            return broken(NAME, what);
        }
        let mut resident = truth.residents.values().filter(|it| it.task == record.task);
        if let Some(there) =
            resident.find(|it| !truth.is_forgiven_of(it.host, &it.executor, &it.task))
        {
            let what = format!("task {} is over, and stays on host{}", record.task, there.host);
            return broken(NAME, what);
        }
    }
    Ok(())
}
