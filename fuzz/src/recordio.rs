//! The framing of streams: a stream gives the same records however it is cut, and no record that is
//! longer than allowed.

use muster_proto::recordio::{Decoder, InvalidRecord, encode};

/// The longest record that is accepted here: short, so that the bound is met.
const LIMIT: usize = 1000;

/// The first byte says in what pieces the others come.
pub fn check(data: &[u8]) {
    let Some((&size, stream)) = data.split_first() else { return };
    let (records, end) = read(stream, stream.len().max(1));
    assert_eq!(read(stream, usize::from(size).max(1)), (records.clone(), end));
    assert!(records.iter().all(|record| record.len() <= LIMIT));

    let mut again = Vec::new();
    records.iter().for_each(|record| encode(record, &mut again));
    assert_eq!(read(&again, 7), (records, Ok(true)), "what is framed is read as it was");
}

/// All records of a stream, and how it ends: between two records, in one, or damaged.
fn read(stream: &[u8], size: usize) -> (Vec<Vec<u8>>, Result<bool, InvalidRecord>) {
    let mut decoder = Decoder::new(LIMIT);
    let mut records = Vec::new();
    for piece in stream.chunks(size) {
        decoder.feed(piece);
        loop {
            match decoder.next_record() {
                Ok(Some(record)) => records.push(record.to_vec()),
                Ok(None) => break,
                Err(error) => return (records, Err(error)),
            }
        }
    }
    (records, Ok(decoder.is_between_records()))
}

/// Streams of a few records, and damaged ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = ["", "1\nx", "0\n0\n3\nabc", "00000000000000000003\nabc12\nhello", "1001\n", "a\n"];
    let mut seeds: Vec<_> =
        texts.iter().flat_map(|text| [1, 3, 200].map(|size| seed(size, text.as_bytes()))).collect();
    let mut long = Vec::new();
    for length in [LIMIT, 1, LIMIT + 1] {
        encode(&vec![b'7'; length], &mut long);
    }
    seeds.push(seed(99, &long));
    seeds
}

fn seed(size: u8, stream: &[u8]) -> Vec<u8> {
    [&[size], stream].concat()
}
