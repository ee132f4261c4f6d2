//! The output of tasks, asked of their agents by the connections that they hold.

use std::{sync::Arc, time::Duration};

use muster_api::AgentId;
use muster_master::server::{Connections, ReadLogError, ReadLogRequest};
use muster_proto::agent::{LogData, ReadLog};

use crate::{
    rest::{LogError, LogFuture, LogSource},
    server::Config,
};

/// Whoever can be asked for the output of tasks.
pub(crate) fn source(config: &Config, connections: Connections) -> Arc<dyn LogSource> {
    match config.mesos {
        None => Arc::new(AgentLogs(connections)),
        Some(_) => Arc::new(NoLogs),
    }
}

/// Agents of another master, which nobody here is connected to.
struct NoLogs;

impl LogSource for NoLogs {
    fn read(&self, agent: AgentId, wanted: ReadLog) -> LogFuture {
        Box::pin(async move {
            Err(LogError::Foreign { agent, executor: wanted.executor_id, task: wanted.task_id })
        })
    }
}

/// Agents that are connected to the embedded master.
struct AgentLogs(Connections);

impl LogSource for AgentLogs {
    fn read(&self, agent: AgentId, wanted: ReadLog) -> LogFuture {
        let connections = self.0.clone();
        Box::pin(async move {
            let request = ReadLogRequest {
                task: wanted.task_id,
                executor: wanted.executor_id,
                stream: wanted.stream,
                offset: wanted.offset,
                limit: wanted.limit,
                wait: Duration::from_millis(wanted.wait_ms.into()),
            };
            match connections.read_log(&agent, request).await {
                Ok(data) => Ok(data),
                Err(ReadLogError::NotConnected { agent }) => Err(LogError::Away { agent }),
                Err(ReadLogError::TimedOut { agent }) => Err(LogError::Late { agent }),
                // What the agent says of it is shown where the log would have been.
                Err(ReadLogError::Agent { message, .. }) => {
                    Ok(LogData { error: message, complete: true, ..LogData::default() })
                }
            }
        })
    }
}
