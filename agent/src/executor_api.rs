//! The HTTP server where executors open their streams. Only processes of this host reach it.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, service::service_fn,
    upgrade::Upgraded,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use muster_api::limits;
use muster_proto::{
    ExecutorId,
    executor::{self, Call, CallType},
};
use sha2::{Digest, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};

use crate::{
    core::{Event, Session},
    entropy,
    outbox::Outbox,
    run::Input,
    stream,
    work_dir::WorkDir,
};

/// Connections at one time: more executors than a host can hold.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a port that executors know is waited for: its former user may be about to end.
const BIND_PATIENCE: Duration = Duration::from_secs(10);

/// The server.
pub(crate) struct ExecutorApi {
    pub(crate) work: Arc<WorkDir>,
    pub(crate) inputs: mpsc::Sender<Input>,
    sessions: AtomicU64,
}

/// Takes the port of the executor API, waiting a while for one that is in use.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let attempts = async {
        loop {
            match TcpListener::bind(address).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    sleep(Duration::from_millis(100)).await;
                }
                outcome => return outcome,
            }
        }
    };
    match timeout(BIND_PATIENCE, attempts).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("the executor port {address} is in use by another program"),
        )),
    }
}

impl ExecutorApi {
    pub(crate) fn new(work: Arc<WorkDir>, inputs: mpsc::Sender<Input>) -> Arc<Self> {
        Arc::new(Self { work, inputs, sessions: AtomicU64::new(0) })
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((socket, _)) => {
                    let api = Arc::clone(&self);
                    tokio::spawn(async move {
                        api.connection(socket).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, socket: TcpStream) {
        // Only latency suffers where this fails.
        let _ = socket.set_nodelay(true);
        let service = service_fn(|request| {
            let api = Arc::clone(&self);
            async move { Ok::<_, Infallible>(api.answer(request)) }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HANDSHAKE)
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades()
            .await;
        if let Err(error) = served {
            tracing::debug!(error = &error as &dyn std::error::Error, "connection ended");
        }
    }

    fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/health") => plain(StatusCode::OK, "the agent lives\n"),
            (&Method::POST, executor::STREAM_PATH) => {
                let upgrade = request.headers().get(header::UPGRADE);
                if upgrade.is_none_or(|upgrade| upgrade != executor::STREAM_UPGRADE) {
                    let words = "ask for an upgrade to muster-executor/1\n";
                    return plain(StatusCode::UPGRADE_REQUIRED, words);
                }
                let authorization = request.headers().get(header::AUTHORIZATION);
                let token =
                    authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
                let Some(executor) = token.and_then(|token| owner(&self.work, token)) else {
                    return plain(StatusCode::UNAUTHORIZED, "this is no token of an executor\n");
                };
                let upgraded = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    if let Ok(upgraded) = upgraded.await {
                        self.session(upgraded, executor).await;
                    }
                });
                let mut answer = plain(StatusCode::SWITCHING_PROTOCOLS, "");
                let headers = answer.headers_mut();
                headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
                let protocol = header::HeaderValue::from_static(executor::STREAM_UPGRADE);
                headers.insert(header::UPGRADE, protocol);
                answer
            }
            _ => plain(StatusCode::NOT_FOUND, "there is nothing here\n"),
        }
    }

    /// Carries calls and events of one executor until one side ends the stream.
    async fn session(self: Arc<Self>, upgraded: Upgraded, executor: ExecutorId) {
        let (mut messages, mut writer) = stream::split(upgraded);
        let first = timeout(limits::HANDSHAKE, messages.next::<Call>()).await;
        let subscribe = match first {
            Ok(Ok(Call { executor_id: Some(id), subscribe, r#type, .. }))
                if id == executor && r#type == Some(CallType::Subscribe as i32) =>
            {
                subscribe.unwrap_or_default()
            }
            _ => {
                tracing::warn!(executor.id = %executor, "its stream does not begin with SUBSCRIBE");
                return;
            }
        };
        let session = Session(self.sessions.fetch_add(1, Ordering::Relaxed) + 1);
        let outbox = Outbox::default();
        let input = Input::Subscribed { session, executor, subscribe, outbox: outbox.clone() };
        if self.inputs.send(input).await.is_err() {
            return;
        }
        let reading = async {
            loop {
                let call = match messages.next::<Call>().await {
                    Ok(call) => call,
                    Err(error) => break error,
                };
                let Some(event) = event_of(session, call) else { continue };
                if self.inputs.send(Input::Core(event)).await.is_err() {
                    break stream::StreamError::Closed;
                }
            }
        };
        tokio::select! {
            error = reading => {
                tracing::debug!(error = &error as &dyn std::error::Error, "executor stream ended");
            }
            written = outbox.write_to(&mut writer) => {
                tracing::debug!(ok = written.is_ok(), "executor stream closed");
            }
        }
        outbox.close();
        // The run loop may be gone; then nobody needs to know.
        let _ = self.inputs.send(Input::Core(Event::Left { session })).await;
    }
}

/// What a call means to the core. A heartbeat means nothing, for the stream itself says that its
/// executor lives; and an unknown call is passed over.
fn event_of(session: Session, call: Call) -> Option<Event> {
    match call.r#type() {
        CallType::Update => {
            let status = call.update.and_then(|update| update.status)?;
            Some(Event::Updated { session, status: Box::new(status) })
        }
        CallType::Message => Some(Event::Said { session, message: call.message? }),
        CallType::Unknown | CallType::Subscribe | CallType::Heartbeat => None,
    }
}

/// The executor that a token was made for.
fn owner(work: &WorkDir, token: &str) -> Option<ExecutorId> {
    let (id, _) = token.split_once('.')?;
    let id = ExecutorId::new(String::from_utf8(unhex(id)?).ok()?);
    if id.value.is_empty() || id.value.contains('/') || id.value.starts_with('.') {
        return None;
    }
    let kept = std::fs::read_to_string(work.executor(&id).token()).ok()?;
    // Digests are compared, so that the time it takes says nothing about the secret.
    (Sha256::digest(kept.trim()) == Sha256::digest(token)).then_some(id)
}

/// A new token for an executor: its id and 32 random bytes.
pub(crate) fn new_token(executor: &ExecutorId) -> io::Result<String> {
    let secret = entropy::bytes::<32>()?;
    Ok(format!("{}.{}", hex(executor.value.as_bytes()), hex(&secret)))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn plain(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(words.as_bytes())));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_the_rest() {
        assert_eq!(unhex(&hex(b"\x00\xffa")).unwrap(), b"\x00\xffa");
        for bad in ["0", "0g", "é"] {
            assert_eq!(unhex(bad), None);
        }
    }
}
