//! A store in memory, for tests and simulation: a disk that outlives its store and can fail.

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use muster_api::step::{Records, Write};

use super::{Commit, HISTORY_PREFIX, History, Row, Stamp, State, StoreError};

/// What is left of a commit that fails. It is never torn: that much every store promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of it is stored.
    Lost,
    /// All of it is stored, and only the word of it is lost.
    Stored,
}

/// What a [`MemoryStore`] leaves behind; open another on it for a restart.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    records: Records,
    last: Option<Stamp>,
    commits: u64,
    failures: BTreeMap<u64, Failure>,
}

impl MemoryDisk {
    /// Makes commit number `n` fail, counted over the life of the disk, from 1.
    pub fn fail_commit(&self, n: u64, failure: Failure) {
        self.contents().failures.insert(n, failure);
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History for MemoryDisk {
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let contents = self.contents();
        let records = &contents.records;
        let inside = |row: &(&Vec<u8>, &Vec<u8>)| row.0.starts_with(prefix);
        let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        let rows = if reverse {
            let end = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rows = records.range::<[u8], _>((Bound::Unbounded, end)).rev();
            let rows = rows.skip_while(|row| !inside(row) && row.0.as_slice() > prefix);
            rows.take_while(inside).take(limit).map(copy).collect()
        } else {
            let start = match after.filter(|after| *after > prefix) {
                Some(after) => Bound::Excluded(after),
                None => Bound::Included(prefix),
            };
            let rows = records.range::<[u8], _>((start, Bound::Unbounded));
            rows.take_while(inside).take(limit).map(copy).collect()
        };
        Ok(rows)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.contents().records.get(key).cloned())
    }
}

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    disk: MemoryDisk,
    closed: bool,
}

impl MemoryStore {
    /// The store of what is on `disk`.
    pub fn open(disk: &MemoryDisk) -> Self {
        Self { disk: disk.clone(), closed: false }
    }
}

impl State for MemoryStore {
    fn load(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let contents = self.disk.contents();
        let state = contents.records.iter().filter(|(key, _)| !key.starts_with(HISTORY_PREFIX));
        state.for_each(|(key, value)| each(key, value));
        Ok(())
    }

    fn last(&self) -> Result<Option<Stamp>, StoreError> {
        Ok(self.disk.contents().last)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        let folder = || PathBuf::from("memory");
        if self.closed {
            return Err(StoreError::Closed { folder: folder() });
        }
        let mut contents = self.disk.contents();
        let refused = commit.stamp();
        if let Some(last) = contents.last.filter(|last| *last >= refused) {
            return Err(StoreError::Superseded { folder: folder(), last, refused });
        }
        contents.commits += 1;
        let number = contents.commits;
        let failure = contents.failures.remove(&number);
        if failure != Some(Failure::Lost) {
            contents.last = Some(refused);
            for write in commit.writes {
                match write {
                    Write::Put { key, value } => {
                        contents.records.insert(key.clone(), value.clone());
                    }
                    Write::Delete { key } => {
                        contents.records.remove(key);
                    }
                }
            }
        }
        if failure.is_some() {
            self.closed = true;
            let source = "this commit was told to fail".into();
            return Err(StoreError::Failed { folder: folder(), action: "commit", source });
        }
        Ok(())
    }

    fn history(&self) -> Arc<dyn History> {
        Arc::new(self.disk.clone())
    }
}
