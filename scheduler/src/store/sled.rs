//! sled as a tree, made safe.
//!
//! sled 0.34 survives the kill of its process, but its `flush` does not survive a power cut: it
//! neither commits the length of the file nor empties the drive's cache (spacejam/sled#1452).
//! So a batch is one `apply_batch` (atomic within one tree), `flush`, and `fdatasync` of the
//! database's file, in this order. Its values stay small, for sled leaks disk space with long
//! ones. It panics on damaged files, so every call of it is guarded by those who call from here.

use std::{fs::File, ops::Range, path::Path};

use sled::Batch;

use super::tree::{Changes, Each, Fault, Tree};

/// Memory for pages of the tree. The records in use are in the memory of the cores anyway, and the
/// kernel keeps the pages of the file.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// A sled tree.
#[derive(Debug)]
pub(super) struct SledTree {
    tree: sled::Db,
    /// The file that has all of the tree, for `fdatasync`.
    file: File,
}

impl SledTree {
    /// Opens the tree in the folder at `path`, making it if nothing is there.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
        let tree = config.flush_every_ms(None).open()?;
        let file = File::open(path.join("db"))?;
        Ok(Self { tree, file })
    }
}

impl Tree for SledTree {
    fn wants_parts(&self) -> bool {
        true
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.tree.get(key)?.map(|value| value.to_vec()))
    }

    fn scan(&self, range: Range<&[u8]>, reverse: bool, each: Each<'_>) -> Result<(), Fault> {
        let mut stored = self.tree.range(range);
        loop {
            let next = if reverse { stored.next_back() } else { stored.next() };
            match next.transpose()? {
                Some((key, value)) if each(&key, &value)? => {}
                _ => return Ok(()),
            }
        }
    }

    fn apply(&self, changes: Changes) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.tree.apply_batch(batch)?;
        self.settle()
    }

    fn settle(&self) -> Result<(), Fault> {
        self.tree.flush()?;
        Ok(self.file.sync_data()?)
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Corruption { .. } => {
                Self::Damaged("its database is not as it was written".to_owned())
            }
            sled::Error::Io(error) => Self::Io(error),
            error => Self::Refused(error.into()),
        }
    }
}
