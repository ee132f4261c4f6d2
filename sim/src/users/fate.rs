//! What the code of users does.

use muster_api::task::TaskPayload;

use super::documents::POISON;
use crate::stage::Stage;

/// What becomes of the code of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It succeeds.
    EndsWell {
        /// After so many milliseconds.
        after: u64,
    },
    /// It fails.
    Fails {
        /// After so many milliseconds.
        after: u64,
    },
    /// It ends its executor's process, and does not survive that for long.
    TakesItsExecutorAlong {
        /// After so many milliseconds.
        after: u64,
    },
    /// It must be made to end.
    NeverEnds,
    /// It was made to end.
    Signalled,
}

impl Fate {
    /// How long it runs by itself; nothing when it has to be ended.
    pub(crate) fn after_ms(self) -> Option<u64> {
        match self {
            Self::EndsWell { after }
            | Self::Fails { after }
            | Self::TakesItsExecutorAlong { after } => Some(after),
            Self::NeverEnds | Self::Signalled => None,
        }
    }
}

/// Draws what becomes of a command of another framework.
pub(crate) fn fate_of_command(stage: &mut Stage) -> Fate {
    let after = stage.between(1, 30_000);
    match stage.between(0, 9) {
        0 => Fate::Fails { after },
        1 => Fate::NeverEnds,
        _ => Fate::EndsWell { after },
    }
}

/// Draws what becomes of the code of a task.
pub(crate) fn fate(stage: &mut Stage, payload: &TaskPayload) -> Fate {
    // The longest outlive the leases of hosts that are cut off. In the calm there are none of
    // these: a queue of such runs would take longer than everything may take to come to rest.
    let resident = payload.resident.is_some();
    let longest = if stage.calm || resident { 87 } else { 99 };
    let after = match stage.between(0, longest) {
        0..60 => stage.between(1, 800),
        60..88 => stage.between(800, 10_000),
        88..96 => stage.between(10_000, 60_000),
        _ => stage.between(60_000, 300_000),
    };
    if payload.context.shard_parameter == POISON {
        return Fate::TakesItsExecutorAlong { after: after.min(2_000) };
    }
    match stage.between(0, 99) {
        0..8 => Fate::Fails { after },
        // In the calm a daemon job must come to a state in which nothing is down.
        8..11 if !(resident && stage.calm) => Fate::TakesItsExecutorAlong { after },
        11..14 if !payload.timeout.is_zero() => Fate::NeverEnds,
        _ => Fate::EndsWell { after },
    }
}
