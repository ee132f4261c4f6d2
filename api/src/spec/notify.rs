//! What the scheduler tells about a job by itself: notices.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Span, limits};

/// What is told about a job, and where (SEMANTICS 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notify {
    /// What is told of.
    pub on: BTreeSet<NoticeKind>,
    /// Where: the URI of a webhook. Empty: that of the installation.
    pub webhook: String,
    /// How long after it was due a run must start to be on time.
    pub late_after: Span,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            on: BTreeSet::new(),
            webhook: String::new(),
            late_after: limits::NOTICE_LATE_AFTER_DEFAULT,
        }
    }
}

/// What can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A run failed; of a daemon job, a resident task died.
    Failed,
    /// A run took too long.
    TimedOut,
    /// Planned instants were passed over.
    Skipped,
    /// Planned instants were given up because too many waited.
    Dropped,
    /// A run started later than `late_after` allows.
    Late,
    /// A run succeeded, and the one before had not.
    Recovered,
}

impl NoticeKind {
    /// Every kind with its word in documents.
    pub const ALL: [(&str, Self); 6] = [
        ("failed", Self::Failed),
        ("timed_out", Self::TimedOut),
        ("skipped", Self::Skipped),
        ("dropped", Self::Dropped),
        ("late", Self::Late),
        ("recovered", Self::Recovered),
    ];

    /// Its word in documents.
    pub fn as_str(self) -> &'static str {
        let of_kind = Self::ALL.iter().find(|(_, kind)| *kind == self);
        of_kind.map(|(word, _)| *word).expect("every kind has its word")
    }
}
