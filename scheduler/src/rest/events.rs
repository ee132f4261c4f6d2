//! What happened, page by page; [`super::event_stream`] sends it as it happens.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use muster_api::{
    AppName, JobName, RunId, TaskId, Timestamp,
    events::{EventId, EventKind, EventView},
    limits,
    views::Page,
};
use serde::Deserialize;

use super::{
    Rest,
    input::Params,
    page::{decode_cursor, encode_cursor, page_rows},
    problem::Refusal,
};
use crate::trace::EventFilter;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    app: Option<AppName>,
    job: Option<JobName>,
    run: Option<RunId>,
    task: Option<TaskId>,
    agent: Option<String>,
    kind: Option<EventKind>,
    state: Option<String>,
    actor: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamParams {
    app: Option<AppName>,
    job: Option<JobName>,
    run: Option<RunId>,
    task: Option<TaskId>,
    agent: Option<String>,
    kind: Option<EventKind>,
    state: Option<String>,
    actor: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    pub(super) after: Option<EventId>,
}

impl ListParams {
    fn filter(self) -> Result<EventFilter, Refusal> {
        let Self { app, job, run, task, agent, kind, state, actor, from, to, .. } = self;
        checked(EventFilter { app, job, run, task, agent, kind, state, actor, from, to })
    }
}

impl StreamParams {
    pub(super) fn filter(self) -> Result<EventFilter, Refusal> {
        let Self { app, job, run, task, agent, kind, state, actor, from, to, .. } = self;
        checked(EventFilter { app, job, run, task, agent, kind, state, actor, from, to })
    }
}

/// Refuses what no event could have, so that nobody takes an empty list for an answer.
fn checked(filter: EventFilter) -> Result<EventFilter, Refusal> {
    let texts = [("agent", &filter.agent), ("state", &filter.state), ("actor", &filter.actor)];
    for (name, text) in texts {
        if text.as_deref() == Some("") {
            return Err(Refusal::request(format!("the parameter `{name}` is empty; leave it out")));
        }
    }
    if let Some(state) = &filter.state {
        check_state(filter.kind, state)?;
    }
    match (filter.from, filter.to) {
        (Some(from), Some(to)) if from >= to => {
            let detail = format!("`from` is {from}, which is not before `to`, {to}");
            Err(Refusal::request(detail))
        }
        _ => Ok(filter),
    }
}

/// Refuses a state that events of this kind, or of any, never have.
fn check_state(kind: Option<EventKind>, state: &str) -> Result<(), Refusal> {
    let kinds = kind.map_or_else(|| EventKind::ALL.to_vec(), |kind| vec![kind]);
    if kinds.iter().any(|kind| kind.has_state(state)) {
        return Ok(());
    }
    let whose = kind.map_or_else(String::new, |kind| format!(" of the kind `{}`", kind.as_str()));
    let known: BTreeSet<_> = kinds.iter().flat_map(|kind| kind.states()).copied().collect();
    let known = known.into_iter().collect::<Vec<_>>().join("`, `");
    Err(Refusal::request(format!("no event{whose} has the state `{state}`; there are `{known}`")))
}

/// Events, the newest first. A page on which few are wanted may be short, or even empty, and name a
/// next one: so much is looked through at a time, and no more.
pub(super) async fn list(
    State(rest): State<Rest>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<EventView>>, Refusal> {
    let rows = page_rows(params.limit, limits::PAGE_ROWS)?;
    let before = decode_cursor(params.cursor.as_deref(), |id| id.parse::<EventId>().ok())?;
    let filter = params.filter()?;
    let found = rest.read(move |reader| reader.events_before(&filter, before, rows)).await?;
    Ok(Json(Page { items: found.events, next: found.next.map(encode_cursor) }))
}
