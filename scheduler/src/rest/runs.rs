//! Runs: live ones from the driver, those that are over from the store.
//!
//! The driver is always asked first. A run that it does not know (any more) is in the store by
//! then, so none falls between the two.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use axum::{Json, extract::State, http::StatusCode, response::Response};
use muster_api::{
    JobName, RunId, Span, Timestamp, limits,
    views::{Cause, Page, RerunRequest, RunState, RunView},
};
use muster_engine::{
    event::{Accepted, Command, Rejected},
    query::{Answer, Query},
};
use serde::Deserialize;
use tokio::{sync::broadcast::error::RecvError, time::timeout};

use super::{
    Rest,
    auth::By,
    change,
    input::{Body, IdempotencyKey, Named, NoBody, NoParams, Params},
    page::{decode_cursor, encode_cursor, page_rows},
    problem::{Code, Refusal},
    reader::RunFilter,
    shards,
};
use crate::trace::Actor;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    job: Option<JobName>,
    state: Option<RunState>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Runs, newest first.
pub(super) async fn list(
    State(rest): State<Rest>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<RunView>>, Refusal> {
    let rows = page_rows(params.limit, limits::PAGE_ROWS)?;
    let before = decode_cursor(params.cursor.as_deref(), |id| id.parse().ok())?;
    let ListParams { job, state, from, to, .. } = params;
    let filter = RunFilter { job, state, from, to, before };
    let live = live_runs(&rest, &filter).await?;
    let past = past_runs(&rest, filter, rows + 1).await?;
    Ok(Json(merge(live, past, rows)))
}

/// Runs that are not over, newest first.
#[derive(Debug, Default)]
struct LiveRuns {
    runs: Vec<RunView>,
    /// The run up to which was looked, when older ones may be wanted too.
    stopped_at: Option<RunId>,
}

/// Live runs that are wanted.
async fn live_runs(rest: &Rest, filter: &RunFilter) -> Result<LiveRuns, Refusal> {
    if filter.state.is_some_and(RunState::is_over) {
        return Ok(LiveRuns::default());
    }
    let query = Query::Runs { job: filter.job.clone(), before: filter.end() };
    let Answer::Runs(mut runs) = rest.driver().query(query).await? else {
        return Err(Refusal::misunderstanding());
    };
    let is_full = runs.len() >= limits::LIVE_ROWS;
    let stopped_at = runs.last().filter(|_| is_full).map(|run| run.id);
    runs.retain(|run| filter.wants(run));
    Ok(LiveRuns { runs, stopped_at })
}

/// Runs that are over and wanted; no more than `limit`.
async fn past_runs(rest: &Rest, filter: RunFilter, limit: usize) -> Result<Vec<RunView>, Refusal> {
    if filter.state.is_some_and(|state| !state.is_over()) {
        return Ok(Vec::new());
    }
    let job = filter.job.clone();
    let past = rest.read(move |reader| {
        let uid = match &filter.job {
            None => None,
            Some(job) => match reader.job(job)? {
                Some(job) => Some(job.uid),
                None => return Ok(None),
            },
        };
        reader.past_runs(&filter, uid, limit).map(Some)
    });
    match (past.await?, job) {
        (Some(past), _) => Ok(past),
        (None, Some(job)) => Err(Refusal::not_found("job", job)),
        (None, None) => Ok(Vec::new()),
    }
}

/// One page of both.
fn merge(live: LiveRuns, past: Vec<RunView>, limit: usize) -> Page<RunView> {
    // A run that ended in between is in both; what the store has is newer.
    let all: BTreeMap<_, _> =
        live.runs.into_iter().chain(past).map(|run| (Reverse(run.id), run)).collect();
    // Below where the live ones were looked through, past ones wait for what is between.
    let stopped_at = live.stopped_at;
    let mut items: Vec<_> =
        all.into_values().filter(|run| stopped_at.is_none_or(|at| run.id >= at)).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more).map(|run| run.id);
    Page { items, next: last.or(stopped_at).map(encode_cursor) }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GetParams {
    wait: Option<Span>,
}

/// A run with its first shards; with `wait`, as soon as it is over or so much time has passed.
pub(super) async fn get(
    State(rest): State<Rest>,
    Named(run): Named<RunId>,
    Params(params): Params<GetParams>,
) -> Result<Json<RunView>, Refusal> {
    let wait = params.wait.unwrap_or_default().duration();
    if wait > limits::WAIT_MAX {
        let max = limits::WAIT_MAX.as_secs();
        return Err(Refusal::request(format!("`wait` may be at most {max}s; ask again then")));
    }
    await_end(&rest, run, wait).await?;
    if let Some(view) = live_run(&rest, run).await?
        && let Some(shards) = shards::live(&rest, run, None, None, limits::SHARDS_IN_RUN).await?
    {
        return Ok(Json(RunView { shards: Some(shards), ..view }));
    }
    let past = rest.read(move |reader| {
        let Some(record) = reader.past_run(&run)? else { return Ok(None) };
        let shards = reader.past_shards(&record, None, None, limits::SHARDS_IN_RUN)?;
        Ok(Some(RunView { shards: Some(shards), ..record.past_view() }))
    });
    past.await?.map(Json).ok_or_else(|| Refusal::not_found("run", run))
}

/// Waits until a run is over, unless it takes too long.
async fn await_end(rest: &Rest, run: RunId, wait: Duration) -> Result<(), Refusal> {
    // Listening begins before looking, so that no end is missed.
    let mut ends = rest.driver().runs_over();
    if wait.is_zero() || live_run(rest, run).await?.is_none() {
        return Ok(());
    }
    let end = async {
        loop {
            match ends.recv().await {
                Ok(ended) if ended == run => return Ok(()),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) if live_run(rest, run).await?.is_some() => {}
                Err(_) => return Ok(()),
            }
        }
    };
    timeout(wait, end).await.unwrap_or(Ok(()))
}

