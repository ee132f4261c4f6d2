//! Extracts archives that nobody has reason to trust.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use rustix::fs::OFlags;
use zip::ZipArchive;

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
    /// Where it leads depends on other links.
    #[error("`{}` is a link that may lead out of the folder", path.display())]
    MayClimbOut { path: PathBuf },
    /// It is a bomb.
    #[error("it holds more than {BYTES_MAX} bytes or {ENTRIES_MAX} entries")]
    TooMuch,
    /// It holds a device or something else that an artifact has no use for.
    #[error("`{}` is no file, folder or link", path.display())]
    Kind { path: PathBuf },
    /// It is damaged, or the disk is full.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a damaged or unusual zip.
    #[error("{0}")]
    Zip(#[from] zip::result::ZipError),
}

/// Extracts `archive` into `folder` if its name is that of an archive; else does nothing.
pub(crate) fn extract(archive: &Path, folder: &Path) -> Result<(), ArchiveError> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let is = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let open = || File::open(archive).map(BufReader::new);
    if is(&[".tar"]) {
        unpack(open()?, folder)
    } else if is(&[".tar.gz", ".tgz"]) {
        unpack(MultiGzDecoder::new(open()?), folder)
    } else if is(&[".tar.bz2", ".tbz2"]) {
        unpack(MultiBzDecoder::new(open()?), folder)
    } else if is(&[".tar.xz", ".txz"]) {
        unpack(XzReader::new(open()?, true), folder)
    } else if is(&[".zip"]) {
        unzip(ZipArchive::new(open()?)?, folder)
    } else {
        Ok(())
    }
}

fn unzip<R: Read + Seek>(mut archive: ZipArchive<R>, folder: &Path) -> Result<(), ArchiveError> {
    if archive.len() as u64 > ENTRIES_MAX {
        return Err(ArchiveError::TooMuch);
    }
    let mut left = BYTES_MAX;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let path = PathBuf::from(entry.name()?.as_ref());
        // From a folder that is a link `..` leads elsewhere than its name says.
        let climbs = path.components().any(|part| part == Component::ParentDir);
        if climbs || depth_inside(Path::new(""), &path).is_none() {
            return Err(ArchiveError::ClimbsOut { path });
        }
        let target = folder.join(&path);
        if entry.is_dir() {
            fs::create_dir_all(&target)?;
            continue;
        }
        // Links are stored as files that hold their target; they could lead anywhere.
        if !entry.is_file() {
            return Err(ArchiveError::Kind { path });
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let mode = entry.unix_mode().unwrap_or(0o644);
        // What an entry says of its size is its maker's word, so what comes out is counted.
        let mut file = create(&target)?;
        let copied = io::copy(&mut (&mut entry).take(left + 1), &mut file)?;
        left = left.checked_sub(copied).ok_or(ArchiveError::TooMuch)?;
        file.set_permissions(fs::Permissions::from_mode(mode & 0o777))?;
    }
    Ok(())
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
        check(&path, &entry, folder)?;
        // It follows no link that leads out of the folder, and says so by `false`.
        if !entry.unpack_in(folder)? {
            return Err(ArchiveError::ClimbsOut { path });
        }
    }
    Ok(())
}

/// Opens a file for writing, empty, and follows no link there: what is in a sandbox already may be the
/// work of another archive.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = File::options();
    let options = options.create(true).write(true).truncate(true).mode(0o644);
    let file = options.custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
}

/// Finds out whether an entry stays in the folder.
///
/// Each link must, wherever the others lead that it comes upon, now or when they are there. So it climbs
/// only in front, from the folder that it is really in; and it gets no other name elsewhere.
fn check<R: Read>(
    path: &Path,
    entry: &tar::Entry<'_, R>,
    folder: &Path,
) -> Result<(), ArchiveError> {
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
        let parent = path.parent().unwrap_or(Path::new(""));
        let names_a_link = kind.is_hard_link() && passes_link(folder, &target);
        if !climbs_only_in_front(&target) || passes_link(folder, parent) || names_a_link {
            return Err(ArchiveError::MayClimbOut { path: path.to_owned() });
        }
    } else if !kind.is_file() && !kind.is_dir() && !kind.is_contiguous() && !kind.is_gnu_sparse() {
        return Err(ArchiveError::Kind { path: path.to_owned() });
    }
    Ok(())
}

