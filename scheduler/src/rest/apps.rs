//! Apps.

use axum::{extract::State, http::StatusCode, response::Response};
use muster_api::{
    AppName, limits,
    spec::AppSpec,
    views::{AppView, Page},
};
use muster_engine::event::Command;

use super::{
    Rest,
    auth::By,
    change::{self, Disabling},
    input::{Document, Named, NoBody, NoParams, Params, Precondition},
    page::{PageParams, decode_cursor, page_of, page_rows},
    problem::Refusal,
};

pub(super) async fn list(
    State(rest): State<Rest>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<Page<AppView>>, Refusal> {
    let rows = page_rows(params.limit, limits::PAGE_ROWS)?;
    let after = decode_cursor(params.cursor.as_deref(), |name| name.parse::<AppName>().ok())?;
    let apps = rest.read(move |reader| reader.apps(after.as_ref(), rows + 1)).await?;
    Ok(axum::Json(page_of(apps, rows, |app| app.spec.name.to_string())))
}

pub(super) async fn get(
    State(rest): State<Rest>,
    Named(name): Named<AppName>,
) -> Result<Response, Refusal> {
    let stored = name.clone();
    match rest.read(move |reader| reader.app(&stored)).await? {
        Some(app) => Ok(change::tagged(StatusCode::OK, app.version, &app.view())),
        None => Err(Refusal::not_found("app", name)),
    }
}

pub(super) async fn put(
    State(rest): State<Rest>,
    By(by): By,
    Named(name): Named<AppName>,
    precondition: Precondition,
    Document(document): Document,
) -> Result<Response, Refusal> {
    let parsed = AppSpec::parse(document)?;
    change::check_name(name.as_str(), parsed.spec.name.as_str())?;
    let expect = precondition.expect(parsed.version)?;
    change::apply(&rest, by, Command::PutApp { spec: parsed.spec, expect }).await
}

pub(super) async fn delete(
    State(rest): State<Rest>,
    By(by): By,
    Named(name): Named<AppName>,
    precondition: Precondition,
) -> Result<StatusCode, Refusal> {
    let expect = precondition.expect(None)?;
    change::delete(&rest, by, Command::DeleteApp { name, expect }).await
}

pub(super) async fn enable(
    State(rest): State<Rest>,
    By(by): By,
    Named(name): Named<AppName>,
    _: NoParams,
    _: NoBody,
) -> Result<Response, Refusal> {
    change::apply(&rest, by, Command::SetAppDisabled { name, disabled: false, kill: false }).await
}

pub(super) async fn disable(
    State(rest): State<Rest>,
    By(by): By,
    Named(name): Named<AppName>,
    Params(disabling): Params<Disabling>,
    _: NoBody,
) -> Result<Response, Refusal> {
    let kill = disabling.kills();
    change::apply(&rest, by, Command::SetAppDisabled { name, disabled: true, kill }).await
}
