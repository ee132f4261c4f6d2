//! What the things of a recording are about, and where a difference is told to be.

use serde_json::Value;

use super::recording::{Done, Line};
use crate::{encoding::Encoding, http::Request};

/// A body as JSON where it is some, else as text.
pub(super) fn body(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => value,
        _ => Value::from(text),
    }
}

pub(super) fn place(line: &Line) -> String {
    match line {
        Line::Came(came) => place_of(&came.event),
        Line::Done(done) => match &**done {
            Done::Call(exchange) | Done::Subscribe(exchange) => exchange.step.clone(),
            Done::Close { on } => format!("close of {on}"),
            Done::End { by, .. } => format!("end of {by}"),
            Done::Wait { seconds } => format!("{seconds} s of waiting"),
            Done::Agent { order } => format!("{order} of the agent"),
        },
    }
}

/// What an event is about: a task, an executor, or nothing in particular.
pub(super) fn subject(event: &Value) -> String {
    let task = [
        &event["update"]["status"]["task_id"]["value"],
        &event["launch"]["task"]["task_id"]["value"],
        &event["kill"]["task_id"]["value"],
        &event["acknowledged"]["task_id"]["value"],
        &event["failure"]["executor_id"]["value"],
    ];
    task.iter().find_map(|value| value.as_str()).unwrap_or_default().to_owned()
}

pub(super) fn place_of(event: &Value) -> String {
    let kind = event["type"].as_str().unwrap_or_default();
    format!("event {kind} {}", subject(event)).trim_end().to_owned()
}

/// Whether an event of now can be the one of then. The states of a task come in their order.
pub(super) fn is_like(then: &Value, subject_then: &str, now: &Value) -> bool {
    then["type"] == now["type"] && subject_then == subject(now)
}

/// Whether an event brings offers or takes one back.
pub(super) fn is_about_offers(event: &Value) -> bool {
    event["type"] == "OFFERS" || event["type"] == "RESCIND"
}

/// What a request wants its events in.
pub(super) fn encoding_of(request: &Request) -> Encoding {
    let accept = request.headers.iter().find(|(name, _)| name == "Accept");
    let is_protobuf = accept.is_some_and(|(_, value)| value == Encoding::Protobuf.content_type());
    if is_protobuf { Encoding::Protobuf } else { Encoding::Json }
}
