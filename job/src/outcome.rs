//! What a handler hands back when it succeeds.

use muster_api::limits;

/// The success of a handler, perhaps with a result that is kept with the shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    pub(crate) result: Option<String>,
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<String> for Outcome {
    fn from(result: String) -> Self {
        Self { result: Some(result) }
    }
}

impl From<&str> for Outcome {
    fn from(result: &str) -> Self {
        Self::from(result.to_owned())
    }
}

impl From<Option<String>> for Outcome {
    fn from(result: Option<String>) -> Self {
        Self { result }
    }
}

/// A result that is longer than what is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the result has {length} bytes; at most {max} are kept", max = limits::RESULT_BYTES)]
pub struct ResultTooLong {
    /// Its bytes.
    pub length: usize,
}

/// Passes a result on when it can be kept whole.
pub(crate) fn check_result(result: String) -> Result<String, ResultTooLong> {
    let length = result.len();
    if length <= limits::RESULT_BYTES { Ok(result) } else { Err(ResultTooLong { length }) }
}
