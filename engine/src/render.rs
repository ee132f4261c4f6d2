//! Stored records as the REST API shows them.

use muster_api::{
    Timestamp,
    views::{AppStatus, AppView, JobStatus, JobView, RunView, ShardCounts, ShardState, ShardView},
};

use crate::records::{AppRecord, CursorRecord, JobRecord, PastTaskRecord, RunRecord, ShardsRecord};

impl AppRecord {
    /// As the REST API shows it.
    pub fn view(&self) -> AppView {
        AppView {
            kind: "app".to_owned(),
            spec: (*self.spec).clone(),
            version: self.version,
            status: AppStatus {
                disabled: self.disabled,
                revision: self.revision,
                created_at: self.created_at,
                updated_at: self.updated_at,
            },
        }
    }
}

impl JobRecord {
    /// As the REST API shows it.
    pub fn view(&self, app: Option<&AppRecord>, cursor: Option<&CursorRecord>) -> JobView {
        let enabled = !self.disabled() && app.is_some_and(|app| !app.disabled);
        JobView {
            kind: "job".to_owned(),
            spec: (*self.spec).clone(),
            version: self.version,
            status: JobStatus {
                enabled,
                next_fire: cursor.and_then(|cursor| cursor.next),
                created_at: self.created_at,
                updated_at: self.updated_at,
            },
        }
    }
}

impl RunRecord {
    /// As the REST API shows it, given its shards by state; without the list of its shards.
    pub fn view_with(&self, counts: ShardCounts) -> RunView {
        RunView {
            id: self.id,
            job: self.job.clone(),
            version: self.version,
            cause: self.cause,
            rerun_of: self.rerun_of,
            state: self.state,
            reason: self.reason.clone(),
            planned_at: self.planned_at,
            planned_until: self.planned_until,
            created_at: self.created_at,
            started_at: self.started_at,
            ended_at: self.ended_at,
            counts,
            shards: None,
        }
    }

    /// A run that is over, as the REST API shows it; without the list of its shards.
    pub fn past_view(&self) -> RunView {
        self.view_with(self.shards.counts())
    }
}

impl ShardsRecord {
    /// How many there are of each state that this knows.
    pub fn counts(&self) -> ShardCounts {
        ShardCounts {
            pending: self.fresh.len(),
            backing_off: u32::try_from(self.again.len()).unwrap_or(u32::MAX),
            succeeded: self.succeeded.len(),
            failed: self.failed.len(),
            timed_out: self.timed_out.len(),
            cancelled: self.cancelled.len(),
            ..ShardCounts::default()
        }
    }

    /// The shards that are over, by item, with their state.
    pub fn over(&self) -> std::collections::BTreeMap<u32, ShardState> {
        [
            (&self.succeeded, ShardState::Succeeded),
            (&self.failed, ShardState::Failed),
            (&self.timed_out, ShardState::TimedOut),
            (&self.cancelled, ShardState::Cancelled),
        ]
        .into_iter()
        .flat_map(|(items, state)| items.iter().map(move |item| (item, state)))
        .collect()
    }
}

impl PastTaskRecord {
    /// The shard whose newest task this is.
    pub fn shard_view(&self) -> ShardView {
        ShardView {
            item: self.item,
            parameter: self.parameter.clone(),
            state: self.state,
            task: Some(self.task),
            agent: Some(self.agent.clone()),
            hostname: Some(self.hostname.clone()),
            executor: Some(self.executor),
            attempt: self.attempt,
            epoch: Some(self.epoch),
            started_at: self.started_at,
            ended_at: Some(self.ended_at),
            exit_code: self.exit_code,
            reason: self.reason.clone(),
            result: self.result.clone(),
            output: self.output.clone(),
        }
    }
}

/// A shard without a task.
pub fn bare_shard(item: u32, parameter: &str, state: ShardState) -> ShardView {
    ShardView {
        item,
        parameter: parameter.to_owned(),
        state,
        task: None,
        agent: None,
        hostname: None,
        executor: None,
        attempt: 0,
        epoch: None,
        started_at: None,
        ended_at: None::<Timestamp>,
        exit_code: None,
        reason: None,
        result: None,
        output: None,
    }
}
