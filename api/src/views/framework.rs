//! Frameworks as operators see them, and what shares the cluster between them.

use serde::{Deserialize, Serialize};

use crate::{AgentId, Resources, Span, Timestamp};

/// Where a framework stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameworkState {
    /// It is subscribed.
    Active,
    /// Its stream has ended, and it has time to come back.
    Away,
    /// It has ended for ever.
    Removed,
}

/// A framework that the master knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkView {
    /// Its id.
    pub id: String,
    /// The name that it gives itself.
    pub name: String,
    /// The system user for its tasks.
    pub user: String,
    /// Where it stands.
    pub state: FrameworkState,
    /// Whether it is the scheduler of this process.
    pub embedded: bool,
    /// Who it is to authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Its roles.
    pub roles: Vec<String>,
    /// Those of them in which it wants no offers.
    pub suppressed: Vec<String>,
    /// What it says that it understands, in the names of Mesos.
    pub capabilities: Vec<String>,
    /// The host of its scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Where people find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webui_url: Option<String>,
    /// Whether its executors survive a restart of their agent.
    pub checkpoint: bool,
    /// How long it may be away.
    pub failover_timeout: Span,
    /// Since when it stands so, if this master knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// In how long it is removed, if it is away and does not come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_in: Option<Span>,
    /// What its executors and tasks take.
    pub used: Resources,
    /// What it is offered.
    pub offered: Resources,
    /// In how many offers.
    pub offers: u32,
    /// How many tasks of it are not over.
    pub tasks: u32,
    /// How many executors it has.
    pub executors: u32,
}

/// A role, between which and others the cluster is shared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoleView {
    /// Its name.
    pub role: String,
    /// How much it is worth against others, in thousandths of what most are.
    pub weight_thousandths: u32,
    /// The largest part of the cluster that it holds, over all resources, in thousandths.
    pub share_thousandths: u32,
    /// What its frameworks use in it.
    pub used: Resources,
    /// What they are offered in it.
    pub offered: Resources,
    /// The ids of its frameworks.
    pub frameworks: Vec<String>,
}

/// A task of a framework, as the master knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkTaskView {
    /// Its id.
    pub id: String,
    /// The id of its framework.
    pub framework: String,
    /// Where it runs.
    pub agent: AgentId,
    /// The id of its executor; none for a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// The role that it is allocated to.
    pub role: String,
    /// Its state, in the words of Mesos.
    pub state: String,
    /// What it takes.
    pub resources: Resources,
}

/// Somebody who may call the master as a framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialView {
    /// Who.
    pub principal: String,
    /// Since when.
    pub created_at: Timestamp,
}