/// A run that is not over, without its shards.
async fn live_run(rest: &Rest, run: RunId) -> Result<Option<RunView>, Refusal> {
    match rest.driver().query(Query::Run { run }).await? {
        Answer::Run(view) => Ok(view.map(|view| *view)),
        _ => Err(Refusal::misunderstanding()),
    }
}

/// Asks a run to end.
pub(super) async fn cancel(
    State(rest): State<Rest>,
    By(by): By,
    Named(run): Named<RunId>,
    _: NoParams,
    _: NoBody,
) -> Result<(StatusCode, Json<RunView>), Refusal> {
    end(&rest, by, run, Command::Cancel { run }).await
}

/// Asks the task of one shard to end.
pub(super) async fn kill(
    State(rest): State<Rest>,
    By(by): By,
    Named((run, item)): Named<(RunId, u32)>,
    _: NoParams,
    _: NoBody,
) -> Result<(StatusCode, Json<RunView>), Refusal> {
    end(&rest, by, run, Command::KillTask { run, item }).await
}

/// Asks for the end of a run or of something in it; one that is over says so.
async fn end(
    rest: &Rest,
    by: Actor,
    run: RunId,
    command: Command,
) -> Result<(StatusCode, Json<RunView>), Refusal> {
    match rest.driver().command(by, command).await? {
        Ok(Accepted::Run(view)) => Ok((StatusCode::ACCEPTED, Json(*view))),
        Ok(_) => Err(Refusal::misunderstanding()),
        Err(rejected @ Rejected::Conflict { .. }) => Err(rejected.into()),
        Err(rejected) => match rest.read(move |reader| reader.past_run(&run)).await? {
            Some(past) => {
                let state = past.state.as_str();
                let detail = format!("run `{run}` is over already: {state}");
                Err(Refusal::new(Code::Conflict, detail))
            }
            None => Err(rejected.into()),
        },
    }
}

/// Starts a run once more that is over, or answers the run that the same key started before.
pub(super) async fn rerun(
    State(rest): State<Rest>,
    By(by): By,
    Named(run): Named<RunId>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Body(request): Body<RerunRequest>,
) -> Result<Response, Refusal> {
    if let Some(live) = live_run(&rest, run).await? {
        let job = &live.job;
        let how = match live.cause {
            Cause::Daemon => {
                format!("it is that of daemon job `{job}`, which ends when you disable the job")
            }
            Cause::Schedule | Cause::Trigger | Cause::Rerun => {
                "wait for its end, or cancel it".to_owned()
            }
        };
        let detail = format!("run `{run}` is not over yet; {how}");
        return Err(Refusal::new(Code::Conflict, detail));
    }
    let former = rest.read(move |reader| reader.past_run(&run)).await?;
    let former = Box::new(former.ok_or_else(|| Refusal::not_found("run", run))?);
    change::start(&rest, by, Command::Rerun { former, request, idempotency_key }).await
}
