//! The file behind the core's journal: RecordIO of entries, appended without fsync.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use muster_api::limits;
use muster_proto::recordio::{self, Decoder, InvalidRecord};
use prost::Message;

use crate::core::Entry;

/// Bytes from which on a journal is rewritten, if it is also far longer than it needs to be.
const REWRITE_FROM: u64 = 16 * 1024 * 1024;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The file system does not let us.
    #[error("cannot read or write the journal `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its framing is broken.
    #[error("the journal `{}` is damaged", path.display())]
    Framing {
        /// The file.
        path: PathBuf,
        /// How.
        #[source]
        source: InvalidRecord,
    },
    /// An entry could not be read again.
    #[error(
        "an entry for the journal `{}` has {length} bytes, and at most {} can be read",
        path.display(), limits::RECORD_BYTES
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Bytes of the entry.
        length: usize,
    },
    /// An entry is broken.
    #[error("an entry of the journal `{}` is damaged", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// How.
        #[source]
        source: prost::DecodeError,
    },
}

/// The journal, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    rewrite_at: u64,
}

/// Reads all whole entries. The last one may be cut short: the agent was killed while writing it,
/// and nothing had followed from it yet.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(JournalError::Io { path: path.to_owned(), source }),
    };
    let mut decoder = Decoder::new(limits::RECORD_BYTES);
    decoder.feed(&bytes);
    let mut entries = Vec::new();
    let framing = |source| JournalError::Framing { path: path.to_owned(), source };
    while let Some(record) = decoder.next_record().map_err(framing)? {
        let damaged = |source| JournalError::Entry { path: path.to_owned(), source };
        entries.push(Entry::decode(record).map_err(damaged)?);
    }
    Ok(entries)
}

impl Journal {
    /// Replaces the journal by `entries`, in one piece, and opens it.
    pub(crate) fn write(path: PathBuf, entries: &[Entry]) -> Result<Self, JournalError> {
        let bytes = records(&path, entries)?;
        let written = crate::work_dir::replace(&path, &bytes);
        let file = written.and_then(|()| File::options().append(true).open(&path));
        let length = bytes.len() as u64;
        match file {
            Ok(file) => {
                let rewrite_at = REWRITE_FROM.max(length * 4);
                Ok(Self { path, file, length, rewrite_at })
            }
            Err(source) => Err(JournalError::Io { path, source }),
        }
    }

    /// Appends entries in one write.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        if entries.is_empty() {
            return Ok(());
        }
        let bytes = records(&self.path, entries)?;
        self.length += bytes.len() as u64;
        let failed = |source| JournalError::Io { path: self.path.clone(), source };
        self.file.write_all(&bytes).map_err(failed)
    }

    /// Rewrites the journal when it has grown much longer than what it says.
    pub(crate) fn compact(
        &mut self,
        snapshot: impl FnOnce() -> Vec<Entry>,
    ) -> Result<(), JournalError> {
        if self.length > self.rewrite_at {
            *self = Self::write(self.path.clone(), &snapshot())?;
        }
        Ok(())
    }
}

/// Entries as they are written down, if all of them can be read again.
fn records(path: &Path, entries: &[Entry]) -> Result<Vec<u8>, JournalError> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = entry.encoded_len();
        if length > limits::RECORD_BYTES {
            return Err(JournalError::TooLong { path: path.to_owned(), length });
        }
        recordio::encode_message(entry, &mut bytes);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use muster_proto::TaskStatus;

    use super::*;
    use crate::core::{Kind, Known};

    fn entry_of(bytes: usize) -> Entry {
        let status = TaskStatus { data: Some(vec![1; bytes]), ..TaskStatus::default() };
        Kind::Status(Known { status: Some(status), ..Known::default() }).into()
    }

    #[test]
    fn an_entry_that_could_not_be_read_again_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::write(path.clone(), &[entry_of(1)]).unwrap();
        let too_long = [entry_of(2), entry_of(limits::RECORD_BYTES)];
        let error = journal.append(&too_long).unwrap_err();
        assert!(matches!(error, JournalError::TooLong { .. }), "{error}");
        assert!(journal.compact(Vec::new).is_ok());
        assert!(Journal::write(path.clone(), &too_long).is_err());
        journal.append(&[entry_of(3)]).unwrap();
        assert_eq!(read(&path).unwrap(), [entry_of(1), entry_of(3)]);
    }
}
