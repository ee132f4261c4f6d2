//! Extracts archives that nobody has reason to trust.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

/// Bytes that one archive may hold when it is extracted.
const BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// Files and folders that one archive may hold.
const ENTRIES_MAX: u64 = 200_000;

/// Why an archive is not extracted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// It would write or point out of its folder.
    #[error("`{}` leads out of the folder", path.display())]
    ClimbsOut { path: PathBuf },
    /// It is a bomb.
    #[error("it holds more than {BYTES_MAX} bytes or {ENTRIES_MAX} entries")]
    TooMuch,
    /// It holds a device or something else that an artifact has no use for.
    #[error("`{}` is no file, folder or link", path.display())]
    Kind { path: PathBuf },
    /// Its format is not read here.
    #[error(
        "archives of the kind {suffix} are not extracted by this agent; \
        use .tar, .tar.gz or .tgz, or say extract: false"
    )]
    Format { suffix: &'static str },
    /// It is damaged, or the disk is full.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Extracts `archive` into `folder` if its name is that of an archive; else does nothing.
pub(crate) fn extract(archive: &Path, folder: &Path) -> Result<(), ArchiveError> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let open = || File::open(archive).map(BufReader::new);
    if name.ends_with(".tar") {
        unpack(open()?, folder)
    } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        unpack(MultiGzDecoder::new(open()?), folder)
    } else {
        let refused = [".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip"];
        match refused.into_iter().find(|suffix| name.ends_with(suffix)) {
            Some(suffix) => Err(ArchiveError::Format { suffix }),
            None => Ok(()),
        }
    }
}

fn unpack(reader: impl Read, folder: &Path) -> Result<(), ArchiveError> {
    // One byte more than is allowed: to reach it is to have too much.
    let mut archive = tar::Archive::new(reader.take(BYTES_MAX + 1));
    let (mut entries, mut bytes) = (0, 0u64);
    for entry in archive.entries()? {
        let mut entry = entry?;
        entries += 1;
        bytes = bytes.saturating_add(entry.size());
        if entries > ENTRIES_MAX || bytes > BYTES_MAX {
            return Err(ArchiveError::TooMuch);
        }
        let path = entry.path()?.into_owned();
        check(&path, &entry)?;
        // It follows no link that leads out of the folder, and says so by `false`.
        if !entry.unpack_in(folder)? {
            return Err(ArchiveError::ClimbsOut { path });
        }
    }
    Ok(())
}

fn check<R: Read>(path: &Path, entry: &tar::Entry<'_, R>) -> Result<(), ArchiveError> {
    let climbs_out = || ArchiveError::ClimbsOut { path: path.to_owned() };
    if depth_inside(Path::new(""), path).is_none() {
        return Err(climbs_out());
    }
    let kind = entry.header().entry_type();
    if kind.is_symlink() || kind.is_hard_link() {
        let target = entry.link_name()?.ok_or_else(climbs_out)?;
        // A symbolic link counts from its own folder, a hard link from the archive's top.
        let from = if kind.is_symlink() { path.parent() } else { None };
        depth_inside(from.unwrap_or(Path::new("")), &target).ok_or_else(climbs_out)?;
    } else if !kind.is_file() && !kind.is_dir() && !kind.is_contiguous() && !kind.is_gnu_sparse() {
        return Err(ArchiveError::Kind { path: path.to_owned() });
    }
    Ok(())
}

/// How deep `path`, taken from the folder `from`, ends below the top; `None` if it ever leaves it.
fn depth_inside(from: &Path, path: &Path) -> Option<usize> {
    from.components().chain(path.components()).try_fold(0usize, |depth, part| match part {
        Component::Normal(_) => Some(depth + 1),
        Component::CurDir => Some(depth),
        Component::ParentDir => depth.checked_sub(1),
        Component::RootDir | Component::Prefix(_) => None,
    })
}
