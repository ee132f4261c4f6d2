//! Whether the scheduler is alive, and whether it works.

use axum::extract::State;
use muster_api::limits;
use muster_engine::query::Query;
use tokio::time::timeout;

use super::{
    Rest,
    problem::{Code, Refusal},
};

/// The process answers.
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// The driver answers too, so it steps and commits.
pub(super) async fn ready(State(rest): State<Rest>) -> Result<&'static str, Refusal> {
    let answer = rest.driver().query(Query::Queue { skip: 0, limit: 1 });
    match timeout(limits::DRIVER_ANSWER, answer).await {
        Ok(answer) => answer.map(|_| "ready\n").map_err(Refusal::from),
        Err(_) => Err(Refusal::new(Code::Unavailable, "the scheduler listens but does not step")),
    }
}
