//! What a case came to.

use std::time::Duration;

use serde_json::Value;

use crate::{encoding::Unencodable, http::Broken};

/// Why a case failed, in words that say what to look at.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something is not what Mesos makes of it.
    #[error("{what}\n  expected {expected}\n  got      {got}")]
    Differs {
        /// What was looked at.
        what: String,
        /// What Mesos gives.
        expected: String,
        /// What this one gave.
        got: String,
    },
    /// Something did not happen in time.
    #[error("no {what} within {within:?}; came instead: {instead}")]
    NeverCame {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// What came on the same stream and was not asked for.
        instead: String,
    },
    /// Something happened that does not happen with Mesos.
    #[error("{what} came, which should not: {event}")]
    Unwanted {
        /// What was not to come.
        what: String,
        /// What came.
        event: String,
    },
    /// The HTTP exchange itself failed.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The case wanted to say what its messages cannot say: the fault is in the case.
    #[error(transparent)]
    Unencodable(#[from] Unencodable),
    /// The remote-controlled executor did not do as it was told.
    #[error("the executor of the suite: {0}")]
    Executor(String),
}

/// What a step of a case gives.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Holds if `got` is what Mesos gives.
pub fn equal(what: &str, got: impl Into<Value>, expected: impl Into<Value>) -> Outcome {
    let (got, expected) = (got.into(), expected.into());
    if got == expected { Ok(()) } else { Err(differs(what, &got, &expected.to_string())) }
}

/// Holds if `condition` does; says what was `expected` if not.
pub fn holds(what: &str, condition: bool, got: &Value, expected: &str) -> Outcome {
    if condition { Ok(()) } else { Err(differs(what, got, expected)) }
}

/// A difference, in words.
pub fn differs(what: &str, got: &Value, expected: &str) -> Failure {
    let (got, expected) = (got.to_string(), expected.to_owned());
    Failure::Differs { what: what.to_owned(), expected, got }
}
