//! The outbox: notices that wait to be delivered, and how they leave.
//!
//! A notice is stored in the commit of what it tells, and forgotten in the commit that follows its
//! delivery, so that it is delivered at least once. Each webhook has a line of its own, takes one
//! notice at a time, and is left alone for longer and longer while it takes none. What was tried,
//! how often and with which result is memory only: a scheduler that starts tries all webhooks at once.

mod lines;

use std::sync::Arc;

use muster_api::{
    NoticeId, Now,
    events::{EventKind, EventSource, TraceEvent},
    limits,
    notices::{Notice, NoticeView},
    spec::webhook::origin,
};

use self::lines::Place;
pub(crate) use self::lines::{Outbox, Waiting};
use crate::{
    cx::Cx,
    effect::Effect,
    event::Tried,
    records::NoticeRecord,
    world::{Timer, World},
};

/// The id of a notice to be.
pub(crate) fn next_id(cx: &mut Cx<'_>) -> NoticeId {
    NoticeId::from_uuid(cx.world.outbox.ids.uuid(cx.now.wall))
}

/// Stores a notice, to be delivered once it is durable. Where too many wait the oldest for the
/// webhook with the most of them is given up.
pub(crate) fn post(cx: &mut Cx<'_>, record: NoticeRecord) {
    while cx.world.notices.len() >= limits::NOTICES_WAITING {
        let Some(id) = cx.world.outbox.surplus() else { break };
        let why = format!("{} newer ones wait", limits::NOTICES_WAITING);
        give_up_unsent(cx, id, &why);
    }
    cx.out.tally.notices.decided += 1;
    let waiting = Waiting::new(record);
    cx.world.outbox.line_up(&waiting);
    cx.world.notices.insert(waiting.record.notice.id, waiting);
    count_waiting(cx);
}

/// Sends what can be sent. Nothing leaves while the store is held: it waits.
pub(crate) fn go_on(cx: &mut Cx<'_>) {
    if cx.world.held().is_some() {
        return;
    }
    while let Some(id) = cx.world.outbox.next() {
        let Some(waiting) = cx.world.notices.memory(&id) else { continue };
        let record = Arc::new(waiting.record.clone());
        cx.effect(Effect::Deliver(record));
    }
}

/// A try to deliver a notice has ended. One that is known no more was given up meanwhile.
pub(crate) fn tried(cx: &mut Cx<'_>, id: NoticeId, outcome: Tried) {
    let Some(waiting) = cx.world.notices.get(&id) else { return };
    if !cx.world.outbox.has_tried(waiting) {
        return;
    }
    let record = waiting.record.clone();
    match outcome {
        Tried::Delivered => {
            if let Some(waiting) = cx.world.notices.remove(&id) {
                cx.world.outbox.took(&waiting);
            }
            cx.out.tally.notices.sent += 1;
            count_waiting(cx);
            trace(cx, &record.notice, "sent", said(&record, "delivered"));
        }
        Tried::Gone { why } => give_up(cx, id, &record, &why),
        Tried::Refused { why } => failed(cx, id, &record, &why, true),
        Tried::Failed { why } => failed(cx, id, &record, &why, false),
    }
}

/// The webhook has not taken it this time. What waited for it for too long is given up, for nobody
/// knows when it takes notices again.
fn failed(cx: &mut Cx<'_>, id: NoticeId, record: &NoticeRecord, why: &str, refused: bool) {
    let days = limits::NOTICE_AGE.as_secs() / (24 * 3600);
    if is_too_old(cx, &record.notice) {
        give_up(cx, id, record, &format!("tried for {days} days; the last time {why}"));
    } else {
        try_again_later(cx, id, record, why, refused);
    }
    // What does not fit into this step is left to the next try in vain.
    while !cx.is_full()
        && let Some(oldest) = cx.world.outbox.oldest_unsent(&record.webhook)
        && let Some(waiting) = cx.world.notices.get(&oldest)
        && is_too_old(cx, &waiting.record.notice)
    {
        give_up_unsent(cx, oldest, &format!("it waited for {days} days, and then: {why}"));
    }
}

