//! The store on disk: records in one ordered tree, whichever database keeps it.
//!
//! Here is what all of them have in common: one writer, whose commits come in the order of their
//! stamps; readers that see whole commits only; long values in parts where the tree wants that;
//! and a closed door after a commit of which nobody knows what became of it.

use std::{
    ops::Range,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use muster_api::{limits::STORED_VALUE_BYTES, step::Write};

use super::{
    Commit, History, OpenError, Row, Stamp, State, StoreError, StoreKind,
    folder::Folder,
    layout::{self, Head},
    reached,
    redb::RedbTree,
    sled::SledTree,
    tree::{Changes, Fault, Tree, guarded},
};

/// The store in a folder of the disk.
pub struct DiskStore(Arc<Database>);

pub(super) struct Database {
    tree: Box<dyn Tree>,
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

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DiskStore").field(&self.0.folder).finish()
    }
}

impl DiskStore {
    /// Opens the store in `path`, making it if nothing is there.
    ///
    /// A folder keeps the kind that it was made with; another one is refused. Without a wish a new
    /// folder has the default kind.
    pub fn open(path: &Path, kind: Option<StoreKind>) -> Result<Self, OpenError> {
        Self::open_in(Folder::open(path, kind)?)
    }

    /// Makes a store for a restore. Until [`DiskStore::end_restore`] nobody else can open it, also
    /// if this process dies.
    pub(crate) fn begin_restore(path: &Path, kind: StoreKind) -> Result<Self, OpenError> {
        let folder = Folder::open(path, Some(kind))?;
        folder.begin_restore()?;
        Self::open_in(folder)
    }

    /// Says that the restore is complete.
    pub(crate) fn end_restore(self) -> Result<(), OpenError> {
        self.0.folder.end_restore()
    }

    /// An error if a restore goes on in the folder at `path`, or was cut short there.
    pub(crate) fn check_whole(path: &Path) -> Result<(), OpenError> {
        Folder::check_whole(path)
    }

    /// The database that keeps it.
    pub fn kind(&self) -> StoreKind {
        self.0.folder.kind()
    }

    pub(super) fn database(&self) -> &Database {
        &self.0
    }

    pub(super) fn open_in(mut folder: Folder) -> Result<Self, OpenError> {
        let database = folder.database();
        if folder.is_made() && !database.join("db").exists() {
            return Err(folder.damaged(format!("its file `{}/db` is missing", folder.kind())));
        }
        folder.await_unlocked(&database.join("db"))?;
        let reached = reached::read(folder.path());
        let never_used = !folder.is_made() && reached.is_none();
        let opened = match open_tree(&folder) {
            Err(Fault::Damaged(_) | Fault::Refused(_)) if never_used => {
                // Its making was cut short, by a power cut even, and nothing was ever stored.
                folder.remove_database()?;
                open_tree(&folder)
            }
            opened => opened,
        };
        let (tree, last) = opened.map_err(|fault| fault.opening(&folder))?;
        if reached > last {
            return Err(folder.damaged("its database lacks its newest commits"));
        }
        if !folder.is_made() {
            folder.finish()?;
        }
        Ok(Self(Arc::new(Database { tree, gate: RwLock::new(Gate::Open(last)), folder })))
    }
}

/// The tree in a folder, and the stamp of its newest commit.
fn open_tree(folder: &Folder) -> Result<(Box<dyn Tree>, Option<Stamp>), Fault> {
    guarded(|| {
        let database = folder.database();
        let tree: Box<dyn Tree> = match folder.kind() {
            StoreKind::Sled => Box::new(SledTree::open(&database)?),
            StoreKind::Redb => Box::new(RedbTree::open(&database)?),
        };
        let last = begin(&*tree, folder)?;
        Ok((tree, last))
    })
}

/// Writes the note of the format into a fresh tree, and checks that of any other. Answers the
/// stamp of the newest commit.
fn begin(tree: &dyn Tree, folder: &Folder) -> Result<Option<Stamp>, Fault> {
    let note = folder.kind().format_note();
    match tree.get(layout::FORMAT_KEY)? {
        Some(found) if found == note.as_bytes() => tree.settle()?,
        None if !folder.is_made() && is_empty(tree)? => {
            tree.apply(Changes::from([(layout::FORMAT_KEY.into(), Some(note.into()))]))?;
        }
        _ => {
            return Err(Fault::Damaged("its database is not the one that was made with it".into()));
        }
    }
    let stamp = tree.get(layout::COMMIT_KEY)?;
    let decode = |stamp: Vec<u8>| {
        layout::decode_stamp(&stamp)
            .ok_or_else(|| Fault::record(layout::COMMIT_KEY, "cannot be read"))
    };
    stamp.map(decode).transpose()
}

fn is_empty(tree: &dyn Tree) -> Result<bool, Fault> {
    let mut empty = true;
    tree.scan(&[]..&[u8::MAX], false, &mut |_, _| {
        empty = false;
        Ok(false)
    })?;
    Ok(empty)
}

