//! What a refusal says.

use serde::{Deserialize, Serialize};

use crate::spec::Fault;

/// An error (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI reference for the kind of error: `/problems/{code}`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What failed, on what, what to do.
    pub detail: String,
    /// The kind for programs; it never changes.
    pub code: String,
    /// Every fault of a document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}
