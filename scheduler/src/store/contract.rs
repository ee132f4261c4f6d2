//! What every store keeps to.

use std::sync::Arc;

use muster_api::step::{Records, Write};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// What the keys of history begin with.
pub const HISTORY_PREFIX: &[u8] = b"h/";

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The place of a commit among all commits of an installation: by term, then by sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Of the start of the scheduler that wrote it; it grows with every start.
    pub term: u64,
    /// Which commit of that term it is.
    pub sequence: u64,
}

/// What one turn of the driver changes.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// Of the start of the scheduler that writes it.
    pub term: u64,
    /// Which commit of that term it is.
    pub sequence: u64,
    /// The changes; of two to the same key the later counts.
    pub writes: &'a [Write],
}

impl Commit<'_> {
    /// Its place among all commits.
    pub fn stamp(&self) -> Stamp {
        Stamp { term: self.term, sequence: self.sequence }
    }
}

/// The store of the one who writes.
pub trait State: Send {
    /// Hands over every record whose key does not begin with [`HISTORY_PREFIX`], key and value,
    /// in the order of their keys. They may be millions, so nobody collects them here.
    fn load(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;

    /// The newest commit, whoever wrote it; none in a fresh store.
    fn last(&self) -> Result<Option<Stamp>, StoreError>;

    /// Stores all of `commit` or nothing of it; when this returns well it survives a power cut.
    ///
    /// Its stamp must be above that of the newest commit, else it is refused and nothing changes.
    /// After any other error nobody knows whether it is stored: this store refuses everything
    /// from then on, and its owner must stop.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError>;

    /// The reader's side, which may be used by others while commits go on.
    fn history(&self) -> Arc<dyn History>;
}

/// Every record that [`State::load`] hands over, for those who are sure that they are few.
pub fn records(store: &dyn State) -> Result<Records, StoreError> {
    let mut records = Records::new();
    store.load(&mut |key, value| {
        records.insert(key.to_vec(), value.to_vec());
    })?;
    Ok(records)
}

/// The store of those who read. Calls block, so they belong on threads that may wait.
pub trait History: Send + Sync {
    /// Records whose keys begin with `prefix`, in the order of their keys (or, with `reverse`,
    /// against it), that come behind `after` in that order; at most `limit` of them.
    ///
    /// All of one answer is from between the same two commits. Commits wait for it, so callers
    /// ask for [`muster_api::limits::PAGE_ROWS`] at most and come again.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// The record of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
}