impl Database {
    /// All stored keys and values as they lie in the tree.
    pub(super) fn stored(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let _gate = self.reading()?;
        let scan = || {
            self.tree.scan(&[]..&[u8::MAX], false, &mut |key, value| {
                each(key, value);
                Ok(true)
            })
        };
        guarded(scan).map_err(|fault| fault.storing(&self.folder, "read"))
    }

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

    /// The value of a key whose head is `stored`, handed to `with`: from where it lies, or put
    /// together from its parts.
    fn with_value<T>(
        &self,
        key: &[u8],
        stored: &[u8],
        with: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Fault> {
        let head = decode_head(key, stored)?;
        let length = match head {
            Head::Whole(value) => return Ok(with(value)),
            Head::InParts(length) => length as usize,
        };
        let mut value = Vec::with_capacity(length);
        for number in 0..head.parts() {
            if let Some(part) = self.tree.get(&layout::part_key(key, number))? {
                value.extend_from_slice(&part);
            }
        }
        if value.len() == length {
            Ok(with(&value))
        } else {
            Err(Fault::record(key, "lacks a part"))
        }
    }

    /// The rows of a range of stored keys, in either direction.
    fn rows(&self, range: &Range<Vec<u8>>, reverse: bool, limit: usize) -> Result<Vec<Row>, Fault> {
        let mut rows = Vec::new();
        if limit > 0 {
            self.tree.scan(&range.start..&range.end, reverse, &mut |stored_key, head| {
                let key = layout::key_of(stored_key);
                let value = self.with_value(key, head, <[u8]>::to_vec)?;
                rows.push((key.to_vec(), value));
                Ok(rows.len() < limit)
            })?;
        }
        Ok(rows)
    }

    /// What a commit changes in the tree, its stamp included.
    fn changes(&self, commit: &Commit<'_>) -> Result<Changes, Fault> {
        let mut changes = Changes::new();
        for write in commit.writes {
            let (key, value) = match write {
                Write::Put { key, value } => (key, Some(value.as_slice())),
                Write::Delete { key } => (key, None),
            };
            if self.tree.wants_parts() {
                self.change_in_parts(key, value, &mut changes)?;
            } else {
                let value = value.map(|value| Head::Whole(value).encode());
                changes.insert(layout::record_key(key), value);
            }
        }
        changes.insert(layout::COMMIT_KEY.into(), Some(layout::encode_stamp(commit.stamp())));
        Ok(changes)
    }

    /// A change of one record whose value, the old one or the new one, may lie in parts.
    fn change_in_parts(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        changes: &mut Changes,
    ) -> Result<(), Fault> {
        let record_key = layout::record_key(key);
        // An earlier change of the same commit has put other parts there, or none.
        let old = match changes.get(&record_key) {
            Some(earlier) => earlier.clone(),
            None => self.tree.get(&record_key)?,
        };
        let old_parts = match old {
            Some(head) => decode_head(key, &head)?.parts(),
            None => 0,
        };
        let head = value.map(Head::of);
        let new_parts = head.as_ref().map_or(0, Head::parts);
        changes.insert(record_key, head.map(|head| head.encode()));
        let parts = value.unwrap_or_default().chunks(STORED_VALUE_BYTES);
        for (number, part) in (0..new_parts).zip(parts) {
            changes.insert(layout::part_key(key, number), Some(part.to_vec()));
        }
        for number in new_parts..old_parts {
            changes.insert(layout::part_key(key, number), None);
        }
        Ok(())
    }
}

impl State for DiskStore {
    fn load(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let database = &*self.0;
        let _gate = database.reading()?;
        let load = || {
            for range in layout::state_records() {
                database.tree.scan(&range.start..&range.end, false, &mut |stored_key, head| {
                    let key = layout::key_of(stored_key);
                    database.with_value(key, head, |value| each(key, value))?;
                    Ok(true)
                })?;
            }
            Ok(())
        };
        guarded(load).map_err(|fault| fault.storing(&database.folder, "load the records"))
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
        let durable = || database.tree.apply(database.changes(commit)?);
        guarded(durable).map_err(|fault| fault.storing(&database.folder, "commit"))?;
        *gate = Gate::Open(Some(commit.stamp()));
        // It only helps to tell that a database was cut short; an older note is good as well.
        let _ = reached::note(database.folder.path(), commit.stamp());
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
        let rows = || self.rows(&range, reverse, limit);
        guarded(rows).map_err(|fault| fault.storing(&self.folder, "read"))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _gate = self.reading()?;
        let get = || match self.tree.get(&layout::record_key(key))? {
            Some(head) => self.with_value(key, &head, <[u8]>::to_vec).map(Some),
            None => Ok(None),
        };
        guarded(get).map_err(|fault| fault.storing(&self.folder, "read"))
    }
}

fn decode_head<'a>(key: &[u8], head: &'a [u8]) -> Result<Head<'a>, Fault> {
    Head::decode(head).ok_or_else(|| Fault::record(key, "cannot be read"))
}
