//! Who may call the master as a framework, and what a role is worth: what is asked and answered.

use serde::{Deserialize, Serialize};

use crate::{Amount, Timestamp};

/// Body of `POST /v1/credentials`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialRequest {
    /// Who is to have one.
    pub principal: String,
}

/// A credential that was made just now.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCredentialView {
    /// Who has it.
    pub principal: String,
    /// What proves that. It is shown here and never again: only its SHA-256 is kept.
    pub secret: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for NewCredentialView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCredentialView")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// Body of `PUT /v1/roles/{role}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightRequest {
    /// What the role is worth against others; most are worth 1.
    pub weight: Amount,
}
