//! Offers as operators see them.

use serde::{Deserialize, Serialize};

use crate::{AgentId, OfferId, Resources, Span, Timestamp};

/// Resources of one agent that are offered, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferView {
    /// Its id.
    pub id: OfferId,
    /// Of which agent.
    pub agent: AgentId,
    /// The host name of that agent.
    pub hostname: String,
    /// What is offered.
    pub resources: Resources,
    /// The id of the framework that holds it.
    pub framework: String,
    /// The name of that framework.
    pub framework_name: String,
    /// When it was made.
    pub since: Timestamp,
    /// How long ago that was, by a clock that nobody sets.
    pub held_for: Span,
}
