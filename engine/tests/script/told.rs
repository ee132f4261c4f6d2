//! How events are shown that are told to those who ask later; a script asks for it by `trace`.

use muster_api::events::{EventSource, TraceEvent};
use serde_json::json;

use super::names::Names;

/// What is told, but for names of apps and jobs, and for what a task has in common with others of its
/// run.
pub(super) fn line(names: &Names, event: &TraceEvent) -> String {
    let mut fields = json!(event);
    if let Some(fields) = fields.as_object_mut() {
        for known in ["kind", "state", "source", "app", "job", "hostname"] {
            fields.remove(known);
        }
        if event.task.is_some() {
            fields.remove("run");
        }
    }
    let by = match event.source {
        EventSource::Scheduler => "",
        EventSource::Agent => " by its agent",
        EventSource::Executor => " by its executor",
    };
    let fields = names.shorten(&fields.to_string());
    format!("TOLD {} {}{by} {fields}", event.kind.as_str(), event.state)
}
