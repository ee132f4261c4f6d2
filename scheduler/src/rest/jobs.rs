//! Jobs.

use axum::{extract::State, http::StatusCode, response::Response};
use muster_api::{
    JobName, limits,
    spec::JobSpec,
    views::{JobView, Page, TriggerRequest},
};
use muster_engine::event::Command;

use super::{
    Rest,
    auth::By,
    change::{self, Disabling},
    input::{Body, Document, IdempotencyKey, Named, NoBody, NoParams, Params, Precondition},
    page::{PageParams, decode_cursor, page_of, page_rows},
    problem::Refusal,
};

pub(super) async fn list(
    State(rest): State<Rest>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<Page<JobView>>, Refusal> {
    let rows = page_rows(params.limit, limits::PAGE_ROWS)?;
    let after = decode_cursor(params.cursor.as_deref(), |name| name.parse::<JobName>().ok())?;
    let jobs = rest.read(move |reader| reader.jobs(after.as_ref(), rows + 1)).await?;
    Ok(axum::Json(page_of(jobs, rows, |job| job.spec.name.to_string())))
}

pub(super) async fn get(
    State(rest): State<Rest>,
    Named(name): Named<JobName>,
) -> Result<Response, Refusal> {
    let stored = name.clone();
    match rest.read(move |reader| reader.job_view(&stored)).await? {
        Some(job) => Ok(change::tagged(StatusCode::OK, job.version, &job)),
        None => Err(Refusal::not_found("job", name)),
    }
}

pub(super) async fn put(
    State(rest): State<Rest>,
    By(by): By,
    Named(name): Named<JobName>,
    precondition: Precondition,
    Document(document): Document,
) -> Result<Response, Refusal> {
    let parsed = JobSpec::parse(document)?;
    change::check_name(name.as_str(), parsed.spec.name.as_str())?;
    let expect = precondition.expect(parsed.version)?;
    change::apply(&rest, by, Command::PutJob { spec: parsed.spec, expect }).await
}

pub(super) async fn delete(
    State(rest): State<Rest>,
    By(by): By,
    Named(name): Named<JobName>,
    precondition: Precondition,
) -> Result<StatusCode, Refusal> {
    let expect = precondition.expect(None)?;
    change::delete(&rest, by, Command::DeleteJob { name, expect }).await
}

pub(super) async fn enable(
    State(rest): State<Rest>,
    By(by): By,
    Named(name): Named<JobName>,
    _: NoParams,
    _: NoBody,
) -> Result<Response, Refusal> {
    change::apply(&rest, by, Command::SetJobDisabled { name, disabled: false, kill: false }).await
}

pub(super) async fn disable(
    State(rest): State<Rest>,
    By(by): By,
    Named(name): Named<JobName>,
    Params(disabling): Params<Disabling>,
    _: NoBody,
) -> Result<Response, Refusal> {
    let kill = disabling.kills();
    change::apply(&rest, by, Command::SetJobDisabled { name, disabled: true, kill }).await
}

/// Starts a run, or answers the run that the same key started before.
pub(super) async fn trigger(
    State(rest): State<Rest>,
    By(by): By,
    Named(job): Named<JobName>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Body(request): Body<TriggerRequest>,
) -> Result<Response, Refusal> {
    let command = Command::Trigger { job, request, idempotency_key };
    change::start(&rest, by, command).await
}
