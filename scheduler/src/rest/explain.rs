//! Why runs and jobs are as they are: live ones by the driver, past ones from the store.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use muster_api::{
    JobName, RunId,
    explain::{JobExplanation, OverShards, RunExplanation, items_in_words},
    limits,
    views::{FireOutcome, FireView, ShardState},
};
use muster_engine::{
    items::Items,
    query::{Answer, Explained, LiveFire, Query},
    records::RunRecord,
};

use super::{
    Rest, fires,
    input::Named,
    ledger::{self, Window},
    problem::Refusal,
    reader::{ReadError, Reader},
};

/// What stands for the reasons that are not told apart.
const MORE_REASONS: &str = "more of them; `GET /v1/runs/{run}/shards` says why each ended";

/// Why a run is as it is.
pub(super) async fn run(
    State(rest): State<Rest>,
    Named(run): Named<RunId>,
) -> Result<Json<RunExplanation>, Refusal> {
    let Answer::Explain(live) = rest.driver().query(Query::Explain { run }).await? else {
        return Err(Refusal::misunderstanding());
    };
    let explained = rest.read(move |reader| match live {
        Some(live) => {
            let Explained { explanation: mut run, over } = *live;
            fill_in(reader, std::slice::from_mut(&mut run), &over)?;
            Ok(Some(run))
        }
        None => match reader.past_run(&run)? {
            Some(record) => past_run(reader, &record).map(Some),
            None => Ok(None),
        },
    });
    explained.await?.map(Json).ok_or_else(|| Refusal::not_found("run", run))
}

fn past_run(reader: &Reader, record: &RunRecord) -> Result<RunExplanation, ReadError> {
    let shards = &record.shards;
    let items = [
        (ShardState::Succeeded, &shards.succeeded),
        (ShardState::Failed, &shards.failed),
        (ShardState::TimedOut, &shards.timed_out),
        (ShardState::Cancelled, &shards.cancelled),
    ];
    Ok(RunExplanation {
        run: record.id,
        job: record.job.clone(),
        state: record.state,
        reason: record.reason.clone(),
        planned_at: record.planned_at,
        deadlines: Vec::new(),
        waiting: Vec::new(),
        placed: Vec::new(),
        over: in_groups(reader, record.id, items)?,
    })
}

/// Says of live runs how and why those of their shards ended that are over.
fn fill_in(
    reader: &Reader,
    runs: &mut [RunExplanation],
    over: &BTreeMap<RunId, Vec<(ShardState, Items)>>,
) -> Result<(), ReadError> {
    for run in runs {
        let items = over.get(&run.run).into_iter().flatten();
        run.over = in_groups(reader, run.run, items.map(|(state, items)| (*state, items)))?;
    }
    Ok(())
}

/// Shards that are over, by how and why. How they ended and how many is known; why is read.
fn in_groups<'a>(
    reader: &Reader,
    run: RunId,
    over: impl IntoIterator<Item = (ShardState, &'a Items)>,
) -> Result<Vec<OverShards>, ReadError> {
    let mut rows = Vec::new();
    for (state, items) in over {
        if state == ShardState::Succeeded {
            rows.extend(row(items, state, None));
            continue;
        }
        let mut by_reason: BTreeMap<Option<String>, Items> = BTreeMap::new();
        let mut more = Items::default();
        let room = limits::EXPLAINED_GROUPS.saturating_sub(rows.len());
        for (read, item) in items.iter().enumerate() {
            if read >= limits::EXPLAINED_REASONS {
                more.insert(item);
                continue;
            }
            let reason = reader.past_task(&run, item, None)?.and_then(|task| task.reason);
            if by_reason.len() < room || by_reason.contains_key(&reason) {
                by_reason.entry(reason).or_default().insert(item);
            } else {
                more.insert(item);
            }
        }
        rows.extend(by_reason.into_iter().filter_map(|(why, items)| row(&items, state, why)));
        rows.extend(row(&more, state, Some(MORE_REASONS.to_owned())));
    }
    Ok(rows)
}

