//! Why a call of the scheduler has no good answer.

use std::{fmt, io, time::Duration};

use muster_api::views::Problem;

use super::Address;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody listens there.
    #[error("cannot reach the scheduler at {address}: is it running? start one with `muster dev`")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection ended in the middle of a call.
    #[error("the connection to the scheduler at {address} broke")]
    Broken {
        /// Where.
        address: Address,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// The answer did not come in time.
    #[error("the scheduler at {address} has not answered within {} s", limit.as_secs())]
    Late {
        /// Where.
        address: Address,
        /// How long it was waited.
        limit: Duration,
    },
    /// The scheduler says no, and why.
    #[error("{}", refusal(.0))]
    Refused(Box<Problem>),
    /// Whoever answered does not speak our language.
    #[error(
        "the answer of {address} to `{call}` ({status}) is not understood; is it a Muster \
         scheduler of this version?"
    )]
    NotUnderstood {
        /// Where.
        address: Address,
        /// Method and path.
        call: String,
        /// The status.
        status: hyper::StatusCode,
    },
}

impl ClientError {
    /// Whether the scheduler may be restarting, so that the same call may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Late { .. } => true,
            Self::Refused(problem) => problem.status == 503,
            Self::NotUnderstood { .. } => false,
        }
    }

    /// Whether the scheduler knows no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 404)
    }
}

fn refusal(problem: &Problem) -> impl fmt::Display {
    let words = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
    let mut text = words.clone();
    if problem.status == 401 {
        text += "; name the file with the token by --token-file";
    }
    // The detail of a document with one fault is that fault.
    for fault in problem.faults.iter().filter(|_| problem.faults.len() > 1) {
        text += &format!("\n  {fault}");
    }
    text
}
