//! The folder of a store on disk: whose it is, in which format, and who has it open.
//!
//! ```text
//! store/lock       locked by the process that has the folder open; holds its id
//! store/format     `muster-store 1`, or `muster-store 1 redb`; written last when a folder is
//!                  made, so that a folder without it was never used, and one with it has its
//!                  database
//! store/sled/, store/redb/   the database
//! store/restoring  there while a backup is written into it
//! store/reached    the stamp of the newest commit
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use super::{
    OpenError, StoreKind,
    kind::{FORMAT, Note},
    reached::REACHED,
};
use crate::replace::{remove, replace, sync_folder};

/// What an unknown process is called in an error.
const UNKNOWN_OWNER: &str = "of unknown id";

/// How often a locked database is looked at before it counts as in use ...
const UNLOCK_ATTEMPTS: u32 = 1_000;
/// ... and how long it is left alone in between.
const UNLOCK_PAUSE: Duration = Duration::from_millis(5);

/// What may be in a folder whose making was cut short.
const OWN_ENTRIES: [&str; 8] =
    ["lock", "format", "format.new", "sled", "redb", RESTORING, "restoring.new", REACHED];

/// The note that a restore goes on.
const RESTORING: &str = "restoring";

/// The folder of a store, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    kind: StoreKind,
    /// Whether its making was finished.
    made: bool,
    _lock: File,
}

impl Folder {
    /// Looks at the folder at `path`, makes it if it is not there, and locks it.
    pub(super) fn open(path: &Path, wanted: Option<StoreKind>) -> Result<Self, OpenError> {
        // Looked at before anything is made in it: it may be somebody else's.
        examine(path)?;
        let action = |action| move |source| io_error(path, action, source);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(action("create files"))?;
        let mut lock = lock(path)?;
        // Looked at again: now nobody else changes it.
        let made = examine_whole(path)?;
        let kind = match (made, wanted) {
            (Some(found), Some(wanted)) if found != wanted => {
                return Err(OpenError::OtherKind { folder: path.to_owned(), found, wanted });
            }
            (found, wanted) => found.or(wanted).unwrap_or_default(),
        };
        let mut note_owner = || {
            lock.set_len(0)?;
            writeln!(lock, "{}", std::process::id())
        };
        note_owner().map_err(action("write the file `lock`"))?;
        Ok(Self { path: path.to_owned(), kind, made: made.is_some(), _lock: lock })
    }

    /// Locks a folder that was made before, and changes nothing in it.
    pub(super) fn look_at(path: &Path) -> Result<Self, OpenError> {
        let absent = || OpenError::Absent { folder: path.to_owned() };
        examine(path)?.ok_or_else(absent)?;
        let lock = lock(path)?;
        let kind = examine_whole(path)?.ok_or_else(absent)?;
        Ok(Self { path: path.to_owned(), kind, made: true, _lock: lock })
    }

    /// An error if a restore goes on in the folder at `path`, or was cut short there.
    pub(super) fn check_whole(path: &Path) -> Result<(), OpenError> {
        if !path.join(RESTORING).exists() {
            return Ok(());
        }
        let _lock = lock(path)?;
        examine_whole(path).map(|_| ())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Who keeps it.
    pub(super) fn kind(&self) -> StoreKind {
        self.kind
    }

    /// Where its database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(self.kind.name())
    }

    /// Removes a database of which nothing was ever used.
    pub(super) fn remove_database(&self) -> Result<(), OpenError> {
        let action = "remove a database whose making was cut short";
        fs::remove_dir_all(self.database()).map_err(|source| io_error(&self.path, action, source))
    }

    /// Notes, durably, that what is in it is not whole.
    pub(super) fn begin_restore(&self) -> Result<(), OpenError> {
        replace(&self.path.join(RESTORING), b"", 0o600)
            .map_err(|source| io_error(&self.path, "write the file `restoring`", source))
    }

    /// Notes, durably, that it is whole.
    pub(super) fn end_restore(&self) -> Result<(), OpenError> {
        let durable = || {
            remove(&self.path.join(RESTORING))?;
            sync_folder(&self.path)
        };
        durable().map_err(|source| io_error(&self.path, "remove the file `restoring`", source))
    }

