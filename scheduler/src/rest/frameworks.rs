//! Who shares the cluster: the frameworks of the master, and what their roles are worth.

use axum::{Json, extract::State, http::StatusCode};
use muster_api::views::{FrameworkView, Page, RoleView, WeightRequest};
use muster_engine::{
    event::{Accepted, Command},
    query::{Answer, Query},
};

use super::{
    Rest,
    auth::By,
    input::{Body, Named, NoBody, NoParams, Params},
    page::PageParams,
    problem::Refusal,
};

/// Frameworks in the order of their ids.
pub(super) async fn list(
    State(rest): State<Rest>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<FrameworkView>>, Refusal> {
    let slice = params.slice(|id| Some(id.to_owned()))?;
    let Answer::Frameworks(all) = rest.driver().query(Query::Frameworks).await? else {
        return Err(Refusal::misunderstanding());
    };
    Ok(Json(slice.of(all, |framework| &framework.id)))
}

/// An operator removes a framework for ever, as its own TEARDOWN would.
pub(super) async fn remove(
    State(rest): State<Rest>,
    By(by): By,
    Named(framework): Named<String>,
    _: NoParams,
    _: NoBody,
) -> Result<StatusCode, Refusal> {
    match rest.driver().command(by, Command::RemoveFramework { framework }).await?? {
        Accepted::Removed => Ok(StatusCode::NO_CONTENT),
        _ => Err(Refusal::misunderstanding()),
    }
}

/// Roles in the order of their names.
pub(super) async fn roles(
    State(rest): State<Rest>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<RoleView>>, Refusal> {
    let slice = params.slice(|role| Some(role.to_owned()))?;
    let Answer::Roles(all) = rest.driver().query(Query::Roles).await? else {
        return Err(Refusal::misunderstanding());
    };
    Ok(Json(slice.of(all, |role| &role.role)))
}

/// An operator says what a role is worth.
pub(super) async fn set_weight(
    State(rest): State<Rest>,
    By(by): By,
    Named(role): Named<String>,
    _: NoParams,
    Body(request): Body<WeightRequest>,
) -> Result<Json<RoleView>, Refusal> {
    let thousandths = u32::try_from(request.weight.thousandths()).unwrap_or(u32::MAX);
    match rest.driver().command(by, Command::SetWeight { role, thousandths }).await?? {
        Accepted::Role(role, _) => Ok(Json(*role)),
        _ => Err(Refusal::misunderstanding()),
    }
}
