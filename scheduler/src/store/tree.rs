//! What a store on disk needs of an embedded database: an ordered map, and batches that are
//! atomic and durable.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    OpenError, StoreError,
    folder::{self, Folder},
};

/// Stored keys with their new values, or none where the key is to go.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Is handed stored keys and values, and says whether it wants the next.
pub(super) type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<bool, Fault>;

/// An ordered map of bytes on a disk.
pub(super) trait Tree: Send + Sync {
    /// Whether long values must be cut into parts for it.
    fn wants_parts(&self) -> bool;

    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;

    /// Hands over what is in a range, in the order of keys or against it, until `each` has enough.
    fn scan(&self, range: Range<&[u8]>, reverse: bool, each: Each<'_>) -> Result<(), Fault>;

    /// Makes all of the changes or none, and returns when they would survive a power cut.
    fn apply(&self, changes: Changes) -> Result<(), Fault>;

    /// Makes durable what was found at opening: what a killed process wrote may be in the page
    /// cache only, and is built upon from now on.
    fn settle(&self) -> Result<(), Fault>;
}

/// What went wrong inside, before it is known who is told.
#[derive(Debug)]
pub(super) enum Fault {
    /// Stored bytes are not what was written.
    Damaged(String),
    /// The file system refused.
    Io(io::Error),
    /// The database refused.
    Refused(Box<dyn std::error::Error + Send + Sync>),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    /// That the record of `key` is not as it was written.
    pub(super) fn record(key: &[u8], how: &str) -> Self {
        Self::Damaged(format!("the record `{}` {how}", key.escape_ascii()))
    }

    /// As an error of opening `folder`.
    pub(super) fn opening(self, folder: &Folder) -> OpenError {
        match self {
            Self::Damaged(what) => folder.damaged(what),
            Self::Io(source) => folder::io_error(folder.path(), "open the database", source),
            // What a database says beside that at this point is about bytes that it does not
            // understand.
            Self::Refused(error) => folder.damaged(format!("its database does not open ({error})")),
        }
    }

    /// As an error of an open store.
    pub(super) fn storing(self, folder: &Folder, action: &'static str) -> StoreError {
        let folder = folder.path().to_owned();
        match self {
            Self::Damaged(what) => StoreError::Damaged { folder, what },
            Self::Io(error) => StoreError::Failed { folder, action, source: error.into() },
            Self::Refused(source) => StoreError::Failed { folder, action, source },
        }
    }
}

/// Calls into a database, and makes an error of a panic there.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // What a database leaves behind after a panic is not used: the caller closes the store or
    // stops.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Fault::Damaged(format!("its database panicked ({text})")))
    })
}
