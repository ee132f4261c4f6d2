//! What events are about, and what may become of that.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

/// What an event is about.
///
/// Whoever asks for a kind must name one of [`EventKind::ALL`]. Whoever reads events may meet one of
/// a later version, which is [`EventKind::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A task: `staging`, `starting`, `running`, `killing`, and how it ended.
    Task,
    /// A run, by its states.
    Run,
    /// Planned instants that became no run of their own, by outcome.
    Fire,
    /// Executions of a resident task, by outcome.
    Execution,
    /// An executor host.
    Host,
    /// An executor that does not take tasks any more, and why.
    Executor,
    /// A notice to a webhook.
    Notice,
    /// A change that somebody made: the audit trail.
    Change,
    /// The scheduler itself: its start, clocks that jump.
    Scheduler,
    /// Something that only a later version knows of; no event is made of it.
    #[serde(skip_deserializing)]
    Other,
}

impl EventKind {
    /// All that there are events of.
    pub const ALL: [Self; 9] = [
        Self::Task,
        Self::Run,
        Self::Fire,
        Self::Execution,
        Self::Host,
        Self::Notice,
        Self::Change,
        Self::Scheduler,
        Self::Executor,
    ];

    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Run => "run",
            Self::Fire => "fire",
            Self::Execution => "execution",
            Self::Host => "host",
            Self::Notice => "notice",
            Self::Change => "change",
            Self::Scheduler => "scheduler",
            Self::Executor => "executor",
            Self::Other => "other",
        }
    }

    /// What may become of what it is about: the states that its events have. One that no event has
    /// is a slip of the pen of whoever asks for it.
    pub const fn states(self) -> &'static [&'static str] {
        match self {
            Self::Task => &[
                "staging",
                "starting",
                "running",
                "killing",
                "finished",
                "failed",
                "timed_out",
                "killed",
                "cannot_start",
                "never_started",
                "died",
                "fenced",
                "invalid",
                "zombie",
            ],
            Self::Run => {
                &["pending", "running", "stopping", "succeeded", "failed", "timed_out", "cancelled"]
            }
            Self::Fire => &["coalesced", "skipped", "dropped"],
            Self::Execution => {
                &["succeeded", "failed", "timed_out", "cancelled", "sampled", "dropped", "skipped"]
            }
            Self::Host => {
                &["registered", "silent", "heard", "draining", "drained", "activated", "gone"]
            }
            Self::Notice => &["sent", "failed", "given_up"],
            Self::Change => &[
                "put_app",
                "delete_app",
                "put_job",
                "delete_job",
                "enable",
                "disable",
                "trigger",
                "rerun",
                "cancel",
                "kill",
                "drain",
                "activate",
                "gone",
                "resume",
                "reconcile",
                "set_weight",
                "create_credential",
                "revoke_credential",
                "remove_framework",
            ],
            Self::Scheduler => &[
                "started",
                "started_held",
                "resumed",
                "clock_set_back",
                "clock_set_forward",
                "disowned",
            ],
            Self::Executor => &["closed", "fenced"],
            Self::Other => &[],
        }
    }

    /// Whether its events may have this state.
    pub fn has_state(self, state: &str) -> bool {
        self.states().contains(&state)
    }
}

/// The kind of an event that may have been made by a later version.
pub(super) fn known_or_other<'de, D>(deserializer: D) -> Result<EventKind, D::Error>
where
    D: Deserializer<'de>,
{
    let name = Cow::<'de, str>::deserialize(deserializer)?;
    let known = EventKind::ALL.into_iter().find(|kind| kind.as_str() == name);
    Ok(known.unwrap_or(EventKind::Other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::events::EventView;

    #[test]
    fn kinds_are_named_as_they_are_stored() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(serde_json::from_value::<EventKind>(json!(kind.as_str())).unwrap(), kind);
        }
    }

    /// What may be asked for is what people are told that there is.
    #[test]
    fn the_docs_name_every_state() {
        let docs = include_str!("../../../docs/events.md");
        for kind in EventKind::ALL {
            let row = format!("| `{}` |", kind.as_str());
            let row = docs.lines().find(|line| line.starts_with(&row)).unwrap();
            let text = match kind {
                EventKind::Execution => include_str!("../../../docs/daemons.md"),
                _ => row,
            };
            for state in kind.states() {
                assert!(text.contains(&format!("`{state}`")), "{row} has no `{state}`");
            }
        }
    }

    #[test]
    fn a_kind_of_a_later_version_is_read_and_not_asked_for() {
        let event = json!({"id": "1-0", "at": "2026-01-31T02:00:00Z", "kind": "moon",
            "state": "full", "source": "scheduler", "phase": 3});
        let view: EventView = serde_json::from_value(event).unwrap();
        assert_eq!((view.event.kind, view.event.state.as_ref()), (EventKind::Other, "full"));
        for name in ["moon", "other"] {
            let asked = serde_json::from_value::<EventKind>(json!(name));
            assert!(asked.unwrap_err().to_string().contains("`task`"));
        }
    }
}
