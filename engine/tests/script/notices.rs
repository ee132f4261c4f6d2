//! How notices are shown, and how scripts answer for webhooks.

use muster_api::{
    NoticeId,
    events::{EventKind, TraceEvent},
    notices::{Notice, NoticeView},
};
use muster_engine::{
    Installation,
    event::{Event, Tried},
    records::NoticeRecord,
};
use serde_json::{Value, json};

use super::names::Names;

/// `{"on": [...], "webhook": "..."}`.
pub(super) fn installation(rest: &str) -> Installation {
    let fields: Value = serde_json::from_str(rest).unwrap();
    Installation {
        on: serde_json::from_value(fields["on"].clone()).unwrap(),
        webhook: fields["webhook"].as_str().unwrap().to_owned(),
    }
}

/// `NOTICE delivered`, or `refused`, `failed` or `gone` with words.
pub(super) fn tried(names: &Names, rest: &str) -> Event {
    let mut words = rest.splitn(3, ' ');
    let notice: NoticeId = names.id(words.next().unwrap());
    let (outcome, why) = (words.next().unwrap(), words.next().unwrap_or_default().to_owned());
    let outcome = match outcome {
        "delivered" => Tried::Delivered,
        "refused" => Tried::Refused { why },
        "failed" => Tried::Failed { why },
        "gone" => Tried::Gone { why },
        other => panic!("no try ends `{other}`"),
    };
    Event::NoticeTried { notice, outcome }
}

pub(super) fn deliver(names: &mut Names, record: &NoticeRecord) -> String {
    let name = names.of("notice", record.notice.id);
    format!("DELIVER {name} to {}: {}", record.webhook, words(names, &record.notice))
}

/// All that a notice says, but for its id.
fn words(names: &Names, notice: &Notice) -> String {
    let mut fields = json!(notice);
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("id");
        fields.remove("at");
    }
    names.shorten(&fields.to_string())
}

/// What is told of a notice to those who ask later; of others nothing.
pub(super) fn event(names: &Names, event: &TraceEvent) -> Option<String> {
    let message = event.message.clone().unwrap_or_default();
    let text = format!("EVENT {}: {message}", event.state);
    (event.kind == EventKind::Notice).then(|| names.shorten(&text))
}

pub(super) fn waiting(names: &mut Names, views: &[NoticeView]) -> String {
    let row = |view: &NoticeView| {
        let name = names.of("notice", view.notice.id);
        let next = view.next_try_at.map(|at| format!(" next {at}")).unwrap_or_default();
        let error = view.last_error.as_deref().unwrap_or("-");
        format!("{name} {} {}x{next} ({error})", view.webhook, view.tries)
    };
    format!("ANSWER [{}]", views.iter().map(row).collect::<Vec<_>>().join("; "))
}
