//! The shards of a run.

use axum::{Json, extract::State};
use muster_api::{
    RunId, limits,
    views::{Page, ShardState, ShardView},
};
use muster_engine::query::{Answer, Query};
use serde::Deserialize;

use super::{
    Rest,
    input::{Named, Params},
    page::{decode_cursor, page_of, page_rows},
    problem::Refusal,
    reader::Reader,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    state: Option<ShardState>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The shards of a run, by item.
pub(super) async fn list(
    State(rest): State<Rest>,
    Named(run): Named<RunId>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<ShardView>>, Refusal> {
    let rows = page_rows(params.limit, limits::PAGE_ROWS)?;
    let after = decode_cursor(params.cursor.as_deref(), |item| item.parse().ok())?;
    let state = params.state;
    let shards = match live(&rest, run, state, after, rows + 1).await? {
        Some(shards) => shards,
        None => {
            let past = rest.read(move |reader| match reader.past_run(&run)? {
                Some(record) => reader.past_shards(&record, state, after, rows + 1).map(Some),
                None => Ok(None),
            });
            past.await?.ok_or_else(|| Refusal::not_found("run", run))?
        }
    };
    Ok(Json(page_of(shards, rows, |shard| shard.item.to_string())))
}

/// The shards of a run that is not over; nothing when it is, or never was.
pub(super) async fn live(
    rest: &Rest,
    run: RunId,
    state: Option<ShardState>,
    mut after: Option<u32>,
    limit: usize,
) -> Result<Option<Vec<ShardView>>, Refusal> {
    let mut shards: Vec<ShardView> = Vec::new();
    while shards.len() < limit {
        let wanted = (limit - shards.len()).min(limits::LIVE_ROWS);
        let query = Query::Shards { run, state, after, limit: wanted };
        let Answer::Shards(answer) = rest.driver().query(query).await? else {
            return Err(Refusal::misunderstanding());
        };
        let Some(rows) = answer else { return Ok(None) };
        let complete = rows.len() < wanted;
        after = rows.last().map(|shard| shard.item).or(after);
        shards.extend(rows);
        if complete {
            break;
        }
    }
    rest.read(move |reader| {
        add_starts(reader, &mut shards)?;
        shards.into_iter().map(|shard| with_past(reader, run, shard)).collect()
    })
    .await
    .map(Some)
}

/// Adds when tasks began to run that ran already when this scheduler started: it heard that they run,
/// and not since when.
fn add_starts(reader: &Reader, shards: &mut [ShardView]) -> Result<(), super::reader::ReadError> {
    let is_open = |shard: &&mut ShardView| {
        matches!(shard.state, ShardState::Running | ShardState::Killing)
            && shard.started_at.is_none()
    };
    let open = shards.iter_mut().filter(is_open);
    let open: Vec<_> = open.filter_map(|shard| Some((shard.task?, shard))).collect();
    if open.is_empty() {
        return Ok(());
    }
    let starts = reader.starts(&open.iter().map(|(task, _)| *task).collect())?;
    for (task, shard) in open {
        shard.started_at = starts.get(&task).copied();
    }
    Ok(())
}

/// A shard of a live run; one that is over itself, with what its newest task left in the store.
fn with_past(
    reader: &Reader,
    run: RunId,
    shard: ShardView,
) -> Result<ShardView, super::reader::ReadError> {
    match shard.state {
        ShardState::Pending
        | ShardState::Launching
        | ShardState::Running
        | ShardState::Killing
        | ShardState::BackingOff => Ok(shard),
        ShardState::Succeeded
        | ShardState::Failed
        | ShardState::TimedOut
        | ShardState::Cancelled => reader.past_shard(&run, shard),
    }
}
