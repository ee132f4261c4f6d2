//! All that a master has, at one moment.

use super::{AgentView, FrameworkTaskView, FrameworkView, OfferView};

/// The hosts of a master, and who has what there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClusterView {
    /// The hosts.
    pub agents: Vec<AgentView>,
    /// The frameworks, also those that were removed.
    pub frameworks: Vec<FrameworkView>,
    /// What of them is offered, as far as was asked for.
    pub offers: Vec<OfferView>,
    /// The tasks of the frameworks, as far as was asked for.
    pub tasks: Vec<FrameworkTaskView>,
}
