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
use muster_api::limits;
use muster_engine::event::{Accepted, Command};
use serde::{Deserialize, Serialize};
use tokio::{runtime::Handle, task::spawn_blocking, time::timeout};

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
        let sent =
            runtime.block_on(async { timeout(limits::BACKUP_STALL, to.send_data(bytes)).await });
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
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

/// How a held store goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resuming {
    /// Whether what was due meanwhile is made good by the misfire rule.
    #[serde(default)]
    replay: bool,
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
    JsonBody(resuming): JsonBody<Resuming>,
) -> Result<Response, Refusal> {
    let Resuming { replay } = resuming;
    match rest.driver().command(by, Command::Resume { replay }).await?? {
        Accepted::Resumed => Ok(Json(Resumed { held: None, replay }).into_response()),
        _ => Err(Refusal::misunderstanding()),
    }
}
