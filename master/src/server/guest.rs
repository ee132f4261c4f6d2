//! One connection, from its first byte until it is an agent's, or to its end.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc};

use http_body_util::Either;
use hyper::{
    Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::{net::TcpStream, sync::oneshot};

use super::{
    connection,
    handshake::{Greeted, HandshakeError},
    listener::Server,
    reply::Reply,
    rooms::{Ended, Room, Visit, Visitor},
    routes,
};

/// Bytes of a request's head, and of what is read of a body before somebody asks for it.
const BUFFER_BYTES: usize = 64 * 1024;

/// Whoever sends requests on one connection.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The connection, as the rooms know it.
    pub(super) visitor: Visitor,
    /// The address that it reached this master by.
    pub(super) here: SocketAddr,
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
    #[error("{}", match .0 {
        Ended::TimedOut => "it took too long",
        Ended::Crowded => "too many connections have not proved themselves",
        Ended::NotReading => "it does not read what is sent",
    })]
    Ended(Ended),
}

impl AdmitError {
    /// Whether somebody wanted in and was kept out for what it said.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Io(_) | Self::Http(_) | Self::Ended(_) => false,
            Self::Handshake(HandshakeError::Io(_)) => false,
            Self::NoSocket | Self::Handshake(_) => true,
        }
    }
}

/// Serves a connection.
pub(super) async fn attend(server: Arc<Server>, stream: TcpStream, peer: SocketAddr, visit: Visit) {
    let admitted = match admit(&server, stream, &visit.0).await {
        Ok(admitted) => admitted,
        Err(error) => {
            let refused = error.is_refusal();
            let error: &dyn std::error::Error = &error;
            if refused {
                tracing::warn!(%peer, error, "a peer was not let in");
            } else {
                // Nothing that anybody has to see to; clients break off as they like.
                tracing::debug!(%peer, error, "a connection was ended");
            }
            return;
        }
    };
    drop(visit);
    if let Some((stream, greeted)) = admitted {
        let events = server.events.agents.clone();
        connection::attend(stream, greeted, server.gate.term, &server.connections, events).await;
    }
}

/// Serves HTTP until the connection becomes an agent's stream and the agent has proved itself, or
/// until its end.
async fn admit(
    server: &Arc<Server>,
    stream: TcpStream,
    visitor: &Visitor,
) -> Result<Option<(TcpStream, Greeted)>, AdmitError> {
    stream.set_nodelay(true)?;
    // A host that is lost says nothing, and the kernel would try for a quarter of an hour.
    let most = u32::try_from(server.bounds.stall.as_millis()).unwrap_or(u32::MAX);
    set_tcp_user_timeout(&stream, most).map_err(io::Error::from)?;
    let caller = Caller { visitor: visitor.clone(), here: stream.local_addr()? };
    let Some(upgrade) = serve_http(server, stream, &caller).await? else { return Ok(None) };
    visitor.wait_in(Room::Handshakes);
    let greeted = async {
        let parts = upgrade.await?.downcast::<TokioIo<TcpStream>>();
        let parts = parts.map_err(|_| AdmitError::NoSocket)?;
        let mut stream = parts.io.into_inner();
        // Agents have heartbeats of their own.
        set_tcp_user_timeout(&stream, 0).map_err(io::Error::from)?;
        let greeted = server.gate.greet(&mut stream, &parts.read_buf).await?;
        Ok(Some((stream, greeted)))
    };
    tokio::select! {
        greeted = greeted => greeted,
        ended = visitor.ended() => Err(AdmitError::Ended(ended)),
    }
}

/// Answers requests until one is an upgrade.
async fn serve_http(
    server: &Arc<Server>,
    stream: TcpStream,
    caller: &Caller,
) -> Result<Option<OnUpgrade>, AdmitError> {
    let (sender, mut receiver) = oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let service = service_fn(|mut request: Request<Incoming>| {
        if routes::asks_for_stream(&request) {
            let sender = sender.lock().ok().and_then(|mut sender| sender.take());
            if let Some(sender) = sender {
                drop(sender.send(hyper::upgrade::on(&mut request)));
            }
        }
        answer(server, caller, request)
    });
    let mut http = http1::Builder::new();
    http.title_case_headers(true).max_buf_size(BUFFER_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let mut closing = false;
    loop {
        tokio::select! {
            end = &mut connection => {
                end?;
                return Ok(receiver.try_recv().ok());
            }
            ended = caller.visitor.ended() => return Err(AdmitError::Ended(ended)),
            () = caller.visitor.last_answer(), if !closing => {
                connection.as_mut().graceful_shutdown();
                closing = true;
            }
        }
    }
}

/// Answers a request. Until it is whole the connection keeps its place among those of which
/// something is due; afterwards it waits for the next one, if this has no stream for an answer.
async fn answer(
    server: &Arc<Server>,
    caller: &Caller,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    let reply = routes::answer(server, caller, request).await;
    if reply.status() == StatusCode::UNAUTHORIZED {
        caller.visitor.wait_in(Room::Newcomers);
    } else if reply.status() != StatusCode::SWITCHING_PROTOCOLS
        && matches!(reply.body(), Either::Left(_))
    {
        caller.visitor.wait_in(Room::Idle);
    }
    Ok(reply)
}
