//! The server: its port, its connections, and which paths there are.

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

use http_body_util::Either;
use hyper::{
    Method, Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use muster_api::limits;
use muster_proto::executor;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    answers::{self, Refusal, Reply},
    body::Turnstile,
    visits::{Turn, Visit, Visits},
};
use crate::{core::Session, run::Input, work_dir::WorkDir};

/// Bytes of a connection that wait to be read; the head of a request must fit.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long a port that executors know is waited for: its former user may be about to end.
const BIND_PATIENCE: Duration = Duration::from_secs(10);

/// The server.
pub(crate) struct ExecutorApi {
    pub(super) work: Arc<WorkDir>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) turnstile: Turnstile,
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
        let (turnstile, sessions) = (Turnstile::new(), AtomicU64::new(0));
        Arc::new(Self { work, inputs, turnstile, sessions })
    }

    /// A name for a stream that no other has had.
    pub(super) fn next_session(&self) -> Session {
        Session(self.sessions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let visits = Visits::new(limits::EXECUTOR_CONNECTIONS);
        loop {
            match listener.accept().await {
                // Where all places are those of streams, another one finds none.
                Ok((socket, _)) => {
                    if let Some(visit) = visits.begin(limits::HANDSHAKE) {
                        tokio::spawn(Arc::clone(&self).connection(socket, visit));
                    }
                }
                Err(error) => {
                    // Most often no file is free.
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept");
                    visits.make_room();
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, socket: TcpStream, visit: Arc<Visit>) {
        // Only latency suffers where this fails.
        let _ = socket.set_nodelay(true);
        let service = service_fn(|request| {
            let (api, visit) = (Arc::clone(&self), Arc::clone(&visit));
            async move { Ok::<_, Infallible>(api.attend(request, visit).await) }
        });
        let served = http1::Builder::new()
            .max_buf_size(BUFFER_BYTES)
            // As a Mesos agent writes them; some clients are particular.
            .title_case_headers(true)
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades();
        tokio::select! {
            served = served => if let Err(error) = served {
                tracing::debug!(error = &error as &dyn std::error::Error, "connection ended");
            },
            () = visit.ended() => tracing::debug!("a connection that is not used is closed"),
        }
    }

    /// Answers a request. Between two of them an executor may be silent for long, and for ever on a
    /// stream.
    async fn attend(self: Arc<Self>, request: Request<Incoming>, visit: Arc<Visit>) -> Reply {
        let turn = visit.serve();
        let reply = self.answer(request, &visit, turn).await;
        if reply.status() != StatusCode::SWITCHING_PROTOCOLS
            && matches!(reply.body(), Either::Left(_))
        {
            visit.waits_after(turn, limits::CALLS_IDLE);
        }
        reply
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        visit: &Arc<Visit>,
        turn: Turn,
    ) -> Reply {
        // Mesos serves every path also under the name of its process.
        let path = request.uri().path();
        let rest = path.strip_prefix("/slave(1)").filter(|rest| rest.starts_with('/'));
        let path = rest.unwrap_or(path).to_owned();
        let reply = match path.as_str() {
            "/api/v1/executor" => {
                let (parts, body) = request.into_parts();
                self.call(&parts, body, visit, turn).await
            }
            executor::STREAM_PATH if request.method() == Method::POST => {
                return self.upgrade(request, Arc::clone(visit));
            }
            "/health" => only_get(request.method())
                .map(|()| answers::plain(StatusCode::OK, "the agent lives\n")),
            "/version" => only_get(request.method()).map(|()| super::state::version()),
            "/state" => match only_get(request.method()) {
                Ok(()) => self.state().await,
                Err(refusal) => Err(refusal),
            },
            _ => Err(Refusal::not_found()),
        };
        reply.unwrap_or_else(Refusal::reply)
    }
}

fn only_get(method: &Method) -> Result<(), Refusal> {
    if method == Method::GET { Ok(()) } else { Err(Refusal::method(method, "GET")) }
}
