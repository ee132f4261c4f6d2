//! Planned instants: those to come, and what became of the others.

use serde::{Deserialize, Serialize};

use crate::{RunId, Span, Timestamp, schedule::Schedule};

/// A coming fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextFire {
    /// The planned instant.
    pub planned_at: Timestamp,
    /// The same in the time zone of the schedule, in RFC 3339 with the name of the zone behind it;
    /// absent for schedules without local times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// When it really fires; absent without jitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fires_at: Option<Timestamp>,
    /// What is odd about it, because clocks are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl NextFire {
    /// An instant of a schedule; with jitter, it fires so much later.
    pub fn new(schedule: &Schedule, planned_at: Timestamp, jitter: Option<Span>) -> Self {
        Self {
            planned_at,
            local: schedule.local(planned_at),
            fires_at: jitter.map(|offset| planned_at + offset.duration()),
            note: schedule.remark(planned_at).map(|remark| remark.to_string()),
        }
    }
}

/// One row of the fire ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FireView {
    /// The planned instant.
    pub planned_at: Timestamp,
    /// What became of it.
    pub outcome: FireOutcome,
    /// Why, where that needs words.
    pub reason: Option<String>,
    /// The run that it became, or was merged into.
    pub run: Option<RunId>,
}

/// What became of a planned instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FireOutcome {
    /// Its run exists and nothing of it has started.
    Waiting,
    /// Its run has started.
    Ran,
    /// Another run stands for it.
    Coalesced,
    /// It was passed over.
    Skipped,
    /// It was given up for lack of room.
    Dropped,
}

impl FireOutcome {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ran => "ran",
            Self::Coalesced => "coalesced",
            Self::Skipped => "skipped",
            Self::Dropped => "dropped",
        }
    }
}
