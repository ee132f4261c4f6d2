//! How far a store had come, noted beside its database.
//!
//! A database that was cut short opens as what it was some commits ago, and so does an old copy
//! that was put in its place: nothing in it tells. So the stamp of the newest commit is in the file
//! `reached` too. It is written after the commit is durable, and not synced: a power cut may leave
//! an older one, and never a newer one.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use super::Stamp;

/// The name of the file.
pub(super) const REACHED: &str = "reached";

/// The stamp that was noted; none in a store of before there were such notes.
pub(super) fn read(folder: &Path) -> Option<Stamp> {
    let text = fs::read_to_string(folder.join(REACHED)).ok()?;
    let (term, sequence) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(Stamp { term: term.parse().ok()?, sequence: sequence.parse().ok()? })
}

/// Notes a stamp. It is of one length always, so that it overwrites the one before, on a full
/// disk too.
pub(super) fn note(folder: &Path, stamp: Stamp) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.create(true).write(true).truncate(false).mode(0o600);
    let file = file.open(folder.join(REACHED))?;
    file.write_all_at(format!("{:020} {:020}\n", stamp.term, stamp.sequence).as_bytes(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stamp_is_read_again() {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        assert_eq!(read(folder.path()), None);
        for (term, sequence) in [(7, 1), (7, 1_000_000), (8, 1), (u64::MAX, u64::MAX)] {
            let stamp = Stamp { term, sequence };
            note(folder.path(), stamp).expect("the folder is ours");
            assert_eq!(read(folder.path()), Some(stamp));
        }
        fs::write(folder.path().join(REACHED), "12").expect("the folder is ours");
        assert_eq!(read(folder.path()), None);
    }
}
