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
    let driver = rest.driver();
    let live = async { (driver.query(Query::Census).await, driver.query(Query::Agents).await) };
    let metrics = rest.metrics();
    match timeout(limits::DRIVER_ANSWER, live).await {
        Ok((Ok(Answer::Census(census)), Ok(Answer::Agents(agents)))) => {
            metrics.set_live(&census, &agents);
        }
        _ => metrics.clear_live(),
    }
    ([(header::CONTENT_TYPE, TEXT)], metrics.text())
}
