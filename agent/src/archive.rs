//! Extracts archives that nobody has reason to trust.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek},
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
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
        if depth_inside(Path::new(""), &path).is_none() {
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
        let copied = io::copy(&mut (&mut entry).take(left + 1), &mut File::create(&target)?)?;
        left = left.checked_sub(copied).ok_or(ArchiveError::TooMuch)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(mode & 0o777))?;
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

    #[test]
    fn zips_that_climb_out_or_link_are_refused() {
        for name in ["../out", "/out", "a/../../out"] {
            let error = extracted("app.zip", &zipped(name, false)).unwrap_err();
            assert!(matches!(error, ArchiveError::ClimbsOut { .. }), "{name}: {error}");
        }
        let error = extracted("app.zip", &zipped("link", true)).unwrap_err();
        assert!(matches!(error, ArchiveError::Kind { .. }), "{error}");
        assert!(extracted("app.zip", b"no zip at all").is_err());
    }
}
