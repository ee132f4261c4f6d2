//! The messages that were recorded from a real Mesos (`proto/tests/samples`).

/// Calls and events in JSON, a message a line.
pub(crate) const JSON: [&str; 4] = [
    include_str!("../../proto/tests/samples/scheduler.calls.jsonl"),
    include_str!("../../proto/tests/samples/scheduler.events.jsonl"),
    include_str!("../../proto/tests/samples/executor.calls.jsonl"),
    include_str!("../../proto/tests/samples/executor.events.jsonl"),
];