/// Whether each `..` in a path comes before all names.
fn climbs_only_in_front(path: &Path) -> bool {
    let mut parts = path.components();
    parts.find(|part| matches!(part, Component::Normal(_)));
    parts.all(|part| part != Component::ParentDir)
}

/// Whether a path below `folder` is a link, or leads through one.
fn passes_link(folder: &Path, path: &Path) -> bool {
    let mut place = folder.to_owned();
    path.components().any(|part| {
        place.push(part);
        // What is not there yet is made as a folder.
        fs::symlink_metadata(&place).is_ok_and(|facts| facts.is_symlink())
    })
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn tarball() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o755);
        header.set_cksum();
        builder.append_data(&mut header, "bin/start", b"hello".as_slice()).unwrap();
        builder.into_inner().unwrap()
    }

    fn zipped(name: &str, link: bool) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().unix_permissions(0o755);
        if link {
            writer.add_symlink(name, "/etc/passwd", options).unwrap();
        } else {
            writer.start_file(name, options).unwrap();
            writer.write_all(b"hello").unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn extracted(name: &str, bytes: &[u8]) -> Result<(tempfile::TempDir, PathBuf), ArchiveError> {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("sandbox");
        fs::create_dir(&folder).unwrap();
        let archive = place.path().join(name);
        fs::write(&archive, bytes).unwrap();
        extract(&archive, &folder)?;
        Ok((place, folder))
    }

    #[test]
    fn every_kind_is_extracted_with_its_modes() {
        let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz2.write_all(&tarball()).unwrap();
        // Made by `tar cJf`: the encoder is not worth a dependency.
        let xz = include_bytes!("../tests/samples/start.tar.xz");
        for (name, bytes) in [
            ("app.tar", tarball()),
            ("app.tar.bz2", bz2.finish().unwrap()),
            ("app.TAR.XZ", xz.to_vec()),
            ("app.zip", zipped("bin/start", false)),
        ] {
            let (_place, folder) = extracted(name, &bytes).unwrap();
            let start = folder.join("bin/start");
            assert_eq!(fs::read(&start).unwrap(), b"hello", "{name}");
            let mode = fs::metadata(&start).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755, "{name}");
        }
    }

    /// A second name of a link would lead elsewhere than the first.
    #[test]
    fn hard_links_to_links_are_refused() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut link = |kind, name: &str, target: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_mode(0o644);
            builder.append_link(&mut header, name, target).unwrap();
        };
        link(tar::EntryType::Symlink, "a/b/u", "../..");
        link(tar::EntryType::Link, "w", "a/b/u");
        let error = extracted("app.tar", &builder.into_inner().unwrap()).unwrap_err();
        assert!(matches!(error, ArchiveError::MayClimbOut { .. }), "{error}");
    }

    #[test]
    fn no_link_is_followed_to_write_what_is_in_a_zip() {
        let place = tempfile::tempdir().unwrap();
        let (folder, out) = (place.path().join("sandbox"), place.path().join("out"));
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&out, folder.join("link")).unwrap();
        let archive = place.path().join("app.zip");
        fs::write(&archive, zipped("link", false)).unwrap();
        assert!(matches!(extract(&archive, &folder), Err(ArchiveError::Io(_))));
        assert!(!out.exists());
    }

    #[test]
    fn zips_that_climb_out_or_link_are_refused() {
        for name in ["../out", "/out", "a/../../out", "a/../out"] {
            let error = extracted("app.zip", &zipped(name, false)).unwrap_err();
            assert!(matches!(error, ArchiveError::ClimbsOut { .. }), "{name}: {error}");
        }
        let error = extracted("app.zip", &zipped("link", true)).unwrap_err();
        assert!(matches!(error, ArchiveError::Kind { .. }), "{error}");
        assert!(extracted("app.zip", b"no zip at all").is_err());
    }
}
