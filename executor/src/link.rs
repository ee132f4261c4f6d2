//! The connection to the agent: dialled again and again, bytes in, bytes out.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode, header, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use muster_api::{Mono, clock, limits};
use muster_proto::{
    executor::{self, STREAM_PATH, STREAM_UPGRADE},
    recordio,
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{
    Environment,
    core::Event,
    wire::{self, Heard},
};

/// Between two attempts to reach the agent: from this, doubling ...
const REDIAL_FIRST: Duration = Duration::from_millis(100);
/// ... to this. An agent that was restarted waits for its executors.
const REDIAL_MAX: Duration = Duration::from_secs(1);
/// How long an agent may say that it does not know this executor. One that was just restarted may
/// not have read all of its records.
const REFUSED_MAX: Duration = Duration::from_secs(30);
/// Messages that were read and not looked at.
const UNHEARD: usize = 256;
/// Bytes of one read.
const READ: usize = 64 * 1024;

/// What happens on the way to the agent.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A connection stands, and chunks sent here are written to it.
    Up(mpsc::Sender<Vec<u8>>),
    /// The agent says something.
    Heard(Event),
    /// The connection is gone.
    Down,
    /// The agent does not want this executor.
    Refused(Refused),
}

/// An agent that does not know this executor, and does not come to know it.
#[derive(Debug, thiserror::Error)]
#[error("the agent at `{agent}` refuses this executor with status {status}")]
pub(crate) struct Refused {
    agent: String,
    status: StatusCode,
}

/// Why there is no connection, or no longer one.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("the agent cannot be reached")]
    Dial(#[source] std::io::Error),
    #[error("the agent does not answer in time")]
    Slow,
    #[error("the agent cannot be asked for a stream")]
    Ask(#[source] hyper::Error),
    #[error("the token of the executor cannot be sent")]
    Token(#[source] hyper::http::Error),
    #[error("the agent answers the request for a stream with {0}")]
    Status(StatusCode),
    #[error("the stream broke")]
    Broke(#[source] std::io::Error),
    #[error("the agent has closed the stream")]
    Closed,
    #[error("the agent sent damaged framing")]
    Framing(#[from] recordio::InvalidRecord),
    #[error("the agent sent what is no message")]
    Message(#[from] prost::DecodeError),
    #[error("the agent has ended the subscription: {0}")]
    Over(String),
}

/// Starts to dial the agent, and gives what happens. It ends with the receiver.
pub(crate) fn open(environment: Environment) -> mpsc::Receiver<LinkEvent> {
    let (events, receiver) = mpsc::channel(UNHEARD);
    tokio::spawn(async move { dial_for_ever(&environment, &events).await });
    receiver
}

async fn dial_for_ever(environment: &Environment, events: &mpsc::Sender<LinkEvent>) {
    let mut pause = REDIAL_FIRST;
    let mut refused_since: Option<Mono> = None;
    while !events.is_closed() {
        let error = match timeout(limits::HANDSHAKE, dial(environment)).await {
            Err(_) => LinkError::Slow,
            Ok(Err(error)) => error,
            Ok(Ok(stream)) => {
                (pause, refused_since) = (REDIAL_FIRST, None);
                converse(stream, events).await
            }
        };
        log(&environment.agent, &error);
        refused_since = match error {
            LinkError::Status(status) if refuses(status) => {
                let since = refused_since.unwrap_or_else(clock::mono);
                if clock::mono().since(since) >= REFUSED_MAX {
                    let refused = Refused { agent: environment.agent.clone(), status };
                    // When nobody listens there is nobody to tell.
                    let _ = events.send(LinkEvent::Refused(refused)).await;
                    return;
                }
                Some(since)
            }
            // While an agent restarts, it cannot be reached in between.
            LinkError::Dial(_) => refused_since,
            _ => None,
        };
        sleep(pause).await;
        pause = (pause * 2).min(REDIAL_MAX);
    }
}

fn log(agent: &str, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(agent, error, "no stream to the agent");
}

fn refuses(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

/// Connects and asks for the stream.
async fn dial(environment: &Environment) -> Result<Upgraded, LinkError> {
    let stream = TcpStream::connect(&environment.agent).await.map_err(LinkError::Dial)?;
    stream.set_nodelay(true).map_err(LinkError::Dial)?;
    let (mut requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(LinkError::Ask)?;
    tokio::spawn(async move {
        // Its errors come out at the request, or at the stream.
        let _ = connection.with_upgrades().await;
    });
    let mut request = Request::post(STREAM_PATH)
        .header(header::HOST, &environment.agent)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, STREAM_UPGRADE);
    if let Some(token) = &environment.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(LinkError::Token)?;
    let answer = requests.send_request(request).await.map_err(LinkError::Ask)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(LinkError::Status(answer.status()));
    }
    hyper::upgrade::on(answer).await.map_err(LinkError::Ask)
}

/// Moves bytes both ways until the stream breaks, and says when it began and ended.
async fn converse(stream: Upgraded, events: &mpsc::Sender<LinkEvent>) -> LinkError {
    let (reader, writer) = tokio::io::split(TokioIo::new(stream));
    // One chunk is being written, one may wait; meanwhile updates gather for the next one.
    let (chunks, to_write) = mpsc::channel(1);
    if events.send(LinkEvent::Up(chunks)).await.is_err() {
        return LinkError::Closed;
    }
    let error = tokio::select! {
        error = read(reader, events) => error,
        error = write(writer, to_write) => error,
    };
    // When nobody listens there is nobody to tell.
    let _ = events.send(LinkEvent::Down).await;
    error
}

async fn read(
    mut reader: ReadHalf<TokioIo<Upgraded>>,
    events: &mpsc::Sender<LinkEvent>,
) -> LinkError {
    let mut decoder = recordio::Decoder::new(limits::RECORD_BYTES);
    let mut buffer = vec![0; READ];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) => return LinkError::Closed,
            Ok(length) => decoder.feed(&buffer[..length]),
            Err(error) => return LinkError::Broke(error),
        }
        loop {
            let heard = match next_message(&mut decoder) {
                Ok(Some(message)) => wire::hear(message),
                Ok(None) => break,
                Err(error) => return error,
            };
            match heard {
                Heard::Nothing => {}
                Heard::Over(why) => return LinkError::Over(why),
                Heard::Event(event) => {
                    if events.send(LinkEvent::Heard(event)).await.is_err() {
                        return LinkError::Closed;
                    }
                }
            }
        }
    }
}

fn next_message(decoder: &mut recordio::Decoder) -> Result<Option<executor::Event>, LinkError> {
    let Some(record) = decoder.next_record()? else { return Ok(None) };
    Ok(Some(executor::Event::decode(record)?))
}

async fn write(
    mut writer: WriteHalf<TokioIo<Upgraded>>,
    mut chunks: mpsc::Receiver<Vec<u8>>,
) -> LinkError {
    while let Some(chunk) = chunks.recv().await {
        if let Err(error) = writer.write_all(&chunk).await {
            return LinkError::Broke(error);
        }
    }
    LinkError::Closed
}
