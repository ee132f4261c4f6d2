//! Executor hosts that give up their work.

use muster_api::{AgentId, Mono};

use crate::cx::Cx;

/// Nothing new starts on an agent, and its tasks are moved at the deadline.
pub(crate) fn begin(_cx: &mut Cx<'_>, _agent: &AgentId, _deadline: Option<Mono>) {}

/// An agent may be used again.
pub(crate) fn end(_cx: &mut Cx<'_>, _agent: &AgentId) {}
