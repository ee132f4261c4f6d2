//! Requests that come again: one with the same key within a day is the same request.

use muster_api::{
    JobUid, limits,
    views::{RunView, TriggerRequest},
};

use crate::{
    cx::Cx,
    event::{Accepted, CommandReply, Rejected},
    records::{IdempotencyRecord, RerunRecord},
};

/// What starts a run, as far as that makes it the same when it comes again.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A trigger.
    Trigger(TriggerRequest),
    /// A rerun.
    Rerun(RerunRecord),
}

impl Asked {
    fn is(&self, record: &IdempotencyRecord) -> bool {
        match self {
            Self::Trigger(request) => record.rerun.is_none() && record.request == *request,
            Self::Rerun(rerun) => record.rerun.as_ref() == Some(rerun),
        }
    }

    /// As it is stored: a trigger, or else a rerun.
    fn into_parts(self) -> (TriggerRequest, Option<RerunRecord>) {
        match self {
            Self::Trigger(request) => (request, None),
            Self::Rerun(rerun) => (TriggerRequest::default(), Some(rerun)),
        }
    }
}

/// What was answered to a request of this key before: the first answer, or a conflict if it asked
/// for something else.
pub(crate) fn answered_before(
    cx: &Cx<'_>,
    job: JobUid,
    key: Option<&str>,
    asked: &Asked,
) -> Option<CommandReply> {
    let key = key?;
    let record = cx.world.idempotency.get(&(job, key.to_owned()))?;
    if cx.now.wall.since(record.at) > limits::IDEMPOTENCY_KEPT {
        return None;
    }
    if asked.is(record) {
        return Some(Ok(Accepted::Run(Box::new(record.answer.clone()))));
    }
    let detail =
        format!("the idempotency key `{key}` was used for another trigger or rerun of this job");
    Some(Err(Rejected::Conflict { detail }))
}

/// Keeps the answer to a request that has a key.
pub(crate) fn remember(
    cx: &mut Cx<'_>,
    job: JobUid,
    key: Option<String>,
    asked: Asked,
    answer: &RunView,
) {
    let Some(key) = key else { return };
    forget_old_keys(cx);
    let at = cx.now.wall;
    let (request, rerun) = asked.into_parts();
    let record = IdempotencyRecord { request, rerun, answer: answer.clone(), at };
    cx.world.keys_by_time.insert((at, job, key.clone()));
    cx.world.idempotency.insert((job, key), record);
}

/// Forgets a few keys that are over a day old, of whichever job; each new key pays for them.
fn forget_old_keys(cx: &mut Cx<'_>) {
    const AT_ONCE: usize = 10;
    for _ in 0..AT_ONCE {
        match cx.world.keys_by_time.first() {
            Some((at, ..)) if cx.now.wall.since(*at) > limits::IDEMPOTENCY_KEPT => {}
            _ => return,
        }
        if let Some((at, job, key)) = cx.world.keys_by_time.pop_first()
            && cx.world.idempotency.get(&(job, key.clone())).is_some_and(|kept| kept.at == at)
        {
            cx.world.idempotency.remove(&(job, key));
        }
    }
}
