//! Backups, and what ends the hold of a store that was restored from one.

use std::io;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use http_body_util::channel::{Channel, Sender};
use muster_api::views::ResumeRequest;
use muster_engine::event::{Accepted, Command};
use serde::Serialize;
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{
    Rest,
    auth::By,
    input::{Body as JsonBody, NoParams},
    problem::{Code, Refusal},
};
use crate::backup::{Backup, BackupError};

/// A copy of the store as it is at one commit, while commits go on.
pub(super) async fn make(State(rest): State<Rest>, _: NoParams) -> Result<Response, Refusal> {
    let backups = rest.backups().clone();
    // It waits for a commit that goes on.
    let begun = spawn_blocking(move || backups.begin()).await;
    let failed = |_| Refusal::new(Code::Internal, "the backup cannot begin; the log says more");
    let backup = begun.map_err(failed)??;
    let (sender, body) = Channel::new(1);
    spawn_blocking(move || send(backup, sender));
    let kind = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"muster.backup\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((kind, Body::new(body)).into_response())
}

/// Sends a backup as fast as its reader takes it, on a thread that may wait. One that ends early
/// breaks the answer off too, so that nobody takes it for complete.
fn send(backup: Backup, mut to: Sender<Bytes, io::Error>) {
    let runtime = Handle::current();
    let written = backup.write(&mut |bytes| {
        // A reader that takes nothing for too long loses its connection, which ends this too.
        let sent = runtime.block_on(to.send_data(bytes));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    });
    match written {
        Ok(trailer) => tracing::info!(?trailer, "backup made"),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "backup not made");
            to.abort(io::Error::other(error));
        }
    }
}

impl From<BackupError> for Refusal {
    fn from(error: BackupError) -> Self {
        Self::new(Code::Unavailable, error.to_string())
    }
}

/// That a held store goes on.
#[derive(Debug, Serialize)]
struct Resumed {
    held: Option<()>,
    replay: bool,
}

/// Lets a restored store fire, launch and kill again.
pub(super) async fn resume(
    State(rest): State<Rest>,
    By(by): By,
    _: NoParams,
    JsonBody(request): JsonBody<ResumeRequest>,
) -> Result<Response, Refusal> {
    let ResumeRequest { replay } = request;
    match rest.driver().command(by, Command::Resume { replay }).await?? {
        Accepted::Resumed => Ok(Json(Resumed { held: None, replay }).into_response()),
        _ => Err(Refusal::misunderstanding()),
    }
}