fn row(items: &Items, state: ShardState, reason: Option<String>) -> Option<OverShards> {
    let (shards, items) = (items.len(), items_in_words(items.ranges()));
    (shards > 0).then_some(OverShards { shards, items, state, reason })
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
    let Some(live) = live else { return Err(Refusal::not_found("job", job)) };
    let fires = fires::live_fires(&rest, &job).await?;
    let explained = rest.read(move |reader| {
        let Explained { mut explanation, over } = *live;
        fill_in(reader, &mut explanation.runs, &over)?;
        explanation.last_missed = last_missed(reader, &job, fires)?;
        Ok(explanation)
    });
    explained.await.map(Json)
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

#[cfg(test)]
mod tests {
    use muster_api::step::Write;
    use muster_engine::records::{self, PastTaskRecord};
    use serde_json::json;

    use super::*;
    use crate::store::{Commit, MemoryDisk, MemoryStore, State as _};

    const RUN: &str = "019a0000-0000-7000-8000-000000000000";

    fn failed_task(item: u32, reason: &str) -> Write {
        let task: PastTaskRecord = serde_json::from_value(json!({"task": RUN, "item": item,
            "attempt": 1, "epoch": 7, "agent": "a", "hostname": "h", "executor": RUN,
            "state": "failed", "reason": reason, "launched_at": "2026-01-01T00:00:00Z",
            "started_at": null, "ended_at": "2026-01-01T00:00:01Z", "exit_code": null,
            "result": null, "output": null, "replaces": null}))
        .unwrap();
        let key = records::past_task_key(&RUN.parse().unwrap(), item, 1, 7);
        Write::Put { key, value: records::encode(&task) }
    }

    fn explained(shards: &serde_json::Value, writes: &[Write]) -> Vec<(u32, String, String)> {
        let mut store = MemoryStore::open(&MemoryDisk::default());
        store.commit(&Commit { term: 1, sequence: 1, writes }).unwrap();
        let record: RunRecord = serde_json::from_value(json!({"id": RUN, "job": "j",
            "job_uid": RUN, "app": "a", "version": 1, "revision": 1, "cause": "trigger",
            "state": "failed", "reason": null, "planned_at": "2026-01-01T00:00:00Z",
            "planned_until": "2026-01-01T00:00:00Z", "fires": 1,
            "created_at": "2026-01-01T00:00:00Z", "started_at": null, "ended_at": null,
            "parameter": null, "shards": shards}))
        .unwrap();
        let run = past_run(&Reader::new(store.history()), &record).unwrap();
        let row = |row: OverShards| (row.shards, row.items, row.reason.unwrap_or_default());
        run.over.into_iter().map(row).collect()
    }

    fn group(shards: u32, items: &str, reason: &str) -> (u32, String, String) {
        (shards, items.to_owned(), reason.to_owned())
    }

    #[test]
    fn a_failed_shard_behind_thousands_that_succeeded_is_explained() {
        let shards = json!({"succeeded": [[0, 4999], [5001, 9999]], "failed": [[5000, 5000]]});
        assert_eq!(
            explained(&shards, &[failed_task(5000, "exit code 3")]),
            [group(9_999, "0-4999, 5001-9999", ""), group(1, "5000", "exit code 3")]
        );
    }

    #[test]
    fn reasons_are_read_of_the_first_and_all_are_counted() {
        let writes: Vec<_> = (0..3_000).map(|item| failed_task(item, "exit code 3")).collect();
        assert_eq!(
            explained(&json!({"failed": [[0, 2999]], "cancelled": [[3000, 3001]]}), &writes),
            [
                group(1_000, "0-999", "exit code 3"),
                group(2_000, "1000-2999", MORE_REASONS),
                group(2, "3000-3001", "")
            ]
        );
        let writes: Vec<_> = (0..60).map(|item| failed_task(item, &format!("{item:02}"))).collect();
        let rows = explained(&json!({"failed": [[0, 59]]}), &writes);
        assert_eq!(rows.len(), limits::EXPLAINED_GROUPS + 1);
        assert_eq!(rows.last(), Some(&group(10, "50-59", MORE_REASONS)));
    }
}
