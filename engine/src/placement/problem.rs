//! The problem of placement, and its solution, in small integers.

use std::collections::{BTreeMap, BTreeSet};

/// Amounts of resources by dimension, in thousandths.
pub(crate) type Amounts = Vec<u64>;

/// Waiting shards, and the room there is for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problem {
    /// The agents with room, by index.
    pub(crate) rooms: Vec<Room>,
    /// The waiting shards, in the order in which they are served.
    pub(crate) classes: Vec<Class>,
    /// How many shards may be placed at most.
    pub(crate) limit: usize,
}

/// The room on one agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    /// What is free.
    pub(crate) free: Amounts,
    /// Its host; several agents may share one.
    pub(crate) host: u32,
    /// The kinds of executor (app and revision) that live there.
    pub(crate) warm: BTreeSet<u32>,
}

/// Waiting shards of one run that are all alike.
#[derive(Debug, Clone, Default)]
pub(crate) struct Class {
    /// What one shard needs.
    pub(crate) need: Amounts,
    /// What its executor needs beside, where it does not live yet.
    pub(crate) overhead: Amounts,
    /// The kind of executor.
    pub(crate) executor: u32,
    /// How many shards.
    pub(crate) count: usize,
    /// All of them or none.
    pub(crate) all_at_once: bool,
    /// Shards of the run by host, when it is to be spread over hosts.
    pub(crate) spread: Option<BTreeMap<u32, u32>>,
    /// The agent to take last.
    pub(crate) avoid: Option<u32>,
}

/// Where the shards go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Solution {
    /// For each class the agents of its first shards, in order, and why the rest has none.
    pub(crate) classes: Vec<Placed>,
}

/// Where the shards of one class go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Placed {
    /// The agents, a shard each.
    pub(crate) rooms: Vec<u32>,
    /// Why shards are left, if some are.
    pub(crate) unplaced: Option<Unplaced>,
}

/// Why shards of a class were not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unplaced {
    /// No agent has room for one more.
    NoRoom,
    /// The bound of one round was reached; the next round goes on.
    Later,
}
