//! What is stored of notices: those that wait, and what was told last.

use std::collections::BTreeMap;

use muster_api::{JobName, Timestamp, notices::Notice, spec::NoticeKind};
use serde::{Deserialize, Serialize};

/// A notice that waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRecord {
    /// The URI that it goes to.
    pub webhook: String,
    /// What it tells.
    pub notice: Notice,
}

/// What was told of a job, as far as that decides what is told next. A job that was always well has
/// none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldRecord {
    /// The name of the job.
    pub job: JobName,
    /// Its last run that was over had not succeeded; of a daemon job, one of its tasks has died.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failing: bool,
    /// Since when no more is told of instants that are passed over for these causes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<Timestamp>,
    /// Those causes, each with what was passed over and not told of yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passed: BTreeMap<PassedFor, Option<PassedRecord>>,
}

impl ToldRecord {
    /// Nothing was told.
    pub(crate) fn nothing(job: JobName) -> Self {
        Self { job, failing: false, quiet_since: None, passed: BTreeMap::new() }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        !self.failing && self.quiet_since.is_none() && self.passed.is_empty()
    }
}

/// Planned instants that were passed over and not told of yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedRecord {
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many; absent when nobody counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Why, of the last of them.
    pub reason: String,
}

/// The causes for which planned instants are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassedFor {
    /// They were due before a restored store was resumed.
    Restored,
    /// They are older than the grace.
    TooOld,
    /// They could not start any more in time.
    TooLate,
    /// A run of the job went on.
    FormerRun,
    /// They were missed, and so was a newer one.
    NewerRuns,
    /// Their run was not started in time.
    Expired,
    /// So many waited already.
    Cap,
}

impl PassedFor {
    /// What is told of them.
    pub(crate) fn kind(self) -> NoticeKind {
        match self {
            Self::Cap => NoticeKind::Dropped,
            Self::Restored
            | Self::TooOld
            | Self::TooLate
            | Self::FormerRun
            | Self::NewerRuns
            | Self::Expired => NoticeKind::Skipped,
        }
    }
}

/// An executor host of which was told that it is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRecord {
    /// Its host name, as far as it was known.
    pub hostname: String,
    /// When that was told.
    pub at: Timestamp,
}
