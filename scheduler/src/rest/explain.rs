//! Why runs and jobs are as they are: live ones by the driver, past ones from the store.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use muster_api::{
    JobName, RunId,
    explain::{JobExplanation, OverShards, RunExplanation, items_in_words},
    limits,
    views::{FireOutcome, FireView, ShardState, ShardView},
};
use muster_engine::{
    items::Items,
    query::{Answer, LiveFire, Query},
    records::RunRecord,
};

use super::{
    Rest, fires,
    input::Named,
    ledger::{self, Window},
    problem::Refusal,
    reader::{ReadError, Reader},
    shards,
};

/// Why a run is as it is.
pub(super) async fn run(
    State(rest): State<Rest>,
    Named(run): Named<RunId>,
) -> Result<Json<RunExplanation>, Refusal> {
    let Answer::Explain(live) = rest.driver().query(Query::Explain { run }).await? else {
        return Err(Refusal::misunderstanding());
    };
    if let Some(mut explanation) = live {
        explanation.over = over_so_far(&rest, run).await?;
        return Ok(Json(*explanation));
    }
    let past = rest.read(move |reader| match reader.past_run(&run)? {
        Some(record) => past_run(reader, &record).map(Some),
        None => Ok(None),
    });
    past.await?.map(Json).ok_or_else(|| Refusal::not_found("run", run))
}

/// The shards of a live run that are over.
async fn over_so_far(rest: &Rest, run: RunId) -> Result<Vec<OverShards>, Refusal> {
    let mut over = Vec::new();
    for state in ShardState::ALL.into_iter().filter(|state| state.is_over()) {
        let rows = shards::live(rest, run, Some(state), None, limits::SHARDS_IN_RUN).await?;
        over.extend(rows.unwrap_or_default());
    }
    Ok(in_groups(&over))
}

fn past_run(reader: &Reader, record: &RunRecord) -> Result<RunExplanation, ReadError> {
    let shards = reader.past_shards(record, None, None, limits::SHARDS_IN_RUN)?;
    Ok(RunExplanation {
        run: record.id,
        job: record.job.clone(),
        state: record.state,
        reason: record.reason.clone(),
        planned_at: record.planned_at,
        waiting: Vec::new(),
        placed: Vec::new(),
        over: in_groups(&shards),
    })
}

/// Shards that are over, by how and why.
fn in_groups(shards: &[ShardView]) -> Vec<OverShards> {
    let mut groups: BTreeMap<(ShardState, Option<&str>), Items> = BTreeMap::new();
    for shard in shards {
        let why = shard.reason.as_deref().filter(|_| shard.state != ShardState::Succeeded);
        groups.entry((shard.state, why)).or_default().insert(shard.item);
    }
    let rows = groups.into_iter().take(limits::EXPLAINED_GROUPS).map(|((state, why), items)| {
        let reason = why.map(str::to_owned);
        OverShards { shards: items.len(), items: items_in_words(items.ranges()), state, reason }
    });
    rows.collect()
}

/// Why a job does what it does.
pub(super) async fn job(
    State(rest): State<Rest>,
    Named(job): Named<JobName>,
) -> Result<Json<JobExplanation>, Refusal> {
    let query = Query::ExplainJob { job: job.clone() };
    let Answer::ExplainJob(live) = rest.driver().query(query).await? else {
        return Err(Refusal::misunderstanding());
    };
    let Some(mut explanation) = live else { return Err(Refusal::not_found("job", job)) };
    let live = fires::live_fires(&rest, &job).await?;
    explanation.last_missed = rest.read(move |reader| last_missed(reader, &job, live)).await?;
    Ok(Json(*explanation))
}

/// The newest instant of a job that was skipped or dropped, if it is one of the newest.
fn last_missed(
    reader: &Reader,
    job: &JobName,
    live: Vec<LiveFire>,
) -> Result<Option<FireView>, ReadError> {
    let Some(job) = reader.job(job)? else { return Ok(None) };
    let all = Window { from: None, before: None };
    let (rows, _) = ledger::page(reader, &job.uid, live, all, limits::PAGE_ROWS)?;
    let missed = |row: &FireView| match row.outcome {
        FireOutcome::Skipped | FireOutcome::Dropped => true,
        FireOutcome::Waiting | FireOutcome::Ran | FireOutcome::Coalesced => false,
    };
    Ok(rows.into_iter().find(missed))
}
