//! Jobs.

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Timestamp,
    spec::{Constraint, JobSpec},
};

/// A job as `GET` answers it: its document, with version and status beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// `job`.
    pub kind: String,
    /// The document.
    #[serde(flatten, serialize_with = "whole")]
    pub spec: JobSpec,
    /// Grows with every stored change.
    pub version: u64,
    /// What is so now.
    pub status: JobStatus,
}

/// A document with the field that is stored only where it is not at its default.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    stored: &'a JobSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<&'a [Constraint]>,
}

fn whole<S: Serializer>(spec: &JobSpec, serializer: S) -> Result<S::Ok, S::Error> {
    let constraints = spec.constraints.is_empty().then_some(&[][..]);
    Whole { stored: spec, constraints }.serialize(serializer)
}

/// What is so of a job now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Whether it and its app are enabled.
    pub enabled: bool,
    /// When it fires next; absent when it does not.
    pub next_fire: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}
