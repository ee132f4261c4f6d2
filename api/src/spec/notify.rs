//! What the scheduler tells about a job by itself: notices.

use std::{collections::BTreeSet, str::FromStr};

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
    /// A run succeeded, and the one before had not; of a daemon job, its tasks run steadily again.
    Recovered,
    /// Nothing is heard of an executor host. Only an installation is told.
    HostLost,
    /// A host that was lost is heard again. Only an installation is told.
    HostBack,
}

impl NoticeKind {
    /// Every kind with its word in documents. Those of jobs come first.
    pub const ALL: [(&str, Self); 8] = [
        ("failed", Self::Failed),
        ("timed_out", Self::TimedOut),
        ("skipped", Self::Skipped),
        ("dropped", Self::Dropped),
        ("late", Self::Late),
        ("recovered", Self::Recovered),
        ("host_lost", Self::HostLost),
        ("host_back", Self::HostBack),
    ];

    /// The kinds that a job can ask for: those that are about a job.
    pub fn of_jobs() -> &'static [(&'static str, Self)] {
        const OF_JOBS: usize = 6;
        Self::ALL.split_at(OF_JOBS).0
    }

    /// The kinds of which a job is told whose tasks are resident.
    pub const fn of_daemons() -> [Self; 2] {
        [Self::Failed, Self::Recovered]
    }

    /// Its word in documents.
    pub fn as_str(self) -> &'static str {
        let of_kind = Self::ALL.iter().find(|(_, kind)| *kind == self);
        of_kind.map(|(word, _)| *word).expect("every kind has its word")
    }
}

/// A text that names no kind of notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is none of {}", NoticeKind::ALL.map(|(word, _)| word).join(", "))]
pub struct InvalidNoticeKind {
    text: String,
}

impl FromStr for NoticeKind {
    type Err = InvalidNoticeKind;
    fn from_str(text: &str) -> Result<Self, InvalidNoticeKind> {
        let of_word = Self::ALL.iter().find(|(word, _)| *word == text);
        of_word.map(|(_, kind)| *kind).ok_or_else(|| InvalidNoticeKind { text: text.to_owned() })
    }
}
