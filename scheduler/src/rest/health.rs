//! Whether the scheduler is alive, and whether it works.

use axum::{Json, extract::State};
use muster_api::{limits, views::HeldView};
use muster_engine::query::{Answer, Query};
use serde::Serialize;
use tokio::time::timeout;

use super::{
    Rest,
    problem::{Code, Refusal},
};

/// The process answers.
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// That the driver answers.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    status: &'static str,
    /// Since when the store is held, if it is: a restored one waits for `muster resume`.
    held: Option<HeldView>,
}

/// The driver answers too, so it steps and commits.
pub(super) async fn ready(State(rest): State<Rest>) -> Result<Json<Ready>, Refusal> {
    let answer = rest.driver().query(Query::Held);
    match timeout(limits::DRIVER_ANSWER, answer).await {
        Ok(answer) => match answer? {
            Answer::Held(held) => Ok(Json(Ready { status: "ready", held })),
            _ => Err(Refusal::misunderstanding()),
        },
        Err(_) => Err(Refusal::new(Code::Unavailable, "the scheduler listens but does not step")),
    }
}
