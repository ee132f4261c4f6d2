//! A run that is not over, and its shards.

use std::collections::BTreeMap;

use muster_api::{
    AppUid, Mono, Now, TaskId, Timestamp,
    views::{Cause, RunState, ShardCounts, ShardState},
};

use crate::{
    items::Items,
    records::{AgainRecord, RunRecord, ShardsRecord, Tries},
};

/// A run that is not over. Its shards are kept by state: those that are all alike as ranges, so
/// that the size of a run is that of what is special about it.
#[derive(Debug)]
pub(crate) struct Run {
    /// What is stored of it, but for its shards.
    record: RunRecord,
    /// All of its shards.
    items: Items,
    /// Never launched, waiting.
    fresh: Items,
    /// Waiting for another start.
    again: BTreeMap<u32, Again>,
    /// With a task.
    live: BTreeMap<u32, Live>,
    over: Over,
    counts: ShardCounts,
    /// Those that wait for room and have executors of their own.
    alone: u32,
    /// Memory only: when it expires if nothing of it was launched by then.
    pub(crate) expires_at: Option<Timestamp>,
    /// Memory only: when it has taken too long.
    pub(crate) timeout_at: Option<Mono>,
    /// Memory only: when the run before it was over, if it had to wait for that.
    pub(crate) turn_at: Option<Timestamp>,
    /// Memory only: why the last of its shards did not succeed that did not.
    pub(crate) last_failure: Option<String>,
    /// Memory only: the documents that all of its tasks are known to follow, if it is that of a
    /// daemon job.
    pub(crate) followed: Option<Followed>,
}

/// A version of a job, and the app and the revision of its executors.
pub(crate) type Followed = (u64, AppUid, u64);

/// A shard that waits for another start: for room, or first for its back-off to be over.
#[derive(Debug, Clone)]
struct Again {
    tries: Tries,
    until: Option<Mono>,
}

/// A shard with a task, and what that is doing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) task: TaskId,
    pub(crate) state: ShardState,
}

/// The shards that are over.
#[derive(Debug, Default)]
struct Over {
    succeeded: Items,
    failed: Items,
    timed_out: Items,
    cancelled: Items,
}

