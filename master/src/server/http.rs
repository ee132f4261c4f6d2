//! The listener and its two routes: the agents' stream, and health.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue, UPGRADE},
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use muster_api::limits;
use muster_proto::agent::{STREAM_PATH, STREAM_UPGRADE};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinSet,
};

use super::{
    connection,
    connections::Connections,
    handshake::{Gate, Greeted, HandshakeError},
};
use crate::core::Event;

/// How agents are served.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// What agents must prove to know.
    pub join_token: String,
    /// The master's term, which every message carries.
    pub term: u64,
}

/// What peers may take before they have proved themselves.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long a new connection may take to prove itself.
    pub handshake: Duration,
    /// How many connections may be unproved at one time; more are closed at once.
    pub unproved: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { handshake: limits::HANDSHAKE, unproved: limits::UNPROVED_CONNECTIONS }
    }
}

/// Listens for agents. Port 0 is a free one; the listener knows which.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves agents until `shutdown` is ready; then all connections end, and nothing more is reported.
pub async fn serve(
    listener: TcpListener,
    config: ServerConfig,
    events: mpsc::Sender<Event>,
    connections: Connections,
    shutdown: impl Future<Output = ()> + Send,
) {
    serve_within(Bounds::default(), listener, config, events, connections, shutdown).await;
}

/// The same within other bounds than the usual ones.
pub async fn serve_within(
    bounds: Bounds,
    listener: TcpListener,
    config: ServerConfig,
    events: mpsc::Sender<Event>,
    connections: Connections,
    shutdown: impl Future<Output = ()> + Send,
) {
    let unproved = Arc::new(Semaphore::new(bounds.unproved));
    let server = Arc::new(Server {
        gate: Gate {
            token: config.join_token,
            term: config.term,
            large: Arc::new(Semaphore::new(limits::HELLOS_LARGE)),
        },
        handshake: bounds.handshake,
        events,
        connections,
    });
    // Dropping the set ends the connections.
    let mut tasks = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            accepted = listener.accept() => {
                if let Some((stream, peer, permit)) = let_in(accepted, &unproved).await {
                    tasks.spawn(Arc::clone(&server).attend(stream, peer, permit));
                }
            }
        }
    }
}

/// A new connection, if there is room for one more that has not proved itself.
async fn let_in(
    accepted: io::Result<(TcpStream, SocketAddr)>,
    unproved: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    match accepted {
        Ok((stream, peer)) => match Arc::clone(unproved).try_acquire_owned() {
            Ok(permit) => Some((stream, peer, permit)),
            Err(_) => {
                tracing::warn!(%peer, "too many connections have not proved themselves");
                None
            }
        },
        Err(error) => {
            // Most often no file descriptor is free, and asking again at once would spin.
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
enum AdmitError {
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("it does not speak HTTP")]
    Http(#[from] hyper::Error),
    #[error("the upgraded connection is no socket")]
    NoSocket,
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

struct Server {
    gate: Gate,
    handshake: Duration,
    events: mpsc::Sender<Event>,
    connections: Connections,
}

impl Server {
    async fn attend(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let admitted = match tokio::time::timeout(self.handshake, self.admit(stream)).await {
            Ok(Ok(admitted)) => admitted,
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(%peer, error, "a peer was not let in");
                return;
            }
            Err(_) => {
                tracing::debug!(%peer, "a peer took too long to prove itself");
                return;
            }
        };
        drop(permit);
        if let Some((stream, greeted)) = admitted {
            let events = self.events.clone();
            connection::attend(stream, greeted, self.gate.term, &self.connections, events).await;
        }
    }

    /// Serves HTTP until the connection becomes an agent's stream and the agent has proved itself,
    /// or until its end.
    async fn admit(&self, stream: TcpStream) -> Result<Option<(TcpStream, Greeted)>, AdmitError> {
        stream.set_nodelay(true)?;
        let Some(upgrade) = serve_http(stream).await? else { return Ok(None) };
        let parts = upgrade.await?.downcast::<TokioIo<TcpStream>>();
        let parts = parts.map_err(|_| AdmitError::NoSocket)?;
        let mut stream = parts.io.into_inner();
        let greeted = self.gate.greet(&mut stream, &parts.read_buf).await?;
        Ok(Some((stream, greeted)))
    }
}

/// Answers requests until one is an upgrade.
async fn serve_http(stream: TcpStream) -> hyper::Result<Option<OnUpgrade>> {
    let (sender, mut receiver) = oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let service = service_fn(|mut request: Request<Incoming>| {
        let response = answer(&request);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let sender = sender.lock().ok().and_then(|mut sender| sender.take());
            if let Some(sender) = sender {
                drop(sender.send(hyper::upgrade::on(&mut request)));
            }
        }
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.with_upgrades().await?;
    Ok(receiver.try_recv().ok())
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, STREAM_PATH) if asks_for_stream(request.headers()) => {
            let mut response = plain(StatusCode::SWITCHING_PROTOCOLS, "");
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static(STREAM_UPGRADE));
            response
        }
        (&Method::GET, "/health") => plain(StatusCode::OK, "ok\n"),
        _ => plain(StatusCode::NOT_FOUND, "not found\n"),
    }
}

fn asks_for_stream(headers: &HeaderMap) -> bool {
    let protocol = headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(STREAM_UPGRADE))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
