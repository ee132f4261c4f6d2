//! A run that is not over, and its shards.

use std::collections::BTreeMap;

use muster_api::{
    Mono, Now, TaskId,
    views::{RunState, ShardCounts, ShardState},
};

use crate::{
    items::Items,
    records::{AgainRecord, RunRecord, ShardsRecord, Tries},
};

/// A run that is not over.
#[derive(Debug)]
pub(crate) struct Run {
    /// What is stored of it; its `shards` are kept in [`Run::shards`] instead.
    record: RunRecord,
    shards: BTreeMap<u32, Shard>,
    counts: ShardCounts,
}

/// A shard of a run that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shard {
    /// Waits for room.
    Pending(Tries),
    /// Waits out its back-off.
    BackingOff { tries: Tries, until: Mono },
    /// Has a task. What the task is doing is counted as this state.
    Live { task: TaskId, state: ShardState },
    /// Is over.
    Over(ShardState),
}

impl Shard {
    pub(crate) fn state(&self) -> ShardState {
        match self {
            Self::Pending(_) => ShardState::Pending,
            Self::BackingOff { .. } => ShardState::BackingOff,
            Self::Live { state, .. } | Self::Over(state) => *state,
        }
    }
}

impl Run {
    /// A new run of `items`.
    pub(crate) fn new(record: RunRecord, items: &Items) -> Self {
        let shards: BTreeMap<_, _> =
            items.iter().map(|item| (item, Shard::Pending(Tries::default()))).collect();
        let counts = ShardCounts { pending: items.len(), ..ShardCounts::default() };
        Self { record, shards, counts }
    }

    /// A run as it was stored. Shards with a task are added by [`Run::set`].
    pub(crate) fn restored(mut record: RunRecord, now: Now) -> Self {
        let stored = std::mem::take(&mut record.shards);
        let mut run = Self { record, shards: BTreeMap::new(), counts: ShardCounts::default() };
        for item in stored.fresh.iter() {
            run.set(item, Shard::Pending(Tries::default()));
        }
        for (item, state) in stored.over() {
            run.set(item, Shard::Over(state));
        }
        for (item, again) in stored.again {
            run.set(item, restored_again(again, now));
        }
        run
    }

    pub(crate) fn record(&self) -> &RunRecord {
        &self.record
    }

    pub(crate) fn record_mut(&mut self) -> &mut RunRecord {
        &mut self.record
    }

    pub(crate) fn shard(&self, item: u32) -> Option<&Shard> {
        self.shards.get(&item)
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = (u32, &Shard)> {
        self.shards.iter().map(|(item, shard)| (*item, shard))
    }

    /// The shards with items after `after`.
    pub(crate) fn shards_after(&self, after: Option<u32>) -> impl Iterator<Item = (u32, &Shard)> {
        let from = after.map_or(0, |item| item.saturating_add(1));
        self.shards.range(from..).map(|(item, shard)| (*item, shard))
    }

    pub(crate) fn counts(&self) -> ShardCounts {
        self.counts
    }

    /// Changes a shard, and with it the counts.
    pub(crate) fn set(&mut self, item: u32, shard: Shard) {
        *self.counts.of(shard.state()) += 1;
        if let Some(before) = self.shards.insert(item, shard) {
            *self.counts.of(before.state()) -= 1;
        }
    }

    /// Whether a task of it was ever launched.
    pub(crate) fn has_started(&self) -> bool {
        self.record.started_at.is_some()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.record.state == RunState::Stopping
    }

    /// Whether no shard can go on by itself or by a task.
    pub(crate) fn all_over(&self) -> bool {
        self.counts.over() == self.counts.total()
    }

    /// What is stored of it at `now`.
    pub(crate) fn to_record(&self, now: Now) -> RunRecord {
        let mut stored = ShardsRecord::default();
        for (item, shard) in &self.shards {
            match shard {
                Shard::Pending(tries) if *tries == Tries::default() => stored.fresh.push(*item),
                Shard::Pending(tries) => {
                    let again =
                        AgainRecord { tries: tries.clone(), wait_ms: 0, written_at: now.wall };
                    stored.again.insert(*item, again);
                }
                Shard::BackingOff { tries, until } => {
                    let wait = until.since(now.mono).as_millis();
                    let again = AgainRecord {
                        tries: tries.clone(),
                        wait_ms: u64::try_from(wait).unwrap_or(u64::MAX),
                        written_at: now.wall,
                    };
                    stored.again.insert(*item, again);
                }
                Shard::Live { .. } => {}
                Shard::Over(ShardState::Succeeded) => stored.succeeded.push(*item),
                Shard::Over(ShardState::Failed) => stored.failed.push(*item),
                Shard::Over(ShardState::TimedOut) => stored.timed_out.push(*item),
                Shard::Over(_) => stored.cancelled.push(*item),
            }
        }
        RunRecord { shards: stored, ..self.record.clone() }
    }
}

/// What was left of a back-off when it was written, less the wall time since, but never more than
/// all of it and never less than nothing (SEMANTICS 11).
fn restored_again(again: AgainRecord, now: Now) -> Shard {
    let elapsed = now.wall.since(again.written_at).as_millis();
    let left = u128::from(again.wait_ms).saturating_sub(elapsed);
    let left = u64::try_from(left).unwrap_or(again.wait_ms);
    let until = now.mono + std::time::Duration::from_millis(left);
    Shard::BackingOff { tries: again.tries, until }
}