impl Over {
    fn of(&mut self, state: ShardState) -> &mut Items {
        match state {
            ShardState::Succeeded => &mut self.succeeded,
            ShardState::Failed => &mut self.failed,
            ShardState::TimedOut => &mut self.timed_out,
            _ => &mut self.cancelled,
        }
    }
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
        Self {
            record,
            items: items.clone(),
            fresh: items.clone(),
            again: BTreeMap::new(),
            live: BTreeMap::new(),
            over: Over::default(),
            counts: ShardCounts { pending: items.len(), ..ShardCounts::default() },
            alone: 0,
            expires_at: None,
            timeout_at: None,
            turn_at: None,
            last_failure: None,
            followed: None,
        }
    }

    /// A run as it was stored. Shards with a task are added by [`Run::set`].
    pub(crate) fn restored(mut record: RunRecord, now: Now) -> Self {
        let stored = std::mem::take(&mut record.shards);
        let mut run = Self::new(record, &stored.fresh);
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

    pub(crate) fn shard(&self, item: u32) -> Option<Shard> {
        if let Some(Live { task, state }) = self.live.get(&item) {
            return Some(Shard::Live { task: *task, state: *state });
        }
        if let Some(Again { tries, until }) = self.again.get(&item) {
            let tries = tries.clone();
            return Some(match *until {
                None => Shard::Pending(tries),
                Some(until) => Shard::BackingOff { tries, until },
            });
        }
        if self.fresh.contains(item) {
            return Some(Shard::Pending(Tries::default()));
        }
        self.over().into_iter().find(|(_, items)| items.contains(item)).map(|(s, _)| Shard::Over(s))
    }

    /// The shards that are over, by how they ended.
    pub(crate) fn over(&self) -> [(ShardState, &Items); 4] {
        [
            (ShardState::Succeeded, &self.over.succeeded),
            (ShardState::Failed, &self.over.failed),
            (ShardState::TimedOut, &self.over.timed_out),
            (ShardState::Cancelled, &self.over.cancelled),
        ]
    }

    /// The shards with items from `from` on.
    pub(crate) fn shards_from(&self, from: u32) -> impl Iterator<Item = (u32, Shard)> {
        self.items.iter_from(from).filter_map(|item| Some((item, self.shard(item)?)))
    }

    /// The shards that wait for room, those first that were launched before.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (u32, Option<&Tries>)> {
        let again = self.again.iter().filter(|(_, again)| again.until.is_none());
        let again = again.map(|(item, again)| (*item, Some(&again.tries)));
        again.chain(self.fresh.iter().map(|item| (item, None)))
    }

    /// Whether those of its shards that wait for room all have executors of their own. Others go
    /// first: where one of them has no room, none that needs a whole executor beside has any.
    pub(crate) fn waits_alone(&self) -> bool {
        self.alone > 0 && self.alone == self.counts.pending
    }

    /// The shards that wait out their back-off.
    pub(crate) fn backing_off(&self) -> impl Iterator<Item = (u32, Mono)> {
        self.again.iter().filter_map(|(item, again)| Some((*item, again.until?)))
    }

    /// The shards with a task.
    pub(crate) fn live(&self) -> impl Iterator<Item = (u32, Live)> {
        self.live.iter().map(|(item, live)| (*item, *live))
    }

    /// The shards with a task and items from `from` on.
    pub(crate) fn live_from(&self, from: u32) -> impl Iterator<Item = (u32, Live)> {
        self.live.range(from..).map(|(item, live)| (*item, *live))
    }

    /// Whether a shard waits whose task was ended so that it starts anew.
    pub(crate) fn waits_replaced(&self) -> bool {
        self.again.values().any(|again| again.tries.replaced)
    }

    pub(crate) fn counts(&self) -> ShardCounts {
        self.counts
    }

    /// Changes a shard, and with it the counts.
    pub(crate) fn set(&mut self, item: u32, shard: Shard) {
        if let Some(before) = self.shard(item) {
            *self.counts.of(before.state()) -= 1;
            self.take_out(item, &before);
        } else {
            self.items.insert(item);
        }
        *self.counts.of(shard.state()) += 1;
        match shard {
            Shard::Pending(tries) if tries == Tries::default() => self.fresh.insert(item),
            Shard::Pending(tries) => {
                self.alone += u32::from(tries.alone);
                self.again.insert(item, Again { tries, until: None });
            }
            Shard::BackingOff { tries, until } => {
                self.again.insert(item, Again { tries, until: Some(until) });
            }
            Shard::Live { task, state } => {
                self.live.insert(item, Live { task, state });
            }
            Shard::Over(state) => self.over.of(state).insert(item),
        }
    }

    fn take_out(&mut self, item: u32, shard: &Shard) {
        match shard {
            Shard::Pending(tries) => {
                self.alone -= u32::from(tries.alone);
                self.again.remove(&item);
                self.fresh.remove(item);
            }
            Shard::BackingOff { .. } => {
                self.again.remove(&item);
            }
            Shard::Live { .. } => {
                self.live.remove(&item);
            }
            Shard::Over(state) => {
                self.over.of(*state).remove(item);
            }
        }
    }

    /// Gives up every shard that waits, which is over in this state then; says how many.
    pub(crate) fn give_up_waiting(&mut self, state: ShardState) -> u32 {
        let again = std::mem::take(&mut self.again).into_keys();
        let fresh = std::mem::take(&mut self.fresh);
        let over = self.over.of(state);
        if over.is_empty() {
            *over = fresh;
        } else {
            fresh.iter().for_each(|item| over.insert(item));
        }
        again.for_each(|item| over.insert(item));
        let counts = &mut self.counts;
        let waiting = counts.pending + counts.backing_off;
        *counts.of(state) += waiting;
        (counts.pending, counts.backing_off) = (0, 0);
        self.alone = 0;
        waiting
    }

    /// Takes out a shard that is none of the run any more.
    pub(crate) fn remove(&mut self, item: u32) {
        if let Some(shard) = self.shard(item) {
            *self.counts.of(shard.state()) -= 1;
            self.take_out(item, &shard);
            self.items.remove(item);
        }
    }

    /// Whether `count` shards are other ones than it has, where those beyond only wait for the end
    /// of their task.
    pub(crate) fn is_to_resize(&self, count: u32) -> bool {
        let beyond = self.items.iter_from(count).any(|item| !self.live.contains_key(&item));
        let missing = self.items.ranges().first().is_none_or(|(_, last)| last + 1 < count);
        beyond || missing
    }

    /// Has shards from 0 to `count` but for those beyond that have a task, which leave with it.
    pub(crate) fn resize(&mut self, count: u32) {
        let beyond: Vec<u32> =
            self.items.iter_from(count).filter(|item| !self.live.contains_key(item)).collect();
        for item in beyond {
            self.remove(item);
        }
        for item in (0..count).filter(|item| !self.items.contains(*item)).collect::<Vec<_>>() {
            self.set(item, Shard::Pending(Tries::default()));
        }
    }

    /// Whether it is that of a daemon job, which goes on until the job is disabled.
    pub(crate) fn is_daemon(&self) -> bool {
        self.record.cause == Cause::Daemon
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
        let again = self.again.iter().map(|(item, again)| {
            let wait = again.until.map_or(0, |until| until.since(now.mono).as_millis());
            let wait_ms = u64::try_from(wait).unwrap_or(u64::MAX);
            let tries = again.tries.clone();
            (*item, AgainRecord { tries, wait_ms, written_at: now.wall })
        });
        let shards = ShardsRecord {
            fresh: self.fresh.clone(),
            succeeded: self.over.succeeded.clone(),
            failed: self.over.failed.clone(),
            timed_out: self.over.timed_out.clone(),
            cancelled: self.over.cancelled.clone(),
            again: again.collect(),
        };
        RunRecord { shards, ..self.record.clone() }
    }
}

/// What was left of a back-off when it was written, less the wall time since, but never more than
/// all of it and never less than nothing (SEMANTICS 11).
fn restored_again(again: AgainRecord, now: Now) -> Shard {
    let elapsed = now.wall.since(again.written_at).as_millis();
    let left = u128::from(again.wait_ms).saturating_sub(elapsed);
    let left = u64::try_from(left).unwrap_or(again.wait_ms);
    if left == 0 {
        return Shard::Pending(again.tries);
    }
    let until = now.mono + std::time::Duration::from_millis(left);
    Shard::BackingOff { tries: again.tries, until }
}
