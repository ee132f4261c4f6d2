//! What is in the store of a folder, and how large it is.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::Serialize;

use super::{
    DiskStore, OpenError, Stamp, State, StoreError,
    folder::{Folder, io_error},
    kind::FORMAT,
    layout::{self, StoredKey},
};
use crate::tables::table_of;

/// What is in a store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// What keeps it.
    pub store: &'static str,
    /// The format of its layout.
    pub format: u32,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Its newest commit; none of a store that was never used.
    pub last_commit: Option<Stamp>,
    /// All of its records.
    pub total: Table,
    /// Its records by what they are, in words.
    pub tables: BTreeMap<&'static str, Table>,
}

/// Records of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// How many.
    pub records: u64,
    /// Bytes of their keys and values as stored, parts of long ones included.
    pub bytes: u64,
    /// Bytes of the largest one.
    pub largest: u64,
}

impl Table {
    /// Bytes of one record, on average.
    pub fn mean(&self) -> u64 {
        self.bytes.checked_div(self.records).unwrap_or(0)
    }

    fn add(&mut self, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
    }
}

/// Why a store cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks through the store in the folder `path`, which nobody else may have open. No record of it
/// is changed; a database that was not closed in order brings its files in order when it opens,
/// and writes them for that.
pub fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    let store = DiskStore::look_at(path)?;
    let mut inspection = Inspection {
        store: store.kind().name(),
        format: FORMAT,
        file_bytes: size(path).map_err(|source| io_error(path, "read files", source))?,
        last_commit: store.last()?,
        total: Table::default(),
        tables: BTreeMap::new(),
    };
    // Parts of long values lie before all records, so they are known when their record comes.
    let mut parts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    store.database().stored(&mut |stored_key, value| {
        let bytes = (stored_key.len() + value.len()) as u64;
        match layout::stored_key(stored_key) {
            StoredKey::Part(key) => *parts.entry(key.to_vec()).or_default() += bytes,
            StoredKey::Record(key) => {
                let bytes = bytes + parts.remove(key).unwrap_or(0);
                inspection.total.add(bytes);
                inspection.tables.entry(table_of(key)).or_default().add(bytes);
            }
            StoredKey::Note => {}
        }
    })?;
    Ok(inspection)
}

/// Bytes of a file, or of all files in a folder.
fn size(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

impl DiskStore {
    /// Opens a store that was made before, to look at it.
    fn look_at(path: &Path) -> Result<Self, OpenError> {
        Self::open_in(Folder::look_at(path)?)
    }
}
