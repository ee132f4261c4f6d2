//! Where the scheduler keeps its records: keys and bytes, whose meaning is the cores'.
//!
//! A commit is one atomic batch and durable when it returns; no effect of a step leaves the
//! process before. Keys that begin with `h/` are history, which nobody loads at a start; all
//! others are state. [`State`] is the driver's side, and it has one owner. [`History`] is the
//! side of everybody else, who reads whole commits that are durable, and never half of one.

mod contract;
mod disk;
mod error;
mod folder;
mod inspect;
mod kind;
mod layout;
mod memory;
mod reached;
mod redb;
mod sled;
mod tree;

pub use self::{
    contract::{Commit, HISTORY_PREFIX, History, Row, Stamp, State, records},
    disk::DiskStore,
    error::{OpenError, StoreError},
    inspect::{InspectError, Inspection, Table, inspect},
    kind::{InvalidStoreKind, StoreKind},
    memory::{Failure, MemoryDisk, MemoryStore},
};
