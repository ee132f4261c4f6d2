//! What placement is asked and what it answers, in small integers.

use std::{collections::BTreeMap, sync::Arc};

/// Amounts of resources by dimension, in thousandths. What is behind the end is none.
pub type Amounts = Vec<u64>;

/// What an executor is an instance of: an app and its revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Kind {
    /// The app.
    pub app: u128,
    /// Its revision.
    pub revision: u64,
}

/// A set of constraints. Which rooms it allows is said by whoever made the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SetId(pub u32);

impl SetId {
    /// The set that asks for nothing, which every room allows.
    pub const NONE: Self = Self(0);
}

/// What decides whether a shard fits: shards of one shape fit on the same agents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Shape {
    /// What one shard needs; with its executor, when it has one of its own.
    pub need: Amounts,
    /// What its executor needs beside, where it does not live yet.
    pub overhead: Amounts,
    /// The kind of executor.
    pub kind: Kind,
    /// Whether each shard has an executor of its own. None that lives takes it then, and the one
    /// that starts for it takes no other.
    pub alone: bool,
    /// What its room must be like.
    pub set: SetId,
}

/// Waiting shards of one run that are all alike.
#[derive(Debug, Clone, Default)]
pub struct Class {
    /// What each of them needs.
    pub shape: Arc<Shape>,
    /// How many shards.
    pub count: usize,
    /// All of them or none.
    pub all_at_once: bool,
    /// Over what its run is to be spread, if it is.
    pub spread: Option<Spreading>,
    /// Whether it may go where a room is held.
    pub through: bool,
    /// The room to take last.
    pub avoid: Option<u32>,
    /// Only rooms that changed since may take one, when that is known.
    pub since: Option<Version>,
}

/// Over what the shards of a run are spread, and where some of them are.
#[derive(Debug, Clone, Default)]
pub struct Spreading {
    /// The attribute.
    pub over: u32,
    /// Shards of the run by the value of that attribute.
    pub there: BTreeMap<u32, u32>,
}

/// How many changes of rooms there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Version(pub(super) u64);

/// Where the shards of one class go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placed {
    /// The rooms, a shard each.
    pub rooms: Vec<u32>,
    /// Why each of them was taken.
    pub chosen: Vec<Chosen>,
    /// Why shards are left, if some are.
    pub unplaced: Option<Unplaced>,
}

/// Why a room was taken for a shard: no other was better, by the first of these that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chosen {
    /// It was to be avoided, and there was no other.
    pub avoided: bool,
    /// Shards of the run that were there, or where its value is the same, when it is spread.
    pub beside: Option<u32>,
    /// Whether its executor lived there.
    pub warm: bool,
    /// How many further shards fit after this one.
    pub room_after: u64,
}

/// Why shards of a class were not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unplaced {
    /// No agent has room for one more.
    NoRoom,
    /// The bound of one round was reached; the next round goes on.
    Later,
}

/// How many shards fit into what is free, beside an executor that needs `overhead`.
pub(super) fn fits(free: &[u64], need: &[u64], overhead: &[u64]) -> u64 {
    // An agent without offers has no room, not even for what needs nothing.
    let mut count = if free.is_empty() { 0 } else { u64::MAX };
    for dimension in 0..need.len().max(overhead.len()) {
        let at = |amounts: &[u64]| amounts.get(dimension).copied().unwrap_or(0);
        let Some(left) = at(free).checked_sub(at(overhead)) else { return 0 };
        if left < at(need) {
            return 0;
        }
        if let Some(n) = left.checked_div(at(need)) {
            count = count.min(n);
        }
    }
    count
}
