//! The store on disk: one sled tree, made safe.
//!
//! sled 0.34 survives the kill of its process, but its `flush` does not survive a power cut: it
//! neither commits the length of the file nor empties the drive's cache (spacejam/sled#1452).
//! So a commit is one `apply_batch` (atomic within one tree), `flush`, and `fdatasync` of the
//! database's file, in this order. Its values stay small, for sled leaks disk space with long
//! ones. It panics on damaged files, so every call of it is guarded.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use muster_api::{
    limits::STORED_VALUE_BYTES,
    step::{Records, Write},
};
use sled::{Batch, IVec, Tree};

use super::{
    Commit, History, OpenError, Row, Stamp, State, StoreError,
    folder::{self, Folder},
    layout::{self, Head},
};

/// Memory for pages of the tree. The records in use are in the cores' memory anyway.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// The store in a folder of the disk.
#[derive(Debug)]
pub struct SledStore(Arc<Database>);

#[derive(Debug)]
struct Database {
    tree: sled::Db,
    /// The file that has all of the tree, for `fdatasync`.
    file: File,
    /// Held to write for a whole commit, so that readers see no commit that is not durable.
    gate: RwLock<Gate>,
    /// Dropped last: the lock goes when the tree is closed.
    folder: Folder,
}

/// Whether the store may be used.
#[derive(Debug)]
enum Gate {
    /// It may; this is its newest commit.
    Open(Option<Stamp>),
    /// It may not, because nobody knows what became of a commit.
    Closed,
}

impl SledStore {
    /// Opens the store in `path`, making it if nothing is there.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let mut folder = Folder::open(path)?;
        let file_path = folder.database().join("db");
        if folder.is_made() && !file_path.exists() {
            return Err(folder.damaged("its file `sled/db` is missing"));
        }
        folder.await_unlocked(&file_path)?;
        let open = || {
            let config = sled::Config::new()
                .path(folder.database())
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(None);
            let (tree, file) = (config.open()?, File::open(&file_path)?);
            let last = begin(&tree, &file, folder.is_made())?;
            Ok((tree, file, last))
        };
        let (tree, file, last) = guarded(open).map_err(|fault| fault.opening(&folder))?;
        if !folder.is_made() {
            folder.finish()?;
        }
        Ok(Self(Arc::new(Database { tree, file, gate: RwLock::new(Gate::Open(last)), folder })))
    }
}

/// Writes the note of the format into a fresh tree, and checks that of any other. Answers the
/// stamp of the newest commit.
fn begin(tree: &Tree, file: &File, made: bool) -> Result<Option<Stamp>, Fault> {
    let note = folder::format_note();
    match tree.get(layout::FORMAT_KEY)? {
        Some(found) if found == note.as_bytes() => {}
        None if !made && tree.is_empty() => {
            tree.insert(layout::FORMAT_KEY, note.as_bytes())?;
        }
        _ => {
            return Err(Fault::Damaged("its database is not the one that was made with it".into()));
        }
    }
    // What a killed process wrote may be in the page cache only, and is built upon from now on.
    tree.flush()?;
    file.sync_data()?;
    let stamp = tree.get(layout::COMMIT_KEY)?;
    stamp
        .map(|stamp| {
            layout::decode_stamp(&stamp)
                .ok_or_else(|| damaged(layout::COMMIT_KEY, "cannot be read"))
        })
        .transpose()
}

impl Database {
    /// Waits for the end of a commit that goes on, and keeps the next away.
    fn reading(&self) -> Result<RwLockReadGuard<'_, Gate>, StoreError> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        match *gate {
            Gate::Open(_) => Ok(gate),
            Gate::Closed => Err(StoreError::Closed { folder: self.folder.path().to_owned() }),
        }
    }

    /// Waits for readers, and checks that a commit of this stamp may come.
    fn writing(&self, stamp: Stamp) -> Result<RwLockWriteGuard<'_, Gate>, StoreError> {
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let folder = self.folder.path().to_owned();
        match *gate {
            Gate::Closed => Err(StoreError::Closed { folder }),
            Gate::Open(Some(last)) if last >= stamp => {
                Err(StoreError::Superseded { folder, last, refused: stamp })
            }
            Gate::Open(_) => Ok(gate),
        }
    }

    /// The value whose head is stored as `head`, with its parts.
    fn value(&self, key: &[u8], head: &IVec) -> Result<Vec<u8>, Fault> {
        let head = decode_head(key, head)?;
        let length = match head {
            Head::Whole(value) => return Ok(value.to_vec()),
            Head::InParts(length) => length as usize,
        };
        let mut value = Vec::with_capacity(length);
        for number in 0..head.parts() {
            if let Some(part) = self.tree.get(layout::part_key(key, number))? {
                value.extend_from_slice(&part);
            }
        }
        if value.len() == length { Ok(value) } else { Err(damaged(key, "lacks a part")) }
    }

    /// The rows of a range of stored keys, in either direction.
    fn rows(&self, range: Range<Vec<u8>>, reverse: bool, limit: usize) -> Result<Vec<Row>, Fault> {
        let mut stored = self.tree.range(range);
        let mut rows = Vec::new();
        while rows.len() < limit {
            let next = if reverse { stored.next_back() } else { stored.next() };
            let Some((stored_key, head)) = next.transpose()? else { break };
            let key = layout::key_of(&stored_key);
            let value = self.value(&key, &head)?;
            rows.push((key, value));
        }
        Ok(rows)
    }

    /// The batch that makes these changes and notes the stamp.
    fn batch(&self, commit: &Commit<'_>) -> Result<Batch, Fault> {
        // The last change of a key counts; parts make it matter which one that is.
        let mut changes = BTreeMap::new();
        for write in commit.writes {
            match write {
                Write::Put { key, value } => changes.insert(key, Some(value.as_slice())),
                Write::Delete { key } => changes.insert(key, None),
            };
        }
        let mut batch = Batch::default();
        for (key, value) in changes {
            let record_key = layout::record_key(key);
            let old_parts = match self.tree.get(&record_key)? {
                Some(head) => decode_head(key, &head)?.parts(),
                None => 0,
            };
            let new_parts = match value.map(|value| (value, Head::of(value))) {
                None => {
                    batch.remove(record_key);
                    0
                }
                Some((value, head)) => {
                    batch.insert(record_key, head.encode());
                    if head.parts() > 0 {
                        for (number, part) in (0..).zip(value.chunks(STORED_VALUE_BYTES)) {
                            batch.insert(layout::part_key(key, number), part);
                        }
                    }
                    head.parts()
                }
            };
            for number in new_parts..old_parts {
                batch.remove(layout::part_key(key, number));
            }
        }
        batch.insert(layout::COMMIT_KEY, layout::encode_stamp(commit.stamp()));
        Ok(batch)
    }
}

