//! What becomes of a fire that cannot start when it is planned.

use serde::{Deserialize, Serialize};

use crate::{Span, limits};

/// What becomes of a planned instant while the former run goes on, and of those that were missed
/// while the scheduler was down (SEMANTICS 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Misfire {
    /// The rule.
    pub policy: MisfirePolicy,
    /// How many scheduled runs of the job wait at most, for `replay`.
    pub cap: u32,
    /// How long ago an instant may have been due to run still.
    pub grace: Span,
}

impl Default for Misfire {
    fn default() -> Self {
        Self {
            policy: MisfirePolicy::default(),
            cap: limits::MISFIRE_CAP_DEFAULT,
            grace: limits::MISFIRE_GRACE_DEFAULT,
        }
    }
}

/// The rules for fires that cannot start when they are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MisfirePolicy {
    /// They are passed over; after a downtime the newest one runs.
    Skip,
    /// One run stands for all of them.
    #[default]
    Coalesce,
    /// Each waits its turn.
    Replay,
}
