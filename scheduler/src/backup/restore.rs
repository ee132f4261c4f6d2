//! Makes a data folder from a backup, offline.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use muster_api::{Timestamp, limits, step::Write};
use muster_engine::records::held_write;

use super::{Header, InvalidBackup, Item, Parser, Trailer};
use crate::{
    secrets,
    server::STORE,
    store::{Commit, DiskStore, OpenError, Stamp, State, StoreError, StoreKind},
};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// The term of the commits that a restore makes: below that of every scheduler.
const RESTORE_TERM: u64 = 0;

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The backup is being checked; so many of its bytes are.
    Checked(u64),
    /// It is being written; so many of its bytes are.
    Written(u64),
}

/// What was restored.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// Who wrote the backup.
    pub header: Header,
    /// What was in it.
    pub trailer: Trailer,
    /// What keeps it now.
    pub kind: StoreKind,
}

/// Why a backup is not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file system refused something.
    #[error("cannot {action} `{path}`; check its owner, its rights and free space")]
    Io {
        /// What was refused.
        action: &'static str,
        /// Of what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no backup, or not a whole one. Nothing was made.
    #[error("`{path}` cannot be restored, and nothing was made")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidBackup,
    },
    /// It was good at first and is not any more.
    #[error("`{path}` was changed while it was restored; remove `{folder}` and restore again")]
    Changed {
        /// The file.
        path: PathBuf,
        /// What is not whole now.
        folder: PathBuf,
        /// What is wrong with it now.
        #[source]
        source: InvalidBackup,
    },
    /// There is something already.
    #[error(
        "the data folder `{folder}` holds `{entry}`; a backup is restored into a folder that is \
         empty or not there, so nothing is written over"
    )]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        entry: String,
    },
    /// The new store cannot be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new store cannot be written.
    #[error("what was restored is not whole; remove `{folder}` and restore again")]
    Store {
        /// The data folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
}

/// Makes the data folder `data_dir` from the backup in the file `from`, kept by `kind` or else by
/// what kept the original. The backup is checked as a whole before anything is made. The new store
/// is held. Until all of it is there nobody can open it, also if this is killed.
pub fn restore(
    from: &Path,
    data_dir: &Path,
    kind: Option<StoreKind>,
    now: Timestamp,
    progress: &mut dyn FnMut(Progress),
) -> Result<Restored, RestoreError> {
    let invalid = |source| RestoreError::Invalid { path: from.to_owned(), source };
    check_empty(data_dir)?;
    let mut header = None;
    let trailer = read(from, &mut |bytes| progress(Progress::Checked(bytes)), &mut |item| {
        if let Item::Header(found) = item {
            header = Some(found);
        }
        Ok(())
    })?
    .map_err(invalid)?;
    let header = header.expect("a whole backup has a header");
    let kind = kind.or_else(|| header.store.parse().ok()).unwrap_or_default();

    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(|source| io_error("make the folder", data_dir, source))?;
    let store = DiskStore::begin_restore(&data_dir.join(STORE), kind)?;
    let mut filler = Filler { store, data_dir, sequence: 0, writes: Vec::new(), bytes: 0 };
    let again = read(from, &mut |bytes| progress(Progress::Written(bytes)), &mut |item| {
        if let Item::Writes(writes) = item { filler.add(writes) } else { Ok(()) }
    })?;
    let changed = |source| RestoreError::Changed {
        path: from.to_owned(),
        folder: data_dir.to_owned(),
        source,
    };
    again.map_err(changed)?;
    filler.finish(&trailer, now)?;
    Ok(Restored { header, trailer, kind })
}

/// Checks that nothing is in the data folder that could be lost.
fn check_empty(data_dir: &Path) -> Result<(), RestoreError> {
    let failed = |source| io_error("read the folder", data_dir, source);
    let entries = match fs::read_dir(data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if name == STORE {
            // One whose restore was cut short is told apart, for that says what to do.
            DiskStore::check_whole(&data_dir.join(STORE))?;
        }
        // Secrets are no part of a backup, so they may have been put there before.
        let secrets = [secrets::ADMIN_TOKEN, secrets::JOIN_TOKEN, secrets::NOTICE_SECRET];
        if !secrets.into_iter().any(|secret| name == secret) {
            let entry = name.to_string_lossy().into_owned();
            return Err(RestoreError::NotEmpty { folder: data_dir.to_owned(), entry });
        }
    }
    Ok(())
}

/// Reads a backup from its beginning to its end.
fn read(
    from: &Path,
    progress: &mut dyn FnMut(u64),
    each: &mut dyn FnMut(Item) -> Result<(), RestoreError>,
) -> Result<Result<Trailer, InvalidBackup>, RestoreError> {
    let failed = |source| io_error("read the file", from, source);
    let mut file = File::open(from).map_err(failed)?;
    let mut parser = Parser::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut end, mut bytes) = (None, 0);
    loop {
        let length = file.read(&mut chunk).map_err(failed)?;
        if length == 0 {
            break;
        }
        parser.push(&chunk[..length]);
        loop {
            match parser.next() {
                Ok(Some(Item::End(trailer))) => end = Some(trailer),
                Ok(Some(item)) => each(item)?,
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        bytes += length as u64;
        progress(bytes);
    }
    Ok(parser.finish().map(|()| end.expect("a backup is whole only with its end")))
}

/// Writes what is restored in commits of a bounded size.
struct Filler<'a> {
    store: DiskStore,
    data_dir: &'a Path,
    sequence: u64,
    writes: Vec<Write>,
    bytes: usize,
}

impl Filler<'_> {
    fn add(&mut self, writes: Vec<Write>) -> Result<(), RestoreError> {
        for write in writes {
            self.bytes += write.size();
            self.writes.push(write);
            let full = self.writes.len() >= limits::RESTORE_COMMIT_RECORDS
                || self.bytes >= limits::RESTORE_COMMIT_BYTES;
            if full {
                self.sequence += 1;
                self.commit(Stamp { term: RESTORE_TERM, sequence: self.sequence })?;
            }
        }
        Ok(())
    }

    /// The last commit has the stamp of the backup's, for it holds all that that one knew.
    fn finish(mut self, trailer: &Trailer, now: Timestamp) -> Result<(), RestoreError> {
        self.writes.push(held_write(now));
        let next = Stamp { term: RESTORE_TERM, sequence: self.sequence + 1 };
        self.commit(trailer.last.map_or(next, |last| last.max(next)))?;
        Ok(self.store.end_restore()?)
    }

    fn commit(&mut self, stamp: Stamp) -> Result<(), RestoreError> {
        let Stamp { term, sequence } = stamp;
        let commit = Commit { term, sequence, writes: &self.writes };
        self.store
            .commit(&commit)
            .map_err(|source| RestoreError::Store { folder: self.data_dir.to_owned(), source })?;
        self.writes.clear();
        self.bytes = 0;
        Ok(())
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> RestoreError {
    RestoreError::Io { action, path: path.to_owned(), source }
}
