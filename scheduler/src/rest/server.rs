//! The listener: how many connections there are, how long they may take, and how they end.

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use muster_api::limits;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{auth::Peer, patient::Patient};

/// Bytes of a request's head, and of what is read of a body before somebody asks for it.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long to wait before accepting again when the system refused to, for lack of files mostly.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Serves `router` on `listener` until `shutdown` is done, and then for as long as requests that
/// go on may take.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits::HTTP_CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = async {
            let place = place.await.expect("nobody closes the semaphore");
            (place, listener.accept().await)
        };
        let (place, stream, peer) = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            (place, accepted) = accepted => match accepted {
                Ok((stream, peer)) => (place, stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (router, stopping) = (router.clone(), stopping.clone());
        connections.spawn(async move {
            connection(stream, WithPeer { router, peer }, stopping).await;
            drop(place);
        });
    }
    drop((listener, stop));
    let rest = async { while connections.join_next().await.is_some() {} };
    if timeout(limits::HTTP_STOP, rest).await.is_err() {
        // Those who wait for a run or follow a log; they come again.
        connections.shutdown().await;
    }
}

/// Tells each request of a connection where that comes from.
struct WithPeer {
    router: Router,
    peer: SocketAddr,
}

impl Service<Request<Incoming>> for WithPeer {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.peer));
        TowerToHyperService::new(self.router.clone()).call(request)
    }
}

async fn connection(stream: TcpStream, service: WithPeer, mut stopping: watch::Receiver<()>) {
    // Answers are small and awaited; without this the kernel would collect them for a while.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HTTP_READ)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
