//! How records lie in an ordered tree of small values.
//!
//! Three rooms, told apart by the first byte of the stored key:
//! - `m`: what the store notes about itself;
//! - `p`: parts of long values, under the record's key followed by the part's number in 32 bits;
//! - `r`: records, under their keys. The value's first byte says what follows: `0` the value
//!   itself, `1` the length in 32 bits of a value that lies in parts.
//!
//! All of this holds for every database that keeps a store; one that takes long values whole has
//! no parts. Numbers are big-endian, so that stored keys sort as the numbers do. These bytes are on disks:
//! they may be added to, never changed.

use std::ops::Range;

use muster_api::limits::STORED_VALUE_BYTES;

use super::{HISTORY_PREFIX, Stamp};

/// Where the format of the tree is noted.
pub(super) const FORMAT_KEY: &[u8] = b"m!format";
/// Where the stamp of the newest commit is noted.
pub(super) const COMMIT_KEY: &[u8] = b"m!commit";

const PARTS: u8 = b'p';
const RECORDS: u8 = b'r';
const RECORDS_END: u8 = b's';
const WHOLE: u8 = 0;
const IN_PARTS: u8 = 1;
const STAMP_VERSION: u8 = 1;

/// What is stored under a record's key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// The value.
    Whole(&'a [u8]),
    /// The length of a value that lies in parts.
    InParts(u32),
}

impl<'a> Head<'a> {
    /// What to store for `value`.
    pub(super) fn of(value: &'a [u8]) -> Self {
        match u32::try_from(value.len()) {
            Ok(length) if value.len() > STORED_VALUE_BYTES => Self::InParts(length),
            Ok(_) => Self::Whole(value),
            Err(_) => panic!("a record of {} bytes is beyond every limit", value.len()),
        }
    }

    /// As stored bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Whole(value) => [&[WHOLE], *value].concat(),
            Self::InParts(length) => [&[IN_PARTS], length.to_be_bytes().as_slice()].concat(),
        }
    }

    /// From stored bytes; none if they are no head.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&WHOLE, value) => Some(Self::Whole(value)),
            (&IN_PARTS, length) => Some(Self::InParts(u32::from_be_bytes(length.try_into().ok()?))),
            _ => None,
        }
    }

    /// How many parts belong to it.
    pub(super) fn parts(&self) -> u32 {
        match self {
            Self::Whole(_) => 0,
            Self::InParts(length) => length.div_ceil(STORED_VALUE_BYTES as u32),
        }
    }
}

/// The stored key of a record.
pub(super) fn record_key(key: &[u8]) -> Vec<u8> {
    [&[RECORDS], key].concat()
}

/// What a stored key is.
pub(super) enum StoredKey<'a> {
    /// What the store notes about itself.
    Note,
    /// A part of the value of the record with this key.
    Part(&'a [u8]),
    /// The record with this key.
    Record(&'a [u8]),
}

/// What a stored key is.
pub(super) fn stored_key(stored: &[u8]) -> StoredKey<'_> {
    match stored.split_first() {
        Some((&RECORDS, key)) => StoredKey::Record(key),
        Some((&PARTS, part)) => match part.split_last_chunk::<4>() {
            Some((key, _)) => StoredKey::Part(key),
            None => StoredKey::Note,
        },
        _ => StoredKey::Note,
    }
}

/// The key of a record, from its stored key.
pub(super) fn key_of(record_key: &[u8]) -> &[u8] {
    &record_key[1..]
}

/// The stored key of part `number` of the value of `key`.
pub(super) fn part_key(key: &[u8], number: u32) -> Vec<u8> {
    [&[PARTS], key, &number.to_be_bytes()].concat()
}

/// The stored keys of all records whose keys begin with `prefix`.
pub(super) fn records_below(prefix: &[u8]) -> Range<Vec<u8>> {
    let start = record_key(prefix);
    let mut end = start.clone();
    while end.pop_if(|last| *last == u8::MAX).is_some() {}
    *end.last_mut().expect("it begins with the byte of the room, which is not the last") += 1;
    start..end
}

