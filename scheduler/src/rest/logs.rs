//! The output of tasks, from the agents that keep it.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use http_body_util::channel::{Channel, Sender};
use muster_api::{AgentId, ExecutorId, RunId, TaskId, limits};
use muster_engine::query::{Answer, Query};
use muster_proto::agent::{LogData, ReadLog};
use serde::Deserialize;

use super::{
    Rest,
    input::{Named, Params},
    problem::{Code, Refusal},
};

/// How long to wait after a part that was empty.
const EMPTY_PAUSE: Duration = Duration::from_millis(100);

/// Why the output of a task cannot be had from its agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The agent is not connected.
    #[error(
        "agent `{agent}`, which has the output, is not connected; try again when it is \
             back, unless `muster agents` says that it is gone for good"
    )]
    Away {
        /// The agent.
        agent: AgentId,
    },
    /// The agent is one of another master.
    #[error(
        "agent `{agent}` belongs to another master, and what it keeps is not to be had from here; \
             look there into the sandbox of executor `{executor}`, under `tasks/{task}` if the \
             executor is that of Muster"
    )]
    Foreign {
        /// The agent.
        agent: AgentId,
        /// The executor of the task.
        executor: String,
        /// The task.
        task: String,
    },
    /// The agent did not answer.
    #[error("agent `{agent}`, which has the output, did not answer in time; try again")]
    Late {
        /// The agent.
        agent: AgentId,
    },
}

/// The answer to come of an agent.
pub type LogFuture = Pin<Box<dyn Future<Output = Result<LogData, LogError>> + Send>>;

/// Whoever reaches the agents.
pub trait LogSource: Send + Sync {
    /// Asks `agent` for a part of a task's output. The source chooses the number of the request.
    fn read(&self, agent: AgentId, wanted: ReadLog) -> LogFuture;
}

/// The two streams of a task.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stream {
    #[default]
    Stdout,
    Stderr,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadParams {
    #[serde(default)]
    stream: Stream,
    #[serde(default)]
    follow: bool,
    attempt: Option<u32>,
}

/// The output of a shard's newest task, or of one attempt: all of it so far, and with `follow`
/// what comes until the task is over.
pub(super) async fn read(
    State(rest): State<Rest>,
    Named((run, item)): Named<(RunId, u32)>,
    Params(params): Params<ReadParams>,
) -> Result<Response, Refusal> {
    let place = locate(&rest, run, item, params.attempt).await?;
    let mut output = Output::new(&rest, place, params.stream, params.follow);
    // The first part is fetched before the answer begins, so that what is missing is a 404.
    let first = output.part().await?;
    if !first.error.is_empty() {
        return Err(Refusal::new(Code::NotFound, first.error));
    }
    let (sender, body) = Channel::new(1);
    tokio::spawn(output.send(first, sender));
    let kind = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((kind, Body::new(body)).into_response())
}

/// Where the output of a task is.
struct Place {
    agent: AgentId,
    executor: ExecutorId,
    task: TaskId,
}

/// Finds a task of a shard: the live one, or one that is over.
async fn locate(
    rest: &Rest,
    run: RunId,
    item: u32,
    attempt: Option<u32>,
) -> Result<Place, Refusal> {
    let Answer::Task(live) = rest.driver().query(Query::Task { run, item }).await? else {
        return Err(Refusal::misunderstanding());
    };
    if let Some(live) = live.filter(|live| attempt.is_none_or(|attempt| attempt == live.attempt)) {
        return Ok(Place { agent: live.agent, executor: live.executor, task: live.task });
    }
    match rest.read(move |reader| reader.past_task(&run, item, attempt)).await? {
        Some(past) => Ok(Place { agent: past.agent, executor: past.executor, task: past.task }),
        None => Err(Refusal::new(
            Code::NotFound,
            format!("run `{run}` has no such task of shard {item}, or it has not started yet"),
        )),
    }
}

/// Output that is being read.
struct Output {
    source: Arc<dyn LogSource>,
    place: Place,
    stream: Stream,
    follow: bool,
    offset: u64,
    /// Whether a part was asked for: the first one comes at once.
    begun: bool,
}

impl Output {
    fn new(rest: &Rest, place: Place, stream: Stream, follow: bool) -> Self {
        Self { source: Arc::clone(rest.logs()), place, stream, follow, offset: 0, begun: false }
    }

    /// The next part.
    async fn part(&mut self) -> Result<LogData, LogError> {
        let stream = match self.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let wait = if self.follow && self.begun { limits::LOG_WAIT.as_millis() } else { 0 };
        self.begun = true;
        let wanted = ReadLog {
            request: 0,
            task_id: self.place.task.to_string(),
            executor_id: self.place.executor.to_string(),
            stream: stream.to_owned(),
            offset: self.offset,
            limit: limits::LOG_CHUNK_BYTES,
            wait_ms: u32::try_from(wait).unwrap_or(u32::MAX),
        };
        let part = self.source.read(self.place.agent.clone(), wanted).await?;
        let begun_anew = part.error.is_empty() && part.size < self.offset;
        // The file of a resident task that was full was moved aside, and another one was begun.
        self.offset = if begun_anew { 0 } else { self.offset + part.data.len() as u64 };
        Ok(part)
    }

    /// Sends part after part, as fast as the client takes them. A client that goes away ends it;
    /// an agent that goes away breaks the answer off, so that nobody takes it for complete.
    async fn send(mut self, first: LogData, mut to: Sender<Bytes, io::Error>) {
        let end = first.size;
        let mut part = first;
        loop {
            let all = part.data.is_empty() || self.offset >= part.size;
            let over = if self.follow { part.complete && all } else { all || self.offset >= end };
            let data = Bytes::from(std::mem::take(&mut part.data));
            let empty = data.is_empty();
            // hyper sends nothing for an empty part, but this way a client that went away is
            // noticed while there is no output.
            if to.send_data(data).await.is_err() {
                return;
            }
            if over {
                return;
            }
            if empty {
                // The agent waited already; this is for one that does not.
                tokio::time::sleep(EMPTY_PAUSE).await;
            }
            part = match self.part().await {
                Ok(part) if part.error.is_empty() => part,
                Ok(part) => return to.abort(io::Error::other(part.error)),
                Err(error) => return to.abort(io::Error::other(error)),
            };
        }
    }
}
