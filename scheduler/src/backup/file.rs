//! How a backup lies in a file.
//!
//! ```text
//! "muster-backup\n", the format in 32 bits, and frames: a letter, a length in 32 bits, a payload
//!   H  JSON: who wrote it and when; the first frame
//!   W  writes: 1, key, value; or 0, key; each key and value behind its length in 32 bits
//!   X  a text: why it ended early; the last frame of what is no backup
//!   E  JSON: counts and the newest commit; the last frame, and behind it the SHA-256 of all before
//! ```
//!
//! Numbers are big-endian. Frames of writes count in their order; they say nothing about commits.

use bytes::Bytes;
use muster_api::{Timestamp, limits::COMMIT_BYTES, step::Write};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::Stamp;

/// What a backup begins with.
pub(super) const MAGIC: &[u8] = b"muster-backup\n";
/// The newest format.
pub(super) const FORMAT: u32 = 1;
/// Bytes of a SHA-256.
pub(super) const HASH_BYTES: usize = 32;

/// Letter of the first frame.
pub(super) const HEADER: u8 = b'H';
/// Letter of a frame of writes.
pub(super) const WRITES: u8 = b'W';
/// Letter of a frame that says why the backup ended early.
pub(super) const ABORTED: u8 = b'X';
/// Letter of the last frame.
pub(super) const TRAILER: u8 = b'E';

/// What a put begins with in a frame of writes.
pub(super) const PUT: u8 = 1;
/// What a delete begins with.
pub(super) const DELETE: u8 = 0;

/// Who wrote a backup, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of Muster.
    pub muster: String,
    /// What kept the store.
    pub store: String,
    /// When it was begun.
    pub created_at: Timestamp,
}

/// What a whole backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// How many writes; a record that changed while the backup was made has several.
    pub writes: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// The newest commit in it; none of a store without any.
    pub last: Option<Stamp>,
}

/// Writes as the payload of frames, each of at most [`COMMIT_BYTES`] and one write.
pub(super) fn payloads<'a>(
    writes: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> Vec<Payload> {
    let mut all = Vec::new();
    let mut open = Open::default();
    for (key, value) in writes {
        open.add(key, value);
        if open.bytes.len() >= COMMIT_BYTES {
            all.push(std::mem::take(&mut open).close());
        }
    }
    if open.writes > 0 {
        all.push(open.close());
    }
    all
}

/// The writes of a commit, as [`payloads`] takes them.
pub(super) fn parts(write: &Write) -> (&[u8], Option<&[u8]>) {
    match write {
        Write::Put { key, value } => (key, Some(value)),
        Write::Delete { key } => (key, None),
    }
}

/// The payload of one frame of writes.
#[derive(Debug, Clone)]
pub(super) struct Payload {
    /// The payload.
    pub(super) bytes: Bytes,
    /// How many writes are in it.
    writes: u64,
    /// Bytes of their keys and values.
    content: u64,
}

#[derive(Default)]
struct Open {
    bytes: Vec<u8>,
    writes: u64,
    content: u64,
}

impl Open {
    fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.bytes.push(if value.is_some() { PUT } else { DELETE });
        for text in [Some(key), value].into_iter().flatten() {
            let length = u32::try_from(text.len()).expect("no record is beyond every limit");
            self.bytes.extend_from_slice(&length.to_be_bytes());
            self.bytes.extend_from_slice(text);
            self.content += u64::from(length);
        }
        self.writes += 1;
    }

    fn close(self) -> Payload {
        Payload { bytes: self.bytes.into(), writes: self.writes, content: self.content }
    }
}

/// Puts frames together, and reckons what the last one says.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    hash: Sha256,
    writes: u64,
    bytes: u64,
}

impl Encoder {
    /// How it begins.
    pub(super) fn begin(&mut self, header: &Header) -> Bytes {
        let mut bytes = [MAGIC, &FORMAT.to_be_bytes()].concat();
        bytes.extend(frame(HEADER, &json(header)));
        self.hash.update(&bytes);
        bytes.into()
    }

    /// Some writes: the head of the frame, and the payload as it is.
    pub(super) fn writes(&mut self, payload: &Payload) -> [Bytes; 2] {
        self.writes += payload.writes;
        self.bytes += payload.content;
        let head = Bytes::from(frame_head(WRITES, payload.bytes.len()));
        self.hash.update(&head);
        self.hash.update(&payload.bytes);
        [head, payload.bytes.clone()]
    }

    /// How it ends.
    pub(super) fn end(mut self, last: Option<Stamp>) -> (Bytes, Trailer) {
        let trailer = Trailer { writes: self.writes, bytes: self.bytes, last };
        let mut bytes = frame(TRAILER, &json(&trailer));
        self.hash.update(&bytes);
        bytes.extend_from_slice(&self.hash.finalize());
        (bytes.into(), trailer)
    }

    /// How it ends early.
    pub(super) fn abort(why: &str) -> Bytes {
        frame(ABORTED, why.as_bytes()).into()
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers always become JSON")
}

fn frame(letter: u8, payload: &[u8]) -> Vec<u8> {
    [&frame_head(letter, payload.len()), payload].concat()
}

fn frame_head(letter: u8, length: usize) -> Vec<u8> {
    let length = u32::try_from(length).expect("frames are cut long before that");
    [&[letter], length.to_be_bytes().as_slice()].concat()
}
