//! redb as a tree: one table in one file.
//!
//! A commit of redb with `Durability::Immediate` (its default) writes to free pages and then
//! swaps a checksummed root, so it is atomic and durable by itself. After a kill it looks through
//! all of its pages at the next opening.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    path::Path,
};

use redb::{
    CommitError, Database, DatabaseError, ReadableDatabase as _, StorageError, TableDefinition,
    TableError, TransactionError,
};

use super::tree::{Changes, Each, Fault, Tree};

/// Its name and its types are on disks.
const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("muster");

/// Memory for pages of the file. The records in use are in the cores' memory anyway.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// A redb table.
#[derive(Debug)]
pub(super) struct RedbTree {
    database: Database,
    /// The same file, for `fdatasync` at opening.
    file: File,
}

impl RedbTree {
    /// Opens the file `db` in the folder at `path`, making it if nothing is there.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        fs::create_dir_all(path)?;
        let path = path.join("db");
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(&path)?;
        // Readers find a table only after a writer has opened it once.
        if let Err(TableError::TableDoesNotExist(_)) = database.begin_read()?.open_table(TABLE) {
            let write = database.begin_write()?;
            write.open_table(TABLE)?;
            write.commit()?;
        }
        Ok(Self { database, file: File::open(path)? })
    }
}

impl Tree for RedbTree {
    fn wants_parts(&self) -> bool {
        false
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn scan(&self, range: Range<&[u8]>, reverse: bool, each: Each<'_>) -> Result<(), Fault> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        let mut stored = table.range::<&[u8]>(range)?;
        loop {
            let next = if reverse { stored.next_back() } else { stored.next() };
            match next.transpose()? {
                Some((key, value)) if each(key.value(), value.value())? => {}
                _ => return Ok(()),
            }
        }
    }

    fn apply(&self, changes: Changes) -> Result<(), Fault> {
        let write = self.database.begin_write()?;
        let mut table = write.open_table(TABLE)?;
        for (key, value) in changes {
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
        drop(table);
        Ok(write.commit()?)
    }

    fn settle(&self) -> Result<(), Fault> {
        Ok(self.file.sync_data()?)
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Corrupted(what) => {
                Self::Damaged(format!("its database is not as it was written ({what})"))
            }
            StorageError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::Damaged(format!("its database is not as it was written ({error})"))
            }
            StorageError::Io(error) => Self::Io(error),
            error => Self::Refused(error.into()),
        }
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Storage(error) => error.into(),
            error => Self::Refused(error.into()),
        }
    }
}

impl From<TransactionError> for Fault {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(error) => error.into(),
            error => Self::Refused(error.into()),
        }
    }
}

impl From<TableError> for Fault {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            error => Self::Refused(error.into()),
        }
    }
}

impl From<CommitError> for Fault {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => error.into(),
            error => Self::Refused(error.into()),
        }
    }
}
