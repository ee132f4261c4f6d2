//! What users and agents were told is on the disk, and stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{
    RunId,
    step::{Records, Write},
    views::Cause,
};
use muster_engine::records::{self, AppRecord, JobRecord, RunRecord};
use muster_proto::agent::Acknowledge;

use super::{Truth, Verdict, broken, with_prefix};

/// What is over does not change any more.
pub(crate) fn terminal_is_final(truth: &Truth, store: &Records, write: &Write) -> Verdict {
    const NAME: &str = "terminal_is_final";
    let key = String::from_utf8_lossy(write.key());
    let is_past = key.starts_with(records::PAST_RUNS) || key.starts_with(records::PAST_TASKS);
    if is_past
        && let (Some(before), Write::Put { value, .. }) = (store.get(write.key()), write)
        && before != value
    {
        let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(value));
        return broken(NAME, format!("{key} was {before} and becomes {after}"));
    }
    let Write::Put { value, .. } = write else { return Ok(()) };
    let run = key.strip_prefix(records::RUNS).and_then(|id| id.parse().ok());
    if run.is_some_and(|run: RunId| truth.runs_over.contains_key(&run)) {
        return broken(NAME, format!("{key} is over, and lives again"));
    }
    if key.starts_with(records::PAST_RUNS)
        && let Ok(record) = records::decode::<RunRecord>(value)
        && let Some(before) = truth.runs_over.get(&record.id)
        && before != write.key()
    {
        let before = String::from_utf8_lossy(before);
        return broken(NAME, format!("run {} is over as {before}, and now as {key}", record.id));
    }
    Ok(())
}

/// Every run that a user was told of is on the disk, and every document, unless a user wanted it
/// gone.
pub(crate) fn nothing_accepted_is_lost(truth: &Truth, store: &Records) -> Verdict {
    const NAME: &str = "nothing_accepted_is_lost";
    let is_past = |run: &RunId| truth.runs_over.get(run).is_some_and(|key| store.contains_key(key));
    let is_there = |run: &&RunId| store.contains_key(&records::run_key(run)) || is_past(run);
    if let Some(run) = truth.accepted.iter().find(|run| !is_there(run)) {
        return broken(NAME, format!("run {run} was accepted, and is gone"));
    }
    for (key, promised) in &truth.promised {
        let stored = store.get(key).and_then(|value| version(key, value));
        if stored.is_none_or(|stored| stored < *promised) {
            let key = String::from_utf8_lossy(key);
            let what = format!("{key} was stored as version {promised}, and now is {stored:?}");
            return broken(NAME, what);
        }
    }
    Ok(())
}

fn version(key: &[u8], value: &[u8]) -> Option<u64> {
    if key.starts_with(records::APPS.as_bytes()) {
        return records::decode::<AppRecord>(value).ok().map(|app| app.version);
    }
    records::decode::<JobRecord>(value).ok().map(|job| job.version)
}

/// Of a task whose terminal status is acknowledged nothing says any more that it lives: its agent
/// forgets it now, so nobody could say it again.
pub(crate) fn what_is_acknowledged_is_stored(
    truth: &Truth,
    store: &Records,
    ack: &Acknowledge,
) -> Verdict {
    let Some(task) = truth.terminals.get(&ack.uuid) else { return Ok(()) };
    if !store.contains_key(format!("{}{task}", records::TASKS).as_bytes()) {
        return Ok(());
    }
    let what = format!("the end of task {task} is acknowledged, and it is stored as alive");
    broken("what_is_acknowledged_is_stored", what)
}

/// Each trigger that was accepted became the one run that its user was told of, however often it
/// was asked for. `accepted` has the runs by the key that their users chose, `denied` the keys of
/// which no user knows what became of them. Asked when everything has come to rest.
pub(crate) fn each_trigger_is_one_run(
    store: &Records,
    accepted: &BTreeMap<u64, RunId>,
    denied: &BTreeSet<u64>,
) -> Verdict {
    const NAME: &str = "each_trigger_is_one_run";
    let mut found: BTreeMap<u64, RunId> = BTreeMap::new();
    for (_, value) in with_prefix(store, records::PAST_RUNS) {
        let Ok(run) = records::decode::<RunRecord>(value) else { continue };
        if run.cause != Cause::Trigger {
            continue;
        }
        let key = run.parameter.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
        match found.insert(key, run.id) {
            Some(other) if !denied.contains(&key) => {
                let what = format!("trigger {key} became the runs {other} and {}", run.id);
                return broken(NAME, what);
            }
            Some(_) | None => {}
        }
        if !accepted.contains_key(&key) && !denied.contains(&key) {
            return broken(NAME, format!("run {} was triggered by nobody", run.id));
        }
    }
    let mut sure = accepted.iter().filter(|(key, _)| !denied.contains(key));
    match sure.find(|(key, run)| found.get(key) != Some(run)) {
        None => Ok(()),
        Some((key, run)) => {
            let found = found.get(key);
            broken(NAME, format!("trigger {key} was accepted as run {run}, and there is {found:?}"))
        }
    }
}

/// Each rerun that was accepted became the one run that its user was told of, and nobody else's.
/// `accepted` has the runs by key, and of so many keys in `doubtful` no user knows what became of
/// them. Asked when everything has come to rest.
pub(crate) fn each_rerun_is_one_run(
    store: &Records,
    accepted: &BTreeMap<u64, RunId>,
    doubtful: usize,
) -> Verdict {
    const NAME: &str = "each_rerun_is_one_run";
    let told: BTreeSet<RunId> = accepted.values().copied().collect();
    if told.len() < accepted.len() {
        return broken(NAME, "two reruns were accepted as one run".to_owned());
    }
    let past = with_prefix(store, records::PAST_RUNS);
    let runs = past.filter_map(|(_, value)| records::decode::<RunRecord>(value).ok());
    let mut left = doubtful;
    for run in runs.filter(|run| run.cause == Cause::Rerun && !told.contains(&run.id)) {
        let Some(fewer) = left.checked_sub(1) else {
            return broken(NAME, format!("run {} is a rerun that nobody was told of", run.id));
        };
        left = fewer;
    }
    Ok(())
}
