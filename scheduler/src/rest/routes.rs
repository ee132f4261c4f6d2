//! The route table.

use std::sync::Arc;

use axum::{
    Router,
    extract::OriginalUri,
    http::Method,
    middleware::from_fn_with_state,
    routing::{delete, get, post, put},
};

use super::{
    agents, apps, auth, backup, credentials, event_stream,
    event_stream::Streams,
    events, explain, fires, frameworks, health, jobs, logs,
    logs::LogSource,
    metrics, notices,
    problem::{Code, Refusal},
    reader::{ReadError, Reader},
    runs, shards,
};
use crate::{
    backup::Backups, handle::DriverHandle, metrics::Metrics, secrets::Token, store::History,
    trace::NewestEvent,
};

/// What the handlers ask.
#[derive(Clone)]
pub struct Rest {
    driver: DriverHandle,
    reader: Reader,
    backups: Backups,
    logs: Arc<dyn LogSource>,
    streams: Streams,
    metrics: Arc<Metrics>,
    token: Token,
}

impl Rest {
    /// Asks `driver` for changes and live state, `history` for what is stored and `logs` for the
    /// output of tasks, streams events up to `newest`, and shows `metrics`, on behalf of those who know `token`.
    pub fn new(
        driver: DriverHandle,
        history: Arc<dyn History>,
        backups: Backups,
        logs: Arc<dyn LogSource>,
        newest: NewestEvent,
        metrics: Arc<Metrics>,
        token: Token,
    ) -> Self {
        let streams = Streams::new(newest);
        Self { driver, reader: Reader::new(history), backups, logs, streams, metrics, token }
    }

    pub(super) fn driver(&self) -> &DriverHandle {
        &self.driver
    }

    pub(super) fn backups(&self) -> &Backups {
        &self.backups
    }

    pub(super) fn logs(&self) -> &Arc<dyn LogSource> {
        &self.logs
    }

    pub(super) fn streams(&self) -> &Streams {
        &self.streams
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// Reads from the store, on a thread that may wait for the disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let reader = self.reader.clone();
        match tokio::task::spawn_blocking(move || read(&reader)).await {
            Ok(result) => Ok(result?),
            Err(error) => {
                tracing::error!(%error, "a read from the store did not end well");
                Err(Refusal::new(Code::Internal, "a read from the store failed; the log says more"))
            }
        }
    }
}

/// All routes.
pub fn router(rest: Rest) -> Router {
    let authorized = from_fn_with_state(rest.clone(), auth::require_token);
    let v1 = Router::new()
        .route("/apps", get(apps::list))
        .route("/apps/{app}", get(apps::get).put(apps::put).delete(apps::delete))
        .route("/apps/{app}/enable", post(apps::enable))
        .route("/apps/{app}/disable", post(apps::disable))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{job}", get(jobs::get).put(jobs::put).delete(jobs::delete))
        .route("/jobs/{job}/enable", post(jobs::enable))
        .route("/jobs/{job}/disable", post(jobs::disable))
        .route("/jobs/{job}/trigger", post(jobs::trigger))
        .route("/jobs/{job}/explain", get(explain::job))
        .route("/jobs/{job}/next", get(fires::next))
        .route("/jobs/{job}/fires", get(fires::list))
        .route("/runs", get(runs::list))
        .route("/runs/{run}", get(runs::get))
        .route("/runs/{run}/cancel", post(runs::cancel))
        .route("/runs/{run}/rerun", post(runs::rerun))
        .route("/runs/{run}/explain", get(explain::run))
        .route("/runs/{run}/shards", get(shards::list))
        .route("/runs/{run}/shards/{item}/logs", get(logs::read))
        .route("/runs/{run}/shards/{item}/kill", post(runs::kill))
        .route("/agents", get(agents::list))
        .route("/agents/{agent}", get(agents::get))
        .route("/agents/{agent}/drain", post(agents::drain))
        .route("/agents/{agent}/activate", post(agents::activate))
        .route("/agents/{agent}/gone", post(agents::mark_gone))
        .route("/events", get(events::list))
        .route("/events/stream", get(event_stream::stream))
        .route("/frameworks", get(frameworks::list))
        .route("/frameworks/{framework}", delete(frameworks::remove))
        .route("/roles", get(frameworks::roles))
        .route("/roles/{*role}", put(frameworks::set_weight))
        .route("/credentials", get(credentials::list).post(credentials::create))
        .route("/credentials/{*principal}", delete(credentials::revoke))
        .route("/reconcile", post(agents::reconcile))
        .route("/queue", get(agents::queue))
        .route("/offers", get(agents::offers))
        .route("/notices", get(notices::list))
        .route("/backup", get(backup::make))
        .route("/resume", post(backup::resume))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(authorized.clone());
    Router::new()
        .route("/healthz", get(health::healthy))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::get).layer(authorized))
        .nest("/v1", v1)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(rest)
}

async fn no_route(OriginalUri(uri): OriginalUri) -> Refusal {
    Refusal::not_found("path", uri.path())
}

async fn no_method(method: Method, OriginalUri(uri): OriginalUri) -> Refusal {
    let path = uri.path();
    Refusal::new(Code::MethodNotAllowed, format!("`{path}` does not take `{method}`"))
}
