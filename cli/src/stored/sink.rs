//! Where a backup goes.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _, Write as _},
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use thiserror::Error;

/// What stands for standard output.
pub(super) const STDOUT: &str = "-";
/// What the name of a file begins with until it is whole; what follows is random.
const UNFINISHED: &str = ".muster-backup-";

/// Why a backup cannot be written.
///
/// The system's errors are sources only: a reader that goes away early is fine for a listing, and
/// the command ends well then, but a copy that is cut off must never pass for a good one.
#[derive(Debug, Error)]
pub(super) enum CannotWrite {
    /// Standard output is a terminal.
    #[error("a backup is no text for a terminal; name a file, or a pipe")]
    Terminal,
    /// There is a folder of that name.
    #[error("`{0}` is a folder; name a file in it")]
    Folder(PathBuf),
    /// There is a symbolic link of that name.
    #[error("`{0}` is a symbolic link; name the file itself, or use `-o -` for standard output")]
    Link(PathBuf),
    /// There is a device, a pipe or a socket of that name.
    #[error("`{0}` is no regular file; use `-o -` and send standard output there")]
    Special(PathBuf),
    /// It is not known what there is of that name.
    #[error("cannot look at `{0}`")]
    Look(PathBuf, #[source] io::Error),
    /// No file can be made beside the one that it will be.
    #[error("cannot make a file in `{0}`")]
    Make(PathBuf, #[source] io::Error),
    /// The file does not take what it is given.
    #[error("cannot write `{0}`")]
    File(PathBuf, #[source] io::Error),
    /// It is all there, but not safely, or not under its name.
    #[error("cannot keep `{0}`")]
    Keep(PathBuf, #[source] io::Error),
    /// Standard output does not take what it is given.
    #[error("standard output was cut off, so the copy there is not whole; do not use it")]
    Stdout(#[source] io::Error),
}

/// Where a backup goes.
#[derive(Debug)]
pub(super) enum Sink {
    /// Standard output, without the buffer that would hold errors back.
    Stdout(File),
    /// A file beside the one that it will be. It is removed unless it is finished.
    File {
        /// For its owner only, as it holds all that users have stored.
        unfinished: NamedTempFile,
        /// The file that it will be.
        path: PathBuf,
    },
}

impl Sink {
    /// Makes ready to write to what a user has named.
    pub(super) fn open(path: &Path) -> Result<Self, CannotWrite> {
        if path.as_os_str() == STDOUT {
            let stdout = io::stdout();
            if stdout.is_terminal() {
                return Err(CannotWrite::Terminal);
            }
            let stdout = stdout.as_fd().try_clone_to_owned().map_err(CannotWrite::Stdout)?;
            return Ok(Self::Stdout(stdout.into()));
        }
        may_take_its_place(path)?;
        // A new file of mode 0600 and of a random name, so that two backups to one name are apart.
        let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder_of(path));
        let cannot = |error| CannotWrite::Make(folder_of(path).to_owned(), error);
        Ok(Self::File { unfinished: unfinished.map_err(cannot)?, path: path.to_owned() })
    }

    /// Adds some bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CannotWrite> {
        match self {
            Self::Stdout(file) => file.write_all(bytes).map_err(CannotWrite::Stdout),
            Self::File { unfinished, .. } => {
                let written = unfinished.as_file_mut().write_all(bytes);
                written.map_err(|error| CannotWrite::File(unfinished.path().to_owned(), error))
            }
        }
    }

    /// Keeps what was written. A sink that is dropped instead leaves no file behind.
    pub(super) fn finish(self) -> Result<(), CannotWrite> {
        let Self::File { unfinished, path } = self else {
            return Ok(());
        };
        // Much may have come to be there while the backup was made.
        may_take_its_place(&path)?;
        let keep = || {
            unfinished.as_file().sync_all()?;
            unfinished.persist(&path)?;
            File::open(folder_of(&path))?.sync_all()
        };
        keep().map_err(|error| CannotWrite::Keep(path.clone(), error))
    }
}

/// Whether a file may get this name. It would replace a device or a link, and not be written to it.
fn may_take_its_place(path: &Path) -> Result<(), CannotWrite> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(CannotWrite::Folder(path.to_owned()));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(found) if found.is_dir() => Err(CannotWrite::Folder(path.to_owned())),
        Ok(found) if found.is_symlink() => Err(CannotWrite::Link(path.to_owned())),
        Ok(_) => Err(CannotWrite::Special(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CannotWrite::Look(path.to_owned(), error)),
    }
}

/// The folder of a file.
fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink},
    };

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|entry| name(entry).into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn make_fifo(path: &Path) {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    #[test]
    fn a_file_takes_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        fs::write(&path, "yesterday").unwrap();
        let mut sink = Sink::open(&path).unwrap();
        sink.write(b"to").unwrap();
        sink.write(b"day").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"yesterday");
        sink.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"today");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["backup"]);
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        fs::write(&path, "yesterday").unwrap();
        let mut sink = Sink::open(&path).unwrap();
        sink.write(b"to").unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        drop(sink);
        assert_eq!(names(folder.path()), ["backup"]);
        assert_eq!(fs::read(&path).unwrap(), b"yesterday");
    }

    #[test]
    fn two_backups_to_one_name_are_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let mut sinks = [Sink::open(&path).unwrap(), Sink::open(&path).unwrap()];
        sinks[0].write(b"first").unwrap();
        sinks[1].write(b"other").unwrap();
        let [first, other] = sinks;
        first.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        other.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"other");
        assert_eq!(names(folder.path()), ["backup"]);
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        make_fifo(&path("fifo"));
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("file"), "kept").unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink(path("absent"), path("dangling")).unwrap();
        let refused = |name: &str, words: &str| {
            let said = Sink::open(&path(name)).unwrap_err().to_string();
            assert!(said.contains(words) && said.contains(name), "{said}");
        };
        refused("fifo", "use `-o -`");
        refused("folder", "is a folder");
        refused("absent/", "is a folder");
        refused("link", "use `-o -`");
        refused("dangling", "is a symbolic link");
        refused("file/below", "cannot look at");
        let nowhere = Sink::open(&path("folder/none/below"));
        assert!(matches!(nowhere, Err(CannotWrite::Make(..))));
        assert!(fs::symlink_metadata(path("fifo")).unwrap().file_type().is_fifo());
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        assert_eq!(fs::read(path("file")).unwrap(), b"kept");
        assert_eq!(names(folder.path()), ["dangling", "fifo", "file", "folder", "link"]);
        assert!(names(&path("folder")).is_empty());
    }

    #[test]
    fn what_came_to_be_there_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let sink = Sink::open(&path).unwrap();
        make_fifo(&path);
        assert!(matches!(sink.finish(), Err(CannotWrite::Special(_))));
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
        assert_eq!(names(folder.path()), ["backup"]);
    }

    #[test]
    fn a_copy_that_is_cut_off_is_an_error_of_the_command() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let full = File::options().write(true).open("/dev/full").unwrap();
        for file in [File::from(OwnedFd::from(writer)), full] {
            let error = anyhow::Error::from(Sink::Stdout(file).write(b"bytes").unwrap_err());
            assert!(!crate::is_broken_pipe(&error), "{error:#}");
            assert!(error.to_string().contains("not whole"), "{error:#}");
        }
    }
}
