//! Typed tables that remember which of their records changed.

use std::collections::{BTreeMap, BTreeSet};

/// Records by key, and which of them differ from what is stored.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    rows: BTreeMap<K, V>,
    changed: BTreeSet<K>,
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// A table of what was stored.
    pub(crate) fn restored(rows: BTreeMap<K, V>) -> Self {
        Self { rows, changed: BTreeSet::new() }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// The record, to change what is stored of it.
    pub(crate) fn change(&mut self, key: &K) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        self.changed.insert(key.clone());
        Some(row)
    }

    /// The record, to change only what memory holds beside.
    pub(crate) fn memory(&mut self, key: &K) -> Option<&mut V> {
        self.rows.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.changed.insert(key.clone());
        self.rows.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let row = self.rows.remove(key)?;
        self.changed.insert(key.clone());
        Some(row)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    pub(crate) fn range<R: std::ops::RangeBounds<K>>(
        &self,
        range: R,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.range(range)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many records differ from what is stored.
    pub(crate) fn unwritten(&self) -> usize {
        self.changed.len()
    }

    /// All records count as changed.
    pub(crate) fn touch(&mut self) {
        self.changed.extend(self.rows.keys().cloned());
    }

    /// The keys that changed since the last call, with the record if it is still there.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(&K, Option<&V>)) {
        for key in std::mem::take(&mut self.changed) {
            each(&key, self.rows.get(&key));
        }
    }
}
