//! Which revisions of apps are in use. Their documents are kept for as long, and no longer.

use std::collections::BTreeMap;

use muster_api::{AppName, AppUid};

use crate::{
    cx::Cx,
    records::{ExecutorRecord, RunRecord},
};

/// How many runs and executors use each revision of an app, so that nobody looks through all of
/// them when one of them ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RevisionUses {
    /// By the name of the app, for a run knows no more of it.
    by_runs: BTreeMap<(AppName, u64), u32>,
    by_executors: BTreeMap<(AppUid, u64), u32>,
}

impl RevisionUses {
    /// A run has taken its revision.
    pub(crate) fn run_begins(&mut self, run: &RunRecord) {
        if let Some(revision) = run.revision {
            *self.by_runs.entry((run.app.clone(), revision)).or_default() += 1;
        }
    }

    /// A run is over.
    pub(crate) fn run_ends(&mut self, run: &RunRecord) {
        if let Some(revision) = run.revision {
            take_one(&mut self.by_runs, &(run.app.clone(), revision));
        }
    }

    /// There is one executor more.
    pub(crate) fn executor_begins(&mut self, executor: &ExecutorRecord) {
        *self.by_executors.entry((executor.app_uid, executor.revision)).or_default() += 1;
    }

    /// An executor is gone.
    pub(crate) fn executor_ends(&mut self, executor: &ExecutorRecord) {
        take_one(&mut self.by_executors, &(executor.app_uid, executor.revision));
    }

    fn is_used(&self, app: &AppName, uid: AppUid, revision: u64) -> bool {
        self.by_runs.contains_key(&(app.clone(), revision))
            || self.by_executors.contains_key(&(uid, revision))
    }
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Forgets a revision of an app that is not its newest one, once nothing uses it.
pub(crate) fn forget_unused(cx: &mut Cx<'_>, app: &AppName, uid: AppUid, revision: u64) {
    let newest = cx.world.apps.get(app);
    if newest.is_some_and(|app| app.uid == uid && app.revision == revision) {
        return;
    }
    if !cx.world.revision_uses.is_used(app, uid, revision) {
        cx.world.revisions.remove(&(uid, revision));
    }
}
