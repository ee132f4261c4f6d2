//! The listener, and what its connections share.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use muster_api::{Mono, Timestamp, clock, limits};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::timeout,
};

use super::{
    bounds::Bounds, connections::Connections, credentials::Credentials, guest, handshake::Gate,
    keeper::Keeper, rooms::Rooms, state::Cluster, streams::Streams, turnstile::Turnstile,
};
use crate::core::Event;

/// How long to wait before accepting again when the system refused to.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long it is not said again that it does.
const WARN_AGAIN: Duration = Duration::from_secs(10);

/// How agents and frameworks are served.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// What agents must prove to know.
    pub join_token: String,
    /// The master's term, which every message carries.
    pub term: u64,
    /// Whether frameworks need no credentials.
    pub anonymous_frameworks: bool,
    /// Who frameworks can prove to be.
    pub credentials: Credentials,
    /// Who knows what the master has.
    pub cluster: Arc<dyn Cluster>,
}

/// Where what peers say goes. Each kind has its own way, so that calls never keep heartbeats of
/// agents waiting.
#[derive(Debug, Clone)]
pub struct Events {
    /// What agents say.
    pub agents: mpsc::Sender<Event>,
    /// What frameworks ask.
    pub frameworks: mpsc::Sender<Event>,
}

/// Listens for agents and frameworks. Port 0 is a free one; the listener knows which.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves agents and frameworks until `shutdown` is ready; then all connections end, and nothing
/// more is reported.
pub async fn serve(
    listener: TcpListener,
    config: ServerConfig,
    events: Events,
    connections: Connections,
    streams: Streams,
    shutdown: impl Future<Output = ()> + Send,
) {
    let bounds = Bounds::default();
    serve_within(bounds, listener, config, events, connections, streams, shutdown).await;
}

/// The same within other bounds than the usual ones.
pub async fn serve_within(
    bounds: Bounds,
    listener: TcpListener,
    config: ServerConfig,
    events: Events,
    connections: Connections,
    streams: Streams,
    shutdown: impl Future<Output = ()> + Send,
) {
    let server = Arc::new(Server {
        gate: Gate {
            token: config.join_token,
            term: config.term,
            large: Arc::new(Semaphore::new(limits::HELLOS_LARGE)),
        },
        anonymous_frameworks: config.anonymous_frameworks,
        credentials: config.credentials,
        cluster: config.cluster,
        states: Semaphore::new(1),
        started: clock::wall(),
        turnstile: Turnstile::new(),
        rooms: Rooms::new(bounds),
        keepers: Mutex::default(),
        bounds,
        events,
        connections,
        streams,
    });
    // Dropping the set ends the connections.
    let mut tasks = JoinSet::new();
    let mut warned: Option<Mono> = None;
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let visit = server.rooms.visit();
                    tasks.spawn(guest::attend(Arc::clone(&server), stream, peer, visit));
                }
                Err(error) => {
                    // Most often no file is free, and asking again at once would spin.
                    if warned.is_none_or(|at| clock::mono().since(at) >= WARN_AGAIN) {
                        warned = Some(clock::mono());
                        tracing::warn!(%error, "cannot accept connections; the oldest are closed");
                    }
                    server.rooms.make_room();
                    drop(timeout(ACCEPT_PAUSE, tasks.join_next()).await);
                }
            }
        }
    }
    server.keepers().abort_all();
}

/// What the connections of one server share.
pub(super) struct Server {
    pub(super) gate: Gate,
    pub(super) bounds: Bounds,
    pub(super) rooms: Arc<Rooms>,
    pub(super) events: Events,
    pub(super) connections: Connections,
    pub(super) streams: Streams,
    pub(super) anonymous_frameworks: bool,
    pub(super) credentials: Credentials,
    pub(super) cluster: Arc<dyn Cluster>,
    /// Held while all that the master has is written down.
    pub(super) states: Semaphore,
    pub(super) started: Timestamp,
    pub(super) turnstile: Turnstile,
    keepers: Mutex<JoinSet<()>>,
}

impl Server {
    /// Has somebody look after a new stream.
    pub(super) fn keep(&self, keeper: Keeper) {
        let mut keepers = self.keepers();
        while keepers.try_join_next().is_some() {}
        keepers.spawn(keeper.run());
    }

    fn keepers(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