    /// Whether it was made before, and so must have a database with its note.
    pub(super) fn is_made(&self) -> bool {
        self.made
    }

    /// Notes that its making is finished. Its database must be durable by now.
    pub(super) fn finish(&mut self) -> Result<(), OpenError> {
        let durable = || {
            // sled does not sync the file `conf`, without which it does not open.
            for entry in fs::read_dir(self.database())? {
                File::open(entry?.path())?.sync_all()?;
            }
            sync_folder(&self.database())?;
            let note = self.kind.format_note();
            replace(&self.path.join("format"), note.as_bytes(), 0o600)?;
            // The folder may be as new as those around it. Ancestors that this user may not read
            // are not new.
            let mut ancestors = self.path.ancestors().skip(1);
            ancestors.try_for_each(sync_folder).or_else(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => Ok(()),
                _ => Err(error),
            })
        };
        durable().map_err(|source| io_error(&self.path, "write the file `format`", source))?;
        self.made = true;
        Ok(())
    }

    /// Waits until nobody has `file` locked, if it is there.
    ///
    /// sled's own threads keep its file locked for a moment after a store of this process was
    /// closed, and sled does not wait for itself. redb locks its file in the same way.
    pub(super) fn await_unlocked(&self, file: &Path) -> Result<(), OpenError> {
        let Ok(file) = File::open(file) else { return Ok(()) };
        for _ in 0..UNLOCK_ATTEMPTS {
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Ok(());
            }
            std::thread::park_timeout(UNLOCK_PAUSE);
        }
        Err(OpenError::InUse { folder: self.path.clone(), owner: UNKNOWN_OWNER.to_owned() })
    }

    /// That it is damaged, and how.
    pub(super) fn damaged(&self, what: impl Into<String>) -> OpenError {
        OpenError::Damaged { folder: self.path.clone(), what: what.into() }
    }
}

/// Checks a note of the format, and answers who keeps the folder.
fn check_note(folder: &Path, note: &[u8]) -> Result<StoreKind, OpenError> {
    let folder = folder.to_owned();
    match Note::read(note) {
        Some(Note::Known(kind)) => Ok(kind),
        Some(Note::Newer(found)) => Err(OpenError::Newer { folder, found, known: FORMAT }),
        None => Err(OpenError::Foreign { folder, entry: "format".to_owned() }),
    }
}

/// Who keeps the folder if it was made before; an error if what is in it is not whole. The folder
/// is locked by the caller, so no restore goes on.
fn examine_whole(path: &Path) -> Result<Option<StoreKind>, OpenError> {
    if path.join(RESTORING).exists() {
        return Err(OpenError::Unfinished { folder: path.to_owned() });
    }
    examine(path)
}

/// Who keeps the folder if it was made before; an error if it is somebody else's.
fn examine(path: &Path) -> Result<Option<StoreKind>, OpenError> {
    let action = |source| io_error(path, "read files", source);
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(action)?,
    };
    let mut foreign = None;
    for entry in entries {
        let name = entry.map_err(action)?.file_name();
        if !OWN_ENTRIES.iter().any(|own| name == *own) {
            foreign = Some(name.to_string_lossy().into_owned());
        }
    }
    match (fs::read(path.join("format")), foreign) {
        (Ok(note), _) => check_note(path, &note).map(Some),
        (Err(error), _) if error.kind() != io::ErrorKind::NotFound => Err(action(error)),
        (Err(_), Some(entry)) => Err(OpenError::Foreign { folder: path.to_owned(), entry }),
        (Err(_), None) => Ok(None),
    }
}

/// Locks the folder until the file is closed, which the end of the process does too.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let failed = |source| io_error(folder, "lock the file `lock`", source);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(folder.join("lock")).map_err(failed)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(failed(error.into()));
        }
        let mut owner = String::new();
        let owner = match file.read_to_string(&mut owner) {
            Ok(_) if !owner.trim().is_empty() => owner.trim().to_owned(),
            _ => UNKNOWN_OWNER.to_owned(),
        };
        return Err(OpenError::InUse { folder: folder.to_owned(), owner });
    }
    Ok(file)
}

/// That the file system refused something.
pub(super) fn io_error(folder: &Path, action: &'static str, source: io::Error) -> OpenError {
    OpenError::Io { folder: folder.to_owned(), action, source }
}
