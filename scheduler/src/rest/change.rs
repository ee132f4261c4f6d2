//! Changes of documents: what they are checked for, and how they are answered.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use muster_api::spec::Fault;
use muster_engine::event::{Accepted, Change, Command};
use serde::{Deserialize, Serialize};

use super::{Rest, problem::Refusal};
use crate::trace::Actor;

/// How a job or an app is disabled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disabling {
    running: Option<Running>,
}

/// What becomes of runs that go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Running {
    Kill,
}

impl Disabling {
    /// Whether runs that go on are killed.
    pub(super) fn kills(&self) -> bool {
        self.running == Some(Running::Kill)
    }
}

/// Checks that a document is put where it belongs.
pub(super) fn check_name(in_path: &str, in_body: &str) -> Result<(), Refusal> {
    if in_path == in_body {
        return Ok(());
    }
    let message = format!("`{in_body}` is put under the name `{in_path}`; the two must be equal");
    Err(Refusal::faults(vec![Fault { field: "name".to_owned(), message }]))
}

/// Makes a change that leaves a document, and answers the document.
pub(super) async fn apply(rest: &Rest, by: Actor, command: Command) -> Result<Response, Refusal> {
    match rest.driver().command(by, command).await?? {
        Accepted::App(app, change) => Ok(changed(change, app.version, &*app)),
        Accepted::Job(job, change) => Ok(changed(change, job.version, &*job)),
        Accepted::Deleted { .. }
        | Accepted::Run(_)
        | Accepted::Resumed
        | Accepted::Reconciling { .. }
        | Accepted::Agent(_)
        | Accepted::Role(..)
        | Accepted::Credential(_)
        | Accepted::Revoked
        | Accepted::Removed => Err(Refusal::misunderstanding()),
    }
}

/// Makes a change that leaves nothing.
pub(super) async fn delete(
    rest: &Rest,
    by: Actor,
    command: Command,
) -> Result<StatusCode, Refusal> {
    match rest.driver().command(by, command).await?? {
        Accepted::Deleted { .. } => Ok(StatusCode::NO_CONTENT),
        _ => Err(Refusal::misunderstanding()),
    }
}

/// Makes a change that starts a run, and answers the run.
pub(super) async fn start(rest: &Rest, by: Actor, command: Command) -> Result<Response, Refusal> {
    match rest.driver().command(by, command).await?? {
        Accepted::Run(run) => {
            let location = [(header::LOCATION, format!("/v1/runs/{}", run.id))];
            Ok((StatusCode::ACCEPTED, location, Json(run)).into_response())
        }
        _ => Err(Refusal::misunderstanding()),
    }
}

fn changed(change: Change, version: u64, document: &impl Serialize) -> Response {
    let (status, word) = match change {
        Change::Created => (StatusCode::CREATED, "created"),
        Change::Updated => (StatusCode::OK, "updated"),
        Change::Unchanged => (StatusCode::OK, "unchanged"),
    };
    let header = HeaderName::from_static("muster-change");
    ([(header, HeaderValue::from_static(word))], tagged(status, version, document)).into_response()
}

/// A document with its version as entity tag.
pub(super) fn tagged(status: StatusCode, version: u64, document: &impl Serialize) -> Response {
    (status, [(header::ETAG, format!("\"{version}\""))], Json(document)).into_response()
}
