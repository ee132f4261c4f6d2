//! Reads a backup from bytes as they come, and believes nothing.

use muster_api::{limits::BACKUP_FRAME_BYTES, step::Write};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    Header, Trailer,
    file::{ABORTED, DELETE, FORMAT, HASH_BYTES, HEADER, MAGIC, PUT, TRAILER, WRITES},
};

/// Bytes before the payload of a frame.
const FRAME_HEAD: usize = 5;

/// What is in a backup, in this order: one header, any number of writes, one trailer.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Who wrote it.
    Header(Header),
    /// Some writes.
    Writes(Vec<Write>),
    /// The end, whose checksum is right.
    End(Trailer),
}

/// Bytes that are no whole backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackup {
    /// They begin with something else.
    #[error("it is no backup of Muster")]
    Foreign,
    /// A newer Muster wrote them.
    #[error(
        "it was written in format {found}, and this Muster knows format {FORMAT}; use the newer \
         Muster that wrote it"
    )]
    Newer {
        /// The format found.
        found: u32,
    },
    /// The scheduler gave up in the middle.
    #[error("the scheduler ended it early: {why}")]
    Aborted {
        /// Why.
        why: String,
    },
    /// They end in the middle.
    #[error("it is cut short: it ends after {bytes} bytes, in the middle")]
    Truncated {
        /// Where.
        bytes: u64,
    },
    /// They were changed.
    #[error("it is damaged: {what}, at byte {at}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where.
        at: u64,
    },
}

/// Reads a backup. Give it bytes with [`Parser::push`], take what is complete with
/// [`Parser::next`] until there is nothing, and call [`Parser::finish`] after the last.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: Vec<u8>,
    /// How much of the buffer is read.
    read: usize,
    /// Where the buffer begins in the backup.
    offset: u64,
    hash: Sha256,
    place: Place,
    writes: u64,
    bytes: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Magic,
    Header,
    Frames,
    Over,
}

impl Parser {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.offset += self.read as u64;
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// What is complete; nothing when more bytes are needed.
    #[expect(clippy::should_implement_trait, reason = "none does not mean that it is over")]
    pub fn next(&mut self) -> Result<Option<Item>, InvalidBackup> {
        if self.place == Place::Magic && !self.magic()? {
            return Ok(None);
        }
        if self.place == Place::Over {
            let over = self.read == self.buffer.len();
            return if over { Ok(None) } else { Err(self.damaged("something follows its end")) };
        }
        let rest = &self.buffer[self.read..];
        let Some((head, payload)) = rest.split_at_checked(FRAME_HEAD) else { return Ok(None) };
        let (letter, length) = (head[0], usize_of(&head[1..]));
        if length > BACKUP_FRAME_BYTES {
            return Err(self.damaged("a part of it is too long"));
        }
        let hash_bytes = if letter == TRAILER { HASH_BYTES } else { 0 };
        let Some(payload) = payload.get(..length + hash_bytes) else { return Ok(None) };
        let (payload, hash) = payload.split_at(length);
        let hash = hash.to_vec();
        let item = match (self.place, letter) {
            (Place::Header, HEADER) => self.json(payload).map(Item::Header)?,
            (Place::Frames, WRITES) => {
                let writes = writes(payload).ok_or_else(|| self.damaged("a record is odd"))?;
                Item::Writes(writes)
            }
            (Place::Frames, ABORTED) => {
                let why = String::from_utf8_lossy(payload).into_owned();
                return Err(InvalidBackup::Aborted { why });
            }
            (Place::Frames, TRAILER) => Item::End(self.json(payload)?),
            _ => return Err(self.damaged("a part of it is of no known kind")),
        };
        self.hash.update(&rest[..FRAME_HEAD + length]);
        self.check(&item, &hash)?;
        self.read += FRAME_HEAD + length + hash_bytes;
        self.place = if matches!(item, Item::End(_)) { Place::Over } else { Place::Frames };
        Ok(Some(item))
    }

    /// Says that there are no more bytes; an error if there should be.
    pub fn finish(&self) -> Result<(), InvalidBackup> {
        let bytes = self.offset + self.buffer.len() as u64;
        match self.place {
            Place::Over => Ok(()),
            _ => Err(InvalidBackup::Truncated { bytes }),
        }
    }

    /// Reads how it begins, if enough is there.
    fn magic(&mut self) -> Result<bool, InvalidBackup> {
        let known = self.buffer.len().min(MAGIC.len());
        if self.buffer[..known] != MAGIC[..known] {
            return Err(InvalidBackup::Foreign);
        }
        let end = MAGIC.len() + size_of::<u32>();
        let Some(begin) = self.buffer.get(..end) else { return Ok(false) };
        let found = usize_of(&begin[MAGIC.len()..]) as u32;
        if found != FORMAT {
            return Err(match found {
                0 => self.damaged("its format is odd"),
                found => InvalidBackup::Newer { found },
            });
        }
        self.hash.update(begin);
        self.read = end;
        self.place = Place::Header;
        Ok(true)
    }

    /// Counts an item, and compares the last one with what was counted.
    fn check(&mut self, item: &Item, hash: &[u8]) -> Result<(), InvalidBackup> {
        match item {
            Item::Header(_) => {}
            Item::Writes(writes) => {
                self.writes += writes.len() as u64;
                self.bytes += writes.iter().map(Write::size).sum::<usize>() as u64;
            }
            Item::End(trailer) => {
                if self.hash.clone().finalize().as_slice() != hash {
                    return Err(self.damaged("its checksum is not that of its bytes"));
                }
                if (trailer.writes, trailer.bytes) != (self.writes, self.bytes) {
                    return Err(self.damaged("it does not hold what it says it holds"));
                }
            }
        }
        Ok(())
    }

    fn json<T: DeserializeOwned>(&self, payload: &[u8]) -> Result<T, InvalidBackup> {
        serde_json::from_slice(payload).map_err(|_| self.damaged("a part of it cannot be read"))
    }

    fn damaged(&self, what: &'static str) -> InvalidBackup {
        InvalidBackup::Damaged { what, at: self.offset + self.read as u64 }
    }
}

/// The writes in a payload; none if it is odd.
fn writes(mut payload: &[u8]) -> Option<Vec<Write>> {
    let mut all = Vec::new();
    while let Some((kind, rest)) = payload.split_first() {
        let (key, rest) = text(rest)?;
        let (write, rest) = match *kind {
            PUT => {
                let (value, rest) = text(rest)?;
                (Write::Put { key, value }, rest)
            }
            DELETE => (Write::Delete { key }, rest),
            _ => return None,
        };
        all.push(write);
        payload = rest;
    }
    Some(all)
}

/// Bytes behind their length, and what follows them.
fn text(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (length, rest) = bytes.split_at_checked(size_of::<u32>())?;
    let (text, rest) = rest.split_at_checked(usize_of(length))?;
    Some((text.to_vec(), rest))
}

/// A big-endian number of four bytes.
fn usize_of(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}