fn is_too_old(cx: &Cx<'_>, notice: &Notice) -> bool {
    cx.now.wall.since(notice.at) >= limits::NOTICE_AGE
}

/// The webhook is left alone for a while. Only what it refused loses its turn in the end.
fn try_again_later(cx: &mut Cx<'_>, id: NoticeId, record: &NoticeRecord, why: &str, refused: bool) {
    cx.out.tally.notices.failed += 1;
    let message = said(record, why);
    let Some(waiting) = cx.world.notices.memory(&id) else { return };
    let before = waiting.place();
    waiting.tries = waiting.tries.saturating_add(1);
    waiting.refusals = waiting.refusals.saturating_add(u32::from(refused));
    waiting.last_error = Some(why.to_owned());
    let places = (before, Some(waiting.place()));
    rest(cx, record, places);
    trace(cx, &record.notice, "failed", message);
}

/// Its receiver will never take it, or has not for too long.
fn give_up(cx: &mut Cx<'_>, id: NoticeId, record: &NoticeRecord, why: &str) {
    if let Some(waiting) = cx.world.notices.remove(&id) {
        rest(cx, record, (waiting.place(), None));
    }
    gave_up(cx, record, why);
}

fn rest(cx: &mut Cx<'_>, record: &NoticeRecord, places: (Place, Option<Place>)) {
    if let Some((until, first)) = cx.world.outbox.rests(&record.webhook, places, cx.now.mono) {
        cx.world.wake_at(until, Timer::Webhook(first));
    }
}

fn gave_up(cx: &mut Cx<'_>, record: &NoticeRecord, why: &str) {
    cx.out.tally.notices.given_up += 1;
    count_waiting(cx);
    trace(cx, &record.notice, "given_up", said(record, why));
}

/// What became of a notice, in words.
fn said(record: &NoticeRecord, what: &str) -> String {
    format!("`{}` to {}: {what}", record.notice.kind.as_str(), origin(&record.webhook))
}

/// Too many wait, or it does so for too long; it is not being sent.
fn give_up_unsent(cx: &mut Cx<'_>, id: NoticeId, why: &str) {
    let Some(waiting) = cx.world.notices.remove(&id) else { return };
    let alarm = cx.world.outbox.forget(&waiting);
    if let Some((until, former)) = alarm.off {
        cx.world.timers.remove(&(until, Timer::Webhook(former)));
    }
    if let Some((until, next)) = alarm.on {
        cx.world.wake_at(until, Timer::Webhook(next));
    }
    gave_up(cx, &waiting.record, why);
}

/// The webhook of a notice may have rested for long enough.
pub(crate) fn rested(cx: &mut Cx<'_>, id: NoticeId) {
    let Some(waiting) = cx.world.notices.get(&id) else { return };
    let uri = waiting.record.webhook.clone();
    cx.world.outbox.rested(&uri, cx.now.mono);
}

fn count_waiting(cx: &mut Cx<'_>) {
    cx.out.tally.notices.waiting = Some(cx.world.notices.len() as u64);
}

fn trace(cx: &mut Cx<'_>, notice: &Notice, state: &'static str, message: String) {
    let source = EventSource::Scheduler;
    cx.trace(TraceEvent {
        message: Some(message),
        app: notice.app.clone(),
        job: notice.job.clone(),
        run: notice.run,
        agent: notice.agent.clone(),
        hostname: notice.hostname.clone(),
        ..TraceEvent::new(cx.now.wall, EventKind::Notice, state, source)
    });
}

/// The notices that wait, the oldest first.
pub(crate) fn views(world: &World, now: Now, skip: usize, limit: usize) -> Vec<NoticeView> {
    let rows = world.notices.iter().skip(skip).take(limit.min(limits::LIVE_ROWS));
    let view = |(_, waiting): (&NoticeId, &Waiting)| {
        let rests_until = world.outbox.rests_for(waiting);
        NoticeView {
            notice: waiting.record.notice.clone(),
            webhook: origin(&waiting.record.webhook).to_owned(),
            tries: waiting.tries,
            last_error: waiting.last_error.clone(),
            next_try_at: rests_until.map(|until| now.wall + until.since(now.mono)),
        }
    };
    rows.map(view).collect()
}
