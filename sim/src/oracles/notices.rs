//! Notices: each that is due is delivered at least once, and none tells of what did not happen.

use std::collections::BTreeSet;

use muster_api::{
    JobUid, NoticeId, RunId,
    spec::NoticeKind,
    step::{Records, Write},
    views::{Cause, RunState},
};
use muster_engine::records::{self, JobRecord, NoticeRecord, RunRecord};

use super::{Truth, Verdict, broken, with_prefix};

/// What is known of notices.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Those that were stored.
    decided: BTreeSet<NoticeId>,
    delivered: BTreeSet<NoticeId>,
    /// Runs of which their users want to be told, and of what.
    due: BTreeSet<(RunId, NoticeKind)>,
    /// Runs of which a webhook was told, and what.
    told: BTreeSet<(RunId, NoticeKind)>,
}

/// A commit stores notices together with what they tell of. Asked before it is done.
pub(crate) fn notices_tell_what_happens(
    truth: &mut Truth,
    store: &Records,
    writes: &[Write],
) -> Verdict {
    for write in writes {
        let Write::Put { key, value } = write else { continue };
        if key.starts_with(records::NOTICES.as_bytes()) {
            let Ok(record) = records::decode::<NoticeRecord>(value) else { continue };
            if truth.notices.decided.insert(record.notice.id) {
                is_true(store, writes, &record)?;
            }
        }
        if key.starts_with(records::PAST_RUNS.as_bytes())
            && let Ok(run) = records::decode::<RunRecord>(value)
        {
            let kind = match run.state {
                RunState::Failed => NoticeKind::Failed,
                RunState::TimedOut => NoticeKind::TimedOut,
                _ => continue,
            };
            if is_wanted(store, writes, run.job_uid, kind) {
                truth.notices.due.insert((run.id, kind));
            }
        }
    }
    Ok(())
}

/// Whether a job wants to be told of something by every document that was in force about now. One that
/// is being deleted wants nothing.
fn is_wanted(store: &Records, writes: &[Write], job: JobUid, kind: NoticeKind) -> bool {
    let is_job = |key: &[u8]| key.starts_with(records::JOBS.as_bytes());
    let written = writes.iter().filter(|write| is_job(write.key()));
    let written = written.map(|write| match write {
        Write::Put { value, .. } => records::decode::<JobRecord>(value).ok(),
        Write::Delete { .. } => None,
    });
    let stored = with_prefix(store, records::JOBS);
    let stored = stored.filter_map(|(_, value)| records::decode::<JobRecord>(value).ok());
    let stored: Vec<JobRecord> = stored.filter(|record| record.uid == job).collect();
    let wants = |record: &JobRecord| {
        let notify = &record.spec.notify;
        notify.on.contains(&kind) && !notify.webhook.is_empty()
    };
    !stored.is_empty()
        && stored.iter().all(wants)
        && written.into_iter().all(|it| it.is_some_and(|it| it.uid != job || wants(&it)))
}

/// What a notice says of a run is so, with the commit that it comes with.
fn is_true(store: &Records, writes: &[Write], record: &NoticeRecord) -> Verdict {
    let notice = &record.notice;
    let Some(id) = notice.run else { return Ok(()) };
    let is_run = |key: &[u8]| {
        key.starts_with(records::RUNS.as_bytes()) || key.starts_with(records::PAST_RUNS.as_bytes())
    };
    let written = writes.iter().rev().filter_map(|write| match write {
        Write::Put { key, value } if is_run(key) => records::decode::<RunRecord>(value).ok(),
        Write::Put { .. } | Write::Delete { .. } => None,
    });
    let stored = store.get(&records::run_key(&id));
    let stored = stored.and_then(|value| records::decode::<RunRecord>(value).ok());
    let run = written.chain(stored).find(|run| run.id == id);
    // Of a daemon job it tells of tasks.
    let is_so = run.is_some_and(|run| match notice.kind {
        _ if run.cause == Cause::Daemon => true,
        NoticeKind::Failed => run.state == RunState::Failed,
        NoticeKind::TimedOut => run.state == RunState::TimedOut,
        NoticeKind::Recovered => run.state == RunState::Succeeded,
        NoticeKind::Late => run.started_at.is_some(),
        _ => true,
    });
    if is_so {
        return Ok(());
    }
    let (kind, reason) = (notice.kind, &notice.reason);
    broken("notices_tell_what_happens", format!("run {id} is told to be {kind:?}: {reason}"))
}

/// What leaves for a webhook is stored, so that it leaves again if it gets lost.
pub(crate) fn what_is_told_is_stored(store: &Records, record: &NoticeRecord) -> Verdict {
    let id = record.notice.id;
    if store.contains_key(format!("{}{id}", records::NOTICES).as_bytes()) {
        return Ok(());
    }
    broken("what_is_told_is_stored", format!("notice {id} is sent, and nothing is stored of it"))
}

impl Truth {
    /// A webhook has taken a notice.
    pub(crate) fn delivered(&mut self, record: &NoticeRecord) {
        let notice = &record.notice;
        self.notices.delivered.insert(notice.id);
        self.notices.told.extend(notice.run.map(|run| (run, notice.kind)));
    }

    /// How many notices were delivered.
    pub(crate) fn notices(&self) -> u64 {
        self.notices.delivered.len() as u64
    }
}

/// Each notice that was stored was delivered, and somebody was told of each run of which its users
/// want to be told. Asked when everything has come to rest.
pub(crate) fn each_notice_is_delivered(truth: &Truth) -> Verdict {
    const NAME: &str = "each_notice_is_delivered";
    let Notices { decided, delivered, due, told } = &truth.notices;
    if let Some(id) = decided.difference(delivered).next() {
        return broken(NAME, format!("notice {id} was stored, and no webhook has taken it"));
    }
    match due.difference(told).next() {
        None => Ok(()),
        Some((run, kind)) => broken(NAME, format!("nobody was told that run {run} is {kind:?}")),
    }
}
