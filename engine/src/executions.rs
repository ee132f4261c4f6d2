//! Executions of resident tasks, as their executors tell of them.

use muster_api::{AgentId, ExecutorId, task::ExecutionBatch};

use crate::cx::Cx;

/// An executor tells of executions.
pub(crate) fn told(
    _cx: &mut Cx<'_>,
    _executor: ExecutorId,
    _agent: &AgentId,
    _batch: ExecutionBatch,
) {
}
