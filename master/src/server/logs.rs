//! Reads the output of tasks from agents, past the core.

use std::time::Duration;

use muster_api::{AgentId, limits};
use muster_proto::agent::{LogData, MasterBody, ReadLog};

use super::connections::Connections;

/// Which part of a task's output is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLogRequest {
    /// The task, by its Mesos id.
    pub task: String,
    /// The executor that hosted it.
    pub executor: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The first byte wanted.
    pub offset: u64,
    /// How many bytes at most; more than [`limits::LOG_CHUNK_BYTES`] are never sent.
    pub limit: u32,
    /// How long the agent may wait for more when there is nothing; at most [`limits::WAIT_MAX`].
    pub wait: Duration,
}

/// Why a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadLogError {
    /// The agent is not connected, or was lost before it answered.
    #[error("agent `{agent}` is not connected")]
    NotConnected {
        /// Which.
        agent: AgentId,
    },
    /// It has not answered in time.
    #[error("agent `{agent}` has not answered in time")]
    TimedOut {
        /// Which.
        agent: AgentId,
    },
    /// The agent cannot read it.
    #[error("agent `{agent}` cannot read the log: {message}")]
    Agent {
        /// Which.
        agent: AgentId,
        /// What it said.
        message: String,
    },
}

impl Connections {
    /// Reads a part of a task's output from its agent.
    pub async fn read_log(
        &self,
        agent: &AgentId,
        request: ReadLogRequest,
    ) -> Result<LogData, ReadLogError> {
        let lost = || ReadLogError::NotConnected { agent: agent.clone() };
        let mut pending = self.request(agent).ok_or_else(lost)?;
        let wait = request.wait.min(limits::WAIT_MAX);
        let read = ReadLog {
            request: pending.number,
            task_id: request.task,
            executor_id: request.executor,
            stream: request.stream,
            offset: request.offset,
            limit: request.limit.min(limits::LOG_CHUNK_BYTES),
            wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
        };
        self.send(pending.connection, MasterBody::ReadLog(read));
        match tokio::time::timeout(wait + limits::READ_LOG, &mut pending.answer).await {
            Err(_) => Err(ReadLogError::TimedOut { agent: agent.clone() }),
            Ok(Err(_)) => Err(lost()),
            Ok(Ok(data)) if !data.error.is_empty() => {
                Err(ReadLogError::Agent { agent: agent.clone(), message: data.error })
            }
            Ok(Ok(data)) => Ok(data),
        }
    }
}
