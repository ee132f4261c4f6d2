//! Executor hosts, and what waits for room on them.

use axum::{Json, extract::State, http::StatusCode};
use muster_api::{
    AgentId, limits,
    spec::Fault,
    views::{AgentView, DrainRequest, OfferView, Page, QueueView, ReconcilingView},
};
use muster_engine::{
    event::{Accepted, Command},
    query::{Answer, Query},
};

use super::{
    Rest,
    auth::By,
    input::{Body, Named, NoBody, NoParams, Params},
    page::{PageParams, decode_cursor, encode_cursor, page_rows},
    problem::Refusal,
};

/// Hosts in the order of their ids.
pub(super) async fn list(
    State(rest): State<Rest>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<AgentView>>, Refusal> {
    let slice = params.slice(|id| id.parse::<AgentId>().ok())?;
    Ok(Json(slice.of(all(&rest).await?, |agent| &agent.id)))
}

pub(super) async fn get(
    State(rest): State<Rest>,
    Named(id): Named<AgentId>,
) -> Result<Json<AgentView>, Refusal> {
    let agent = all(&rest).await?.into_iter().find(|agent| agent.id == id);
    let mut agent = agent.ok_or_else(|| Refusal::not_found("agent", &id))?;
    if agent.drain.is_some() {
        match rest.driver().query(Query::LeftOn { agent: id }).await? {
            Answer::LeftOn(left) => agent.left = left,
            _ => return Err(Refusal::misunderstanding()),
        }
    }
    Ok(Json(agent))
}

async fn all(rest: &Rest) -> Result<Vec<AgentView>, Refusal> {
    match rest.driver().query(Query::Agents).await? {
        Answer::Agents(agents) => Ok(agents),
        _ => Err(Refusal::misunderstanding()),
    }
}

/// An operator says that a host will never come back.
pub(super) async fn mark_gone(
    State(rest): State<Rest>,
    By(by): By,
    Named(agent): Named<AgentId>,
    _: NoParams,
    _: NoBody,
) -> Result<Json<AgentView>, Refusal> {
    match rest.driver().command(by, Command::MarkAgentGone { agent }).await?? {
        Accepted::Agent(agent) => Ok(Json(*agent)),
        _ => Err(Refusal::misunderstanding()),
    }
}

/// An operator wants a host empty. Without a body there is no deadline.
pub(super) async fn drain(
    State(rest): State<Rest>,
    By(by): By,
    Named(agent): Named<AgentId>,
    _: NoParams,
    Body(request): Body<DrainRequest>,
) -> Result<Json<AgentView>, Refusal> {
    let DrainRequest { deadline } = request;
    if let Some(deadline) = deadline.filter(|span| *span > limits::DRAIN_DEADLINE_MAX) {
        let most = limits::DRAIN_DEADLINE_MAX;
        let message = format!("it is `{deadline}`, and at most {most} are allowed");
        return Err(Refusal::faults(vec![Fault { field: "deadline".to_owned(), message }]));
    }
    match rest.driver().command(by, Command::DrainAgent { agent, deadline }).await?? {
        Accepted::Agent(agent) => Ok(Json(*agent)),
        _ => Err(Refusal::misunderstanding()),
    }
}

/// A host that was drained is to be used again.
pub(super) async fn activate(
    State(rest): State<Rest>,
    By(by): By,
    Named(agent): Named<AgentId>,
    _: NoParams,
    _: NoBody,
) -> Result<Json<AgentView>, Refusal> {
    match rest.driver().command(by, Command::ActivateAgent { agent }).await?? {
        Accepted::Agent(agent) => Ok(Json(*agent)),
        _ => Err(Refusal::misunderstanding()),
    }
}

/// Has the master asked for the truth about every task.
pub(super) async fn reconcile(
    State(rest): State<Rest>,
    By(by): By,
    _: NoParams,
    _: NoBody,
) -> Result<(StatusCode, Json<ReconcilingView>), Refusal> {
    match rest.driver().command(by, Command::Reconcile).await?? {
        Accepted::Reconciling { tasks } => {
            Ok((StatusCode::ACCEPTED, Json(ReconcilingView { tasks })))
        }
        _ => Err(Refusal::misunderstanding()),
    }
}

/// What waits, in the order in which it is served. The place of a row is its number in this
/// order, which changes as runs start.
pub(super) async fn queue(
    State(rest): State<Rest>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<QueueView>>, Refusal> {
    let limit = page_rows(params.limit, limits::LIVE_ROWS)?;
    let skip = decode_cursor(params.cursor.as_deref(), |skip| skip.parse().ok())?.unwrap_or(0);
    let Answer::Queue(items) = rest.driver().query(Query::Queue { skip, limit }).await? else {
        return Err(Refusal::misunderstanding());
    };
    // The driver answers no row beyond `limit`, so a full page may be the last one.
    let next = (items.len() == limit).then(|| encode_cursor(skip + limit));
    Ok(Json(Page { items, next }))
}

/// What is offered, to whom and since when, by agent.
pub(super) async fn offers(
    State(rest): State<Rest>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<OfferView>>, Refusal> {
    let limit = page_rows(params.limit, limits::LIVE_ROWS)?;
    let skip = decode_cursor(params.cursor.as_deref(), |skip| skip.parse().ok())?.unwrap_or(0);
    let Answer::Offers(items) = rest.driver().query(Query::Offers { skip, limit }).await? else {
        return Err(Refusal::misunderstanding());
    };
    let next = (items.len() == limit).then(|| encode_cursor(skip + limit));
    Ok(Json(Page { items, next }))
}
