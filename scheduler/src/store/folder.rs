//! The folder of a store on disk: whose it is, in which format, and who has it open.
//!
//! ```text
//! store/lock      locked by the process that has the folder open; holds its id
//! store/format    `muster-store 1`; written last when a folder is made, so that a folder
//!                 without it was never used, and one with it has its database
//! store/sled/     the database
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use super::OpenError;
use crate::replace::{replace, sync_folder};

/// The newest format; it names the layout of the tree and of the folder.
pub(super) const FORMAT: u32 = 1;
/// What the note of the format begins with.
const FORMAT_NAME: &str = "muster-store";

/// What an unknown process is called in an error.
const UNKNOWN_OWNER: &str = "of unknown id";

/// How often a locked database is looked at before it counts as in use ...
const UNLOCK_ATTEMPTS: u32 = 1_000;
/// ... and how long it is left alone in between.
const UNLOCK_PAUSE: Duration = Duration::from_millis(5);

/// What may be in a folder whose making was cut short.
const OWN_ENTRIES: [&str; 4] = ["lock", "format", "format.new", "sled"];

/// The folder of a store, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Whether its making was finished.
    made: bool,
    _lock: File,
}

impl Folder {
    /// Looks at the folder at `path`, makes it if it is not there, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        // Looked at before anything is made in it: it may be somebody else's.
        let made = examine(path)?;
        let action = |action| move |source| io_error(path, action, source);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(action("create files"))?;
        let lock = lock(path)?;
        Ok(Self { path: path.to_owned(), made, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where its database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("sled")
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
            replace(&self.path.join("format"), format_note().as_bytes(), 0o600)?;
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
    /// closed, and sled does not wait for itself.
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

/// The note of the format that is written now.
pub(super) fn format_note() -> String {
    format!("{FORMAT_NAME} {FORMAT}\n")
}

/// Checks a note of the format.
fn check_note(folder: &Path, note: &[u8]) -> Result<(), OpenError> {
    let number = std::str::from_utf8(note)
        .ok()
        .and_then(|note| note.trim_end().strip_prefix(FORMAT_NAME))
        .and_then(|number| number.trim_start().parse::<u32>().ok());
    let folder = folder.to_owned();
    match number {
        Some(1..=FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(OpenError::Newer { folder, found, known: FORMAT }),
        _ => Err(OpenError::Foreign { folder, entry: "format".to_owned() }),
    }
}

/// Whether the folder was made before; an error if it is somebody else's.
fn examine(path: &Path) -> Result<bool, OpenError> {
    let action = |source| io_error(path, "read files", source);
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
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
        (Ok(note), _) => check_note(path, &note).map(|()| true),
        (Err(error), _) if error.kind() != io::ErrorKind::NotFound => Err(action(error)),
        (Err(_), Some(entry)) => Err(OpenError::Foreign { folder: path.to_owned(), entry }),
        (Err(_), None) => Ok(false),
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
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// That the file system refused something.
pub(super) fn io_error(folder: &Path, action: &'static str, source: io::Error) -> OpenError {
    OpenError::Io { folder: folder.to_owned(), action, source }
}
