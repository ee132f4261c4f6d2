//! What agents and the master say to each other. Whoever has the join token can say anything, so
//! both cores take every message in every order; and what either of them sends can be read.
//!
//! The first byte says who hears the others. They are RecordIO; the length of a record, in seconds,
//! is also the time that goes by before it.

mod agent;
mod agent_seeds;
mod master;
mod master_seeds;

use std::time::Duration;

use muster_api::{Mono, Now, Timestamp};
use muster_proto::recordio;
use prost::Message;

/// When the worlds begin.
const START: Now =
    Now { wall: Timestamp::from_millis(1_700_000_000_000), mono: Mono::from_millis(50_000) };

/// The longest record that is accepted here.
const LIMIT: usize = 1 << 20;

/// Most seconds that go by before a record.
const PAUSE_MAX: usize = 20;

/// Bytes from an agent, or from a master.
pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((&who, bytes)) if who % 2 == 0 => master::check(bytes),
        Some((_, bytes)) => agent::check(bytes),
        None => {}
    }
}

/// What a life of an agent looks like from either side, whole and in parts.
pub fn seeds() -> Vec<Vec<u8>> {
    let masters = master_seeds::seeds().into_iter().map(|bytes| [vec![0], bytes].concat());
    let agents = agent_seeds::seeds().into_iter().map(|bytes| [vec![1], bytes].concat());
    masters.chain(agents).collect()
}

/// The records of a stream, as far as it can be read.
fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut decoder = recordio::Decoder::new(LIMIT);
    decoder.feed(bytes);
    std::iter::from_fn(|| decoder.next_record().ok().flatten().map(<[u8]>::to_vec)).collect()
}

/// How long it is before a record.
fn pause_before(record: &[u8]) -> Duration {
    Duration::from_secs((record.len() % PAUSE_MAX) as u64)
}

fn later(now: Now, span: Duration) -> Now {
    Now { wall: now.wall + span, mono: now.mono + span }
}

/// A stream of messages, for a seed.
fn stream<M: Message>(messages: &[M]) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| recordio::encode_message(message, &mut bytes));
    bytes
}

/// Whoever gets a message must be able to read it.
fn arrives<M: Message + Default>(message: &M) {
    let bytes = message.encode_to_vec();
    assert_eq!(M::decode(bytes.as_slice()).map(|read| read.encode_to_vec()), Ok(bytes));
}