/// The stored keys of all records but those of history.
pub(super) fn state_records() -> [Range<Vec<u8>>; 2] {
    let history = records_below(HISTORY_PREFIX);
    [vec![RECORDS]..history.start, history.end..vec![RECORDS_END]]
}

/// A stamp as stored bytes.
pub(super) fn encode_stamp(stamp: Stamp) -> Vec<u8> {
    let (term, sequence) = (stamp.term.to_be_bytes(), stamp.sequence.to_be_bytes());
    [[STAMP_VERSION].as_slice(), &term, &sequence].concat()
}

/// A stamp from stored bytes; none if they are no stamp.
pub(super) fn decode_stamp(bytes: &[u8]) -> Option<Stamp> {
    let (&STAMP_VERSION, numbers) = bytes.split_first()? else { return None };
    let (term, sequence) = numbers.split_first_chunk::<8>()?;
    let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
    Some(Stamp { term: u64::from_be_bytes(*term), sequence })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as they are on disks.
    #[test]
    fn old_bytes_still_load() {
        assert_eq!(Head::decode(b"\0abc"), Some(Head::Whole(b"abc")));
        assert_eq!(Head::decode(b"\0"), Some(Head::Whole(b"")));
        assert_eq!(Head::decode(b"\x01\0\0\x27\x10"), Some(Head::InParts(10_000)));
        assert_eq!(part_key(b"j/x", 2), b"pj/x\0\0\0\x02");
        assert_eq!(record_key(b"j/x"), b"rj/x");
        let stamp = decode_stamp(b"\x01\0\0\x01\x93\x47\0\0\0\0\0\0\0\0\0\x01\x02");
        assert_eq!(stamp, Some(Stamp { term: 0x0193_4700_0000, sequence: 258 }));
    }

    #[test]
    fn heads_round_trip() {
        for length in [0, 1, STORED_VALUE_BYTES, STORED_VALUE_BYTES + 1, 3 * STORED_VALUE_BYTES] {
            let value = vec![7; length];
            let bytes = Head::of(&value).encode();
            assert_eq!(Head::decode(&bytes), Some(Head::of(&value)), "{length}");
            assert!(bytes.len() <= STORED_VALUE_BYTES + 1, "{length}");
        }
        let parts = |length: usize| Head::of(&vec![7; length]).parts();
        assert_eq!(parts(STORED_VALUE_BYTES), 0);
        assert_eq!(parts(STORED_VALUE_BYTES + 1), 2);
        assert_eq!(parts(3 * STORED_VALUE_BYTES), 3);
    }

    #[test]
    fn damaged_bytes_are_nothing() {
        for bytes in [b"".as_slice(), b"\x01", b"\x01\0\0\0", b"\x01\0\0\0\0\0", b"\x02abc"] {
            assert_eq!(Head::decode(bytes), None, "{bytes:?}");
        }
        let stamp = encode_stamp(Stamp { term: 1, sequence: 2 });
        assert_eq!(decode_stamp(&stamp[..16]), None);
        assert_eq!(decode_stamp(&[stamp.as_slice(), b"x"].concat()), None);
        assert_eq!(decode_stamp(b""), None);
    }

    #[test]
    fn ranges_hold_exactly_what_begins_with_the_prefix() {
        let range = records_below(b"a\xff\xff");
        assert!(range.contains(&record_key(b"a\xff\xff\xff")));
        assert!(!range.contains(&record_key(b"b")));
        let all = records_below(b"");
        assert!(all.contains(&record_key(b"\xff")) && !all.contains(&part_key(b"\xff", 0)));
        let [before, behind] = state_records();
        for (key, inside) in [("g", true), ("h", true), ("h/", false), ("h/z", false), ("h0", true)]
        {
            let key = record_key(key.as_bytes());
            assert_eq!(before.contains(&key) || behind.contains(&key), inside, "{key:?}");
        }
    }
}
