//! Digests of the files in a folder, divided among shards.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    ops::AddAssign,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

/// Why a shard was not digested.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    /// The folder cannot be listed.
    #[error("failed to list the files of `{}`", root.display())]
    List {
        /// The folder.
        root: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// git knows the folder and cannot list its files.
    #[error("failed to list the files of `{}` with git: {message}", root.display())]
    Git {
        /// The folder.
        root: PathBuf,
        /// What git says.
        message: String,
    },
    /// A file cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The result cannot be written.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The task was asked to end.
    #[error("cancelled")]
    Cancelled,
}

/// What a shard counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Files.
    pub files: u64,
    /// Line ends, as `wc -l` counts them.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.bytes += other.bytes;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "files={} lines={} bytes={}", self.files, self.lines, self.bytes)
    }
}

/// The paths of the files in `root`, relative to it and sorted: those that git tracks when it is
/// in a work tree, else all. Folders, submodules and links that lead nowhere are left out.
pub fn list(root: &Path) -> Result<Vec<PathBuf>, DigestError> {
    let mut paths = match list_tracked(root)? {
        Some(paths) => paths,
        None => {
            let mut paths = Vec::new();
            walk(root, Path::new(""), &mut paths)
                .map_err(|source| DigestError::List { root: root.to_owned(), source })?;
            paths
        }
    };
    paths.retain(|path| root.join(path).is_file());
    paths.sort();
    // git names a file with conflicts once for each of its versions.
    paths.dedup();
    Ok(paths)
}

/// What git tracks in `root`; `None` when it is in no work tree.
fn list_tracked(root: &Path) -> Result<Option<Vec<PathBuf>>, DigestError> {
    let listed = Command::new("git")
        .args([OsStr::new("-C"), root.as_os_str(), OsStr::new("ls-files"), OsStr::new("-z")])
        // The words of its errors are looked at.
        .env("LC_ALL", "C")
        .output();
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !in_work_tree(root) => {
            return Ok(None);
        }
        Err(source) => return Err(DigestError::List { root: root.to_owned(), source }),
    };
    if listed.status.success() {
        let names = listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        return Ok(Some(names.map(|name| OsString::from_vec(name.to_vec()).into()).collect()));
    }
    let message = String::from_utf8_lossy(&listed.stderr).trim().to_owned();
    if message.contains("not a git repository") {
        return Ok(None);
    }
    Err(DigestError::Git { root: root.to_owned(), message })
}

/// Whether git would look after this folder, if there were a git.
fn in_work_tree(root: &Path) -> bool {
    root.ancestors().any(|folder| folder.join(".git").exists())
}

fn walk(root: &Path, folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        // A link to a folder is not followed: it might lead back.
        if entry.file_type()?.is_dir() {
            walk(root, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// The shard, of `count`, that a file belongs to: by the hash of its path, so that every shard
/// finds out by itself and adding a file moves no other.
pub fn shard_of(path: &Path, count: u32) -> u32 {
    let hash = Sha256::digest(path.as_os_str().as_bytes());
    let first = hash.iter().take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    u32::try_from(first % u64::from(count.max(1))).expect("a remainder is less than its divisor")
}

/// A part of the files in a folder.
#[derive(Debug, Clone, Copy)]
pub struct Shard<'a> {
    /// The folder.
    pub root: &'a Path,
    /// Which part, from 0.
    pub item: u32,
    /// How many parts there are.
    pub count: u32,
}

impl Shard<'_> {
    /// Digests the files of this shard into `out/shard-<item>.tsv`, one line a file: SHA-256,
    /// lines, bytes and path, with tabs between.
    ///
    /// The table appears as a whole or not at all; until then it has the name of `task`, so that
    /// another attempt, or another run, writes a file of its own. `cancelled` is asked before each
    /// file.
    pub fn digest(
        &self,
        out: &Path,
        task: &str,
        cancelled: impl Fn() -> bool,
    ) -> Result<Totals, DigestError> {
        let table = out.join(format!("shard-{}.tsv", self.item));
        let part = out.join(format!(".{task}.part"));
        let unwritable = |source| DigestError::Write { path: table.clone(), source };
        fs::create_dir_all(out).map_err(unwritable)?;
        let mut writer = BufWriter::new(File::create(&part).map_err(unwritable)?);
        let digested = self.digest_into(&mut writer, cancelled, unwritable);
        let written = digested.and_then(|totals| {
            writer.flush().and_then(|()| fs::rename(&part, &table)).map_err(unwritable)?;
            Ok(totals)
        });
        if written.is_err() {
            // What counts is the first error, not that its traces stay.
            let _ = fs::remove_file(&part);
        }
        written
    }

    fn digest_into(
        &self,
        writer: &mut impl Write,
        cancelled: impl Fn() -> bool,
        unwritable: impl Fn(io::Error) -> DigestError,
    ) -> Result<Totals, DigestError> {
        let mut totals = Totals::default();
        for path in list(self.root)?.iter().filter(|path| shard_of(path, self.count) == self.item) {
            if cancelled() {
                return Err(DigestError::Cancelled);
            }
            let file = self.root.join(path);
            let digest =
                digest_file(&file).map_err(|source| DigestError::Read { path: file, source })?;
            write_line(writer, &digest, path).map_err(&unwritable)?;
            totals += Totals { files: 1, lines: digest.lines, bytes: digest.bytes };
        }
        Ok(totals)
    }
}

/// What is known of one file.
struct FileDigest {
    sha256: String,
    lines: u64,
    bytes: u64,
}

fn digest_file(path: &Path) -> io::Result<FileDigest> {
    let mut file = File::open(path)?;
    let (mut hash, mut lines, mut bytes) = (Sha256::new(), 0, 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        let read = &buffer[..length];
        hash.update(read);
        lines += read.iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes += length as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(FileDigest { sha256, lines, bytes })
}

fn write_line(writer: &mut impl Write, digest: &FileDigest, path: &Path) -> io::Result<()> {
    write!(writer, "{}\t{}\t{}\t", digest.sha256, digest.lines, digest.bytes)?;
    writer.write_all(&escaped(path))?;
    writer.write_all(b"\n")
}

/// A path that stays within its field, whatever its bytes are.
fn escaped(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'\\' => bytes.extend_from_slice(br"\\"),
            b'\t' => bytes.extend_from_slice(br"\t"),
            b'\n' => bytes.extend_from_slice(br"\n"),
            other => bytes.push(*other),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_one_shard() {
        for count in 1..=7 {
            for n in 0..100 {
                assert!(shard_of(Path::new(&format!("src/{n}.rs")), count) < count);
            }
        }
    }

    #[test]
    fn a_path_cannot_break_its_line() {
        assert_eq!(escaped(Path::new("a\tb\nc\\d")), br"a\tb\nc\\d");
    }
}
