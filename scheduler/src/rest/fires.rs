//! The fires of a job: those to come, and the ledger of those that came due.

use axum::{Json, extract::State};
use muster_api::{
    JobName, Timestamp, limits,
    schedule::Schedule,
    views::{FireView, NextFire, Page},
};
use muster_engine::query::{Answer, LiveFire, Query};
use serde::Deserialize;

use super::{
    Rest,
    input::{Named, Params},
    ledger::{self, Place},
    page::{decode_cursor, encode_cursor, page_rows},
    problem::Refusal,
    reader::{ReadError, Reader},
};

/// Coming fires when the caller does not say how many.
const NEXT_DEFAULT: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NextParams {
    count: Option<usize>,
}

/// The coming fires of a job.
pub(super) async fn next(
    State(rest): State<Rest>,
    Named(job): Named<JobName>,
    Params(params): Params<NextParams>,
) -> Result<Json<Page<NextFire>>, Refusal> {
    let count = params.count.unwrap_or(NEXT_DEFAULT);
    if !(1..=limits::PAGE_ROWS).contains(&count) {
        let max = limits::PAGE_ROWS;
        return Err(Refusal::request(format!("`count` is {count}, and may be 1 to {max}")));
    }
    let name = job.clone();
    match rest.read(move |reader| coming(reader, &name, count)).await? {
        Some(items) => Ok(Json(Page { items, next: None })),
        None => Err(Refusal::not_found("job", job)),
    }
}

/// The next instants of a job's schedule, from the one that its cursor is at. Nothing when there
/// is no such job.
fn coming(
    reader: &Reader,
    name: &JobName,
    count: usize,
) -> Result<Option<Vec<NextFire>>, ReadError> {
    let Some(job) = reader.job(name)? else { return Ok(None) };
    let first = reader.cursor(&job)?.and_then(|cursor| cursor.next);
    let schedule = job.spec.schedule.as_ref();
    // What is stored was compiled before; a schedule that this version cannot read never fires.
    let schedule = schedule.and_then(|spec| Schedule::compile(spec, job.created_at).ok());
    let fires = std::iter::successors(first, |last| schedule.as_ref()?.next_after(*last));
    Ok(Some(fires.take(count).map(|planned_at| NextFire { planned_at }).collect()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The ledger of a job, newest instant first.
pub(super) async fn list(
    State(rest): State<Rest>,
    Named(job): Named<JobName>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<FireView>>, Refusal> {
    let rows = page_rows(params.limit, limits::PAGE_ROWS)?;
    let place = decode_cursor(params.cursor.as_deref(), Place::parse)?;
    let from = params.from;
    let place = place.unwrap_or(Place { before: params.to, run: None });
    // The driver is asked first: a run that it does not know any more is in the store by then.
    let live = live_fires(&rest, &job).await?;
    let name = job.clone();
    let page = rest.read(move |reader| match reader.job(&name)? {
        Some(job) => ledger::page(reader, job.uid, live, from, place, rows).map(Some),
        None => Ok(None),
    });
    match page.await? {
        Some((items, next)) => Ok(Json(Page { items, next: next.map(encode_cursor) })),
        None => Err(Refusal::not_found("job", job)),
    }
}

async fn live_fires(rest: &Rest, job: &JobName) -> Result<Vec<LiveFire>, Refusal> {
    match rest.driver().query(Query::Fires { job: job.clone() }).await? {
        Answer::Fires(fires) => Ok(fires),
        _ => Err(Refusal::misunderstanding()),
    }
}
