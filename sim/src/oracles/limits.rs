//! Limits are never exceeded, at any commit.

use std::{collections::BTreeMap, num::NonZeroU32};

use muster_api::{
    AppUid,
    step::{Records, Write},
};
use muster_engine::records::{self, AppRecord, ExecutorRecord, TaskRecord};

use super::{Truth, Verdict, broken, hosts::launched, with_prefix};

const NAME: &str = "limits_are_never_exceeded";

/// After a commit that launches something no more tasks are there than may be: in all, and of each
/// app. A limit may be lowered below what runs, and then nothing new is launched. Asked with what was
/// stored before the commit and what is stored after it.
pub(crate) fn limits_are_never_exceeded(
    truth: &Truth,
    before: &Records,
    writes: &[Write],
    most: Option<NonZeroU32>,
) -> Verdict {
    let new: Vec<TaskRecord> = launched(before, writes).map(|(_, task)| task).collect();
    if new.is_empty() {
        return Ok(());
    }
    let stored = |prefix| with_prefix(before, prefix).map(|(key, value)| (&key[..], &value[..]));
    let mut after: BTreeMap<&[u8], &[u8]> = stored(records::TASKS).collect();
    let mut executors: BTreeMap<&[u8], &[u8]> = stored(records::EXECUTORS).collect();
    for write in writes {
        match write {
            Write::Put { key, value } if key.starts_with(records::TASKS.as_bytes()) => {
                after.insert(key, value);
            }
            Write::Put { key, value } if key.starts_with(records::EXECUTORS.as_bytes()) => {
                executors.insert(key, value);
            }
            Write::Delete { key } => drop(after.remove(key.as_slice())),
            Write::Put { .. } => {}
        }
    }
    if let Some(most) = most.filter(|most| after.len() > most.get() as usize) {
        return broken(NAME, format!("{} tasks are there, and {most} may be", after.len()));
    }
    let app_of = |task: &TaskRecord| {
        let key = format!("{}{}", records::EXECUTORS, task.executor);
        let record = executors.get(key.as_bytes())?;
        records::decode::<ExecutorRecord>(record).ok().map(|executor| executor.app_uid)
    };
    let mut count: BTreeMap<AppUid, u32> = BTreeMap::new();
    let tasks = after.values().filter_map(|value| records::decode::<TaskRecord>(value).ok());
    for app in tasks.filter_map(|task| app_of(&task)) {
        *count.entry(app).or_default() += 1;
    }
    for app in new.iter().filter_map(app_of) {
        let there = count.get(&app).copied().unwrap_or(0);
        if let Some(most) = truth.limit_of(app, before).filter(|most| there > *most) {
            return broken(NAME, format!("{there} tasks of app {app} are there, {most} may be"));
        }
    }
    Ok(())
}

impl Truth {
    /// The most tasks that an app may have had about now: by its document before the commit and by
    /// those that came with it.
    fn limit_of(&self, app: AppUid, before: &Records) -> Option<u32> {
        let stored = with_prefix(before, records::APPS);
        let stored = stored.filter_map(|(_, value)| records::decode::<AppRecord>(value).ok());
        let stored = stored.filter(|record| record.uid == app).map(|record| record.spec.max_tasks);
        let written = self.app_limits.get(&app).copied();
        let all: Vec<u32> = stored.chain(written).collect();
        let is_bounded = !all.is_empty() && !all.contains(&0);
        all.into_iter().max().filter(|_| is_bounded)
    }
}
