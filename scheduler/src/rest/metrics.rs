//! What the scheduler counts and measures.

use axum::{extract::State, http::header, response::IntoResponse};
use muster_api::limits;
use muster_engine::query::{Answer, Query};
use tokio::time::timeout;

use super::{Rest, input::NoParams};

/// The media type of the text format.
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics. What only the driver knows is asked for now; a driver that does not answer is no
/// reason to show nothing, on the contrary.
pub(super) async fn get(State(rest): State<Rest>, _: NoParams) -> impl IntoResponse {
    let metrics = rest.metrics();
    let held = rest.driver().query(Query::Held);
    if let Ok(Ok(Answer::Held(held))) = timeout(limits::DRIVER_ANSWER, held).await {
        metrics.set_held(held.is_some());
    }
    ([(header::CONTENT_TYPE, TEXT)], metrics.text())
}
