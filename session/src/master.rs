//! Whose hosts a data folder is on: those of the master in its own process, or of another one.
//!
//! The tasks of a scheduler are known to the master that they were launched by, and to no other one.
//! On another one they would be none, and so start again beside themselves.

use muster_api::step::{Records, Write};

/// Key of the record in the store; its value is a word.
const KEY: &[u8] = b"S/master";

/// Which master has the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterKind {
    /// The one in the process of the scheduler.
    Own,
    /// One elsewhere, at the end of a link.
    Foreign,
}

/// The stored word names no kind of master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stored kind of master is `{0}`, which is not known; it is of a newer version of Muster"
)]
pub struct InvalidMasterKind(String);

impl MasterKind {
    const ALL: [Self; 2] = [Self::Own, Self::Foreign];

    /// The kind that is stored; nothing in a fresh folder, and in one of a version that stored none.
    pub fn stored(records: &Records) -> Result<Option<Self>, InvalidMasterKind> {
        let Some(bytes) = records.get(KEY) else { return Ok(None) };
        let named = Self::ALL.into_iter().find(|kind| kind.word().as_bytes() == bytes);
        let unknown = || InvalidMasterKind(String::from_utf8_lossy(bytes).into_owned());
        named.map(Some).ok_or_else(unknown)
    }

    /// Stores it.
    pub fn write(self) -> Write {
        Write::Put { key: KEY.to_vec(), value: self.word().into() }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Foreign => "foreign",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words stand in stores, and must not change.
    #[test]
    fn a_kind_is_read_as_it_was_ever_written() {
        for (kind, word) in [(MasterKind::Own, "own"), (MasterKind::Foreign, "foreign")] {
            let Write::Put { key, value } = kind.write() else { panic!("it is put") };
            assert_eq!((&key[..], &value[..]), (&b"S/master"[..], word.as_bytes()));
            assert_eq!(MasterKind::stored(&[(key, value)].into()), Ok(Some(kind)));
        }
        assert_eq!(MasterKind::stored(&Records::new()), Ok(None));
        let newer = [(KEY.to_vec(), b"borrowed".to_vec())].into();
        assert!(MasterKind::stored(&newer).is_err());
    }
}