impl State for SledStore {
    fn load(&self) -> Result<Records, StoreError> {
        let _gate = self.0.reading()?;
        let load = || {
            let mut records = Records::new();
            for range in layout::state_records() {
                records.extend(self.0.rows(range, false, usize::MAX)?);
            }
            Ok(records)
        };
        guarded(load).map_err(|fault| fault.storing(&self.0.folder, "load the records"))
    }

    fn last(&self) -> Result<Option<Stamp>, StoreError> {
        match *self.0.reading()? {
            Gate::Open(last) => Ok(last),
            Gate::Closed => unreachable!("a closed gate lets no reader in"),
        }
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        let database = &*self.0;
        let mut gate = database.writing(commit.stamp())?;
        // Closed until the end is known to be good; every error leaves it so.
        *gate = Gate::Closed;
        let durable = || {
            database.tree.apply_batch(database.batch(commit)?)?;
            database.tree.flush()?;
            Ok(database.file.sync_data()?)
        };
        guarded(durable).map_err(|fault| fault.storing(&database.folder, "commit"))?;
        *gate = Gate::Open(Some(commit.stamp()));
        Ok(())
    }

    fn history(&self) -> Arc<dyn History> {
        Arc::clone(&self.0) as Arc<dyn History>
    }
}

impl History for Database {
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let mut range = layout::records_below(prefix);
        match after.map(layout::record_key) {
            Some(after) if reverse => range.end = range.end.min(after),
            // No key lies between a key and the same with a zero byte behind it.
            Some(after) => range.start = range.start.max([after.as_slice(), &[0]].concat()),
            None => {}
        }
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let _gate = self.reading()?;
        let rows = || self.rows(range, reverse, limit);
        guarded(rows).map_err(|fault| fault.storing(&self.folder, "read"))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _gate = self.reading()?;
        let get = || match self.tree.get(layout::record_key(key))? {
            Some(head) => self.value(key, &head).map(Some),
            None => Ok(None),
        };
        guarded(get).map_err(|fault| fault.storing(&self.folder, "read"))
    }
}

/// What went wrong inside, before it is known who is told.
enum Fault {
    /// Stored bytes are not what was written.
    Damaged(String),
    /// sled or the file system refused.
    Refused(sled::Error),
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Corruption { .. } => {
                Self::Damaged("its database is not as it was written".to_owned())
            }
            error => Self::Refused(error),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl Fault {
    /// As an error of opening `folder`.
    fn opening(self, folder: &Folder) -> OpenError {
        match self {
            Self::Damaged(what) => folder.damaged(what),
            Self::Refused(sled::Error::Io(source)) => {
                folder::io_error(folder.path(), "open the database", source)
            }
            // What else sled says at this point (`Unsupported`, `ReportableBug`) is about bytes
            // that it does not understand.
            Self::Refused(error) => folder.damaged(format!("its database does not open ({error})")),
        }
    }

    /// As an error of an open store.
    fn storing(self, folder: &Folder, action: &'static str) -> StoreError {
        let path = folder.path().to_owned();
        match self {
            Self::Damaged(what) => StoreError::Damaged { folder: path, what },
            Self::Refused(error) => {
                StoreError::Failed { folder: path, action, source: error.into() }
            }
        }
    }
}

fn decode_head<'a>(key: &[u8], head: &'a [u8]) -> Result<Head<'a>, Fault> {
    Head::decode(head).ok_or_else(|| damaged(key, "cannot be read"))
}

/// That the record of `key` is not as it was written.
fn damaged(key: &[u8], how: &str) -> Fault {
    Fault::Damaged(format!("the record `{}` {how}", key.escape_ascii()))
}

/// Calls into sled, and makes an error of a panic there.
fn guarded<T>(call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // What sled leaves behind after a panic is not used: the caller closes the store or stops.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Fault::Damaged(format!("sled panicked ({text})")))
    })
}
