//! The webhook that notices go to: it takes them, or not, and what it answers may get lost.

use std::sync::Arc;

use muster_engine::{event::Tried, records::NoticeRecord};

use crate::{happening::Happening, stage::Stage};

/// How long a notice is under way at most, and its answer.
const UNDER_WAY: u64 = 200;

/// A notice reaches the webhook, which answers to the process that sent it. In the calm it takes all.
pub(crate) fn hear(stage: &mut Stage, process: u64, record: &Arc<NoticeRecord>) {
    let fails = !stage.calm && stage.percent(40);
    // It has it, and its answer does not come in time.
    let is_heard = !fails || stage.percent(30);
    let notice = record.notice.id;
    stage.log(format_args!(
        "webhook: notice {notice} of {:?} is {}",
        record.notice.kind,
        if is_heard { "taken" } else { "not taken" }
    ));
    if is_heard {
        stage.truth.delivered(record);
    }
    let outcome = match (fails, is_heard) {
        (false, _) => Tried::Delivered,
        (true, true) => Tried::Failed { why: "no answer within 10 s".to_owned() },
        (true, false) => Tried::Refused { why: "it answered 503".to_owned() },
    };
    let delay = stage.between(1, UNDER_WAY);
    stage.after(delay, Happening::NoticeTried { process, notice, outcome });
}

/// How long it takes to get there.
pub(crate) fn way(stage: &mut Stage) -> u64 {
    stage.between(1, UNDER_WAY)
}
