//! The fires of a job: those to come, and the ledger of those that came due.

use axum::{Json, extract::State};
use muster_api::{
    JobName, Timestamp, limits,
    schedule::{Schedule, jitter_offset},
    views::{FireView, NextFire, Page},
};
use muster_engine::query::{Answer, LiveFire, Query};
use serde::Deserialize;

use super::{
    Rest,
    input::{Named, Params},
    ledger::{self, Window},
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
    // What fires inside of executors has no cursor here.
    let Answer::Follows(from) = rest.driver().query(Query::Follows { job: job.clone() }).await?
    else {
        return Err(Refusal::misunderstanding());
    };
    let name = job.clone();
    match rest.read(move |reader| coming(reader, &name, from, count)).await? {
        Some(items) => Ok(Json(Page { items, next: None })),
        None => Err(Refusal::not_found("job", job)),
    }
}

/// The next instants of a job's schedule: after `from`, else from the one that its cursor is at.
/// Nothing when there is no such job.
fn coming(
    reader: &Reader,
    name: &JobName,
    from: Option<Timestamp>,
    count: usize,
) -> Result<Option<Vec<NextFire>>, ReadError> {
    let Some(job) = reader.job(name)? else { return Ok(None) };
    let Some(spec) = &job.spec.schedule else { return Ok(Some(Vec::new())) };
    // What is stored was compiled before; a schedule that this version cannot read never fires.
    let Ok(schedule) = Schedule::compile(spec, job.created_at) else { return Ok(Some(Vec::new())) };
    let first = match from {
        Some(from) => schedule.next_after(from),
        None => reader.cursor(&job)?.and_then(|cursor| cursor.next),
    };
    let instants = std::iter::successors(first, |last| schedule.next_after(*last));
    let jitter = (!spec.jitter.is_zero()).then(|| jitter_offset(spec.jitter, job.uid));
    let fires = instants.take(count).map(|at| NextFire::new(&schedule, at, jitter));
    Ok(Some(fires.collect()))
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
    let cursor = params.cursor.as_deref();
    let place = decode_cursor(cursor, |text| text.parse().ok().map(Timestamp::from_millis))?;
    let window = Window { from: params.from, before: place.or(params.to) };
    // The driver is asked first: a run that it does not know any more is in the store by then.
    let live = live_fires(&rest, &job).await?;
    let name = job.clone();
    let page = rest.read(move |reader| match reader.job(&name)? {
        Some(job) => ledger::page(reader, &job.uid, live, window, rows).map(Some),
        None => Ok(None),
    });
    match page.await? {
        Some((items, next)) => {
            let next = next.map(|before| encode_cursor(before.as_millis()));
            Ok(Json(Page { items, next }))
        }
        None => Err(Refusal::not_found("job", job)),
    }
}

pub(super) async fn live_fires(rest: &Rest, job: &JobName) -> Result<Vec<LiveFire>, Refusal> {
    match rest.driver().query(Query::Fires { job: job.clone() }).await? {
        Answer::Fires(fires) => Ok(fires),
        _ => Err(Refusal::misunderstanding()),
    }
}
