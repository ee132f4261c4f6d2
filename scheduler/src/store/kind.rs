//! The databases that can keep a store.

use std::{fmt, str::FromStr};

/// The database that keeps a store on disk. A folder keeps the one that it was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreKind {
    /// sled 0.34: a log-structured tree.
    #[default]
    Sled,
    /// redb 4: a B-tree in one file, copied on write.
    Redb,
}

/// A text that names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` keeps no store; choose `sled` or `redb`")]
pub struct InvalidStoreKind(String);

impl StoreKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sled, Self::Redb];

    /// Its name: in flags, in backups, and in the folder of a store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }
}

/// What the note of the format begins with.
const FORMAT_NAME: &str = "muster-store";

/// The newest format; it names the layout of the tree and of the folder.
pub(super) const FORMAT: u32 = 1;

/// What a note of the format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// A format that is understood, and who keeps it.
    Known(StoreKind),
    /// A newer one.
    Newer(u32),
}

impl StoreKind {
    /// The note of the format that is written now: in the folder, and in the database itself, so
    /// that the two are known to belong together. The first format had sled only, unnamed.
    pub(super) fn format_note(self) -> String {
        match self {
            Self::Sled => format!("{FORMAT_NAME} {FORMAT}\n"),
            Self::Redb => format!("{FORMAT_NAME} {FORMAT} {self}\n"),
        }
    }
}

impl Note {
    /// Reads a note; none if it is somebody else's.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace();
        if words.next() != Some(FORMAT_NAME) {
            return None;
        }
        match (words.next()?.parse().ok()?, words.next()) {
            (FORMAT, None) => Some(Self::Known(StoreKind::Sled)),
            (FORMAT, Some(kind)) => kind.parse().ok().map(Self::Known),
            (newer, _) if newer > FORMAT => Some(Self::Newer(newer)),
            _ => None,
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StoreKind {
    type Err = InvalidStoreKind;
    fn from_str(text: &str) -> Result<Self, InvalidStoreKind> {
        let named = Self::ALL.into_iter().find(|kind| kind.name() == text);
        named.ok_or_else(|| InvalidStoreKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_ever_written() {
        assert_eq!(Note::read(b"muster-store 1\n"), Some(Note::Known(StoreKind::Sled)));
        assert_eq!(Note::read(b"muster-store 1 redb\n"), Some(Note::Known(StoreKind::Redb)));
        assert_eq!(Note::read(b"muster-store 2 tape\n"), Some(Note::Newer(2)));
        for kind in StoreKind::ALL {
            assert_eq!(Note::read(kind.format_note().as_bytes()), Some(Note::Known(kind)));
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        for odd in ["", "muster-store", "muster-store x", "muster-store 0", "muster-store 1 tape"] {
            assert_eq!(Note::read(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(Note::read(b"muster-store \xff"), None);
    }
}
