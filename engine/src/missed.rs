//! What is told of planned instants that were passed over.
//!
//! A job that fires each second may pass over each for an hour, so the first are told of at once, and
//! of more of them for the same cause it is told when [`limits::NOTICE_QUIET`] is over, in one notice.
//! What is not told yet is stored ([`ToldRecord`]), so that a restart loses none of it.

use std::collections::BTreeMap;

use muster_api::{JobUid, RunId, limits, spec::NoticeKind, views::Cause};

use crate::{
    cx::Cx,
    misfire::Instants,
    notices::{About, change, instants_of, is_wanted, tell},
    records::{JobRecord, PassedFor, PassedRecord},
    run::Run,
    world::Timer,
};

/// The run of planned instants ends because it could not start in time.
pub(crate) fn expires(cx: &mut Cx<'_>, id: RunId, reason: &str) {
    let Some(record) = cx.world.runs.get(&id).map(Run::record) else { return };
    if record.cause != Cause::Schedule {
        return;
    }
    let instants = instants_of(record);
    let Some(job) = cx.world.job(&record.job, record.job_uid).cloned() else { return };
    passed_over(cx, &job, PassedFor::Expired, instants, reason.to_owned());
}

/// Planned instants were passed over. The first time that is told at once; of more of them for the
/// same cause within [`limits::NOTICE_QUIET`] it is told when that is over, in one notice.
pub(crate) fn passed_over(
    cx: &mut Cx<'_>,
    job: &JobRecord,
    cause: PassedFor,
    instants: Instants,
    reason: String,
) {
    let kind = cause.kind();
    if !is_wanted(cx, Some(&job.spec), kind) {
        return;
    }
    let told = cx.world.told.get(&job.uid);
    let more = told.and_then(|told| told.passed.get(&cause));
    if more.is_none() {
        let began = cx.now.wall;
        let is_quiet = told.is_some_and(|told| told.quiet_since.is_some());
        change(cx, job, |told| {
            told.passed.insert(cause, None);
            told.quiet_since.get_or_insert(began);
        });
        if !is_quiet {
            cx.world.wake_at(cx.now.mono + limits::NOTICE_QUIET, Timer::Quiet(job.uid));
        }
        return tell(cx, Some(&job.spec), kind, &passed(job, kind, instants, reason));
    }
    change(cx, job, |told| {
        let more = told.passed.entry(cause).or_default();
        let (first, count) = match more {
            None => (instants.first, instants.count),
            Some(more) => (more.first, more.count.zip(instants.count).map(|(a, b)| a + b)),
        };
        *more = Some(PassedRecord { first, last: instants.last, count, reason });
    });
}

fn passed(job: &JobRecord, kind: NoticeKind, instants: Instants, reason: String) -> About {
    About {
        state: kind.as_str(),
        reason,
        link: format!("/v1/jobs/{}/fires?from={}", job.spec.name, instants.first),
        instants: Some(instants),
        ..About::default()
    }
}

/// A job was quiet for long enough about instants that were passed over: what came meanwhile is told,
/// and if anything did it is quiet again.
pub(crate) fn quiet_is_over(cx: &mut Cx<'_>, uid: JobUid) {
    let Some(told) = cx.world.told.get(&uid) else { return };
    let Some(job) = cx.world.job(&told.job, uid).cloned() else { return };
    let untold: BTreeMap<_, _> =
        told.passed.iter().filter_map(|(cause, more)| Some((*cause, more.clone()?))).collect();
    let quiet_since = (!untold.is_empty()).then_some(cx.now.wall);
    change(cx, &job, |told| {
        told.passed = untold.keys().map(|cause| (*cause, None)).collect();
        told.quiet_since = quiet_since;
    });
    if quiet_since.is_some() {
        cx.world.wake_at(cx.now.mono + limits::NOTICE_QUIET, Timer::Quiet(uid));
    }
    for (cause, PassedRecord { first, last, count, reason }) in untold {
        let instants = Instants { first, last, count };
        tell(cx, Some(&job.spec), cause.kind(), &passed(&job, cause.kind(), instants, reason));
    }
}
