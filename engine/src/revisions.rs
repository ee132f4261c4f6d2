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
            || self.is_used_by_executors(uid, revision)
    }

    fn is_used_by_executors(&self, uid: AppUid, revision: u64) -> bool {
        self.by_executors.contains_key(&(uid, revision))
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
    let uses = &cx.world.revision_uses;
    let is_used = match cx.world.apps.get(app).filter(|app| app.uid == uid) {
        Some(app) => app.revision == revision || uses.is_used(&app.spec.name, uid, revision),
        // The runs of a deleted app launch nothing any more; its executors need their lease.
        None => uses.is_used_by_executors(uid, revision),
    };
    if !is_used {
        cx.world.revisions.remove(&(uid, revision));
    }
}

/// Forgets the revisions of a deleted app, but for those of executors that are still there.
pub(crate) fn forget_unused_of(cx: &mut Cx<'_>, app: &AppName, uid: AppUid) {
    let revisions = cx.world.revisions.range((uid, 0)..=(uid, u64::MAX));
    let revisions: Vec<u64> = revisions.map(|((_, revision), _)| *revision).collect();
    for revision in revisions {
        forget_unused(cx, app, uid, revision);
    }
}
