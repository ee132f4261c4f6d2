//! RecordIO, the framing of the Mesos streams: `<length in decimal>\n<that many bytes>`.
//!
//! The decoder is fed bytes as they come and gives whole records; it does no I/O. Chunk borders
//! mean nothing: a record may come in many pieces, and many records in one.

/// Why a stream of records cannot be read on; the connection must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// The length line holds something that is no decimal digit.
    #[error("the length of a record holds the byte {byte:#04x}, which is no digit")]
    NotADigit {
        /// The byte.
        byte: u8,
    },
    /// A length line without any digit.
    #[error("the length of a record is empty")]
    EmptyLength,
    /// The record is longer than this reader allows.
    #[error("a record of over {limit} bytes is not accepted")]
    TooLong {
        /// The bound in bytes.
        limit: usize,
    },
}

/// Appends `record`, framed, to `out`.
pub fn encode(record: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(record.len().to_string().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(record);
}

/// Appends a framed message to `out`.
pub fn encode_message(message: &impl prost::Message, out: &mut Vec<u8>) {
    let length = message.encoded_len();
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b'\n');
    out.reserve(length);
    message.encode(out).expect("a Vec grows as needed");
}

/// Takes records out of a stream of bytes.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are already given out.
    taken: usize,
    limit: usize,
    failed: Option<InvalidRecord>,
}

impl Decoder {
    /// A decoder that accepts records of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), taken: 0, limit, failed: None }
    }

    /// Adds bytes that were read.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole record, or `None` until more bytes are fed. An error is final: each later
    /// call gives it again. No more than the limit is ever kept for a record.
    pub fn next_record(&mut self) -> Result<Option<&[u8]>, InvalidRecord> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.scan() {
            Ok(Some((start, end))) => {
                self.taken = end;
                Ok(Some(&self.buffer[start..end]))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.buffer = Vec::new();
                self.taken = 0;
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Whether the bytes so far end between two records.
    pub fn is_between_records(&self) -> bool {
        self.failed.is_none() && self.taken == self.buffer.len()
    }

    fn scan(&self) -> Result<Option<(usize, usize)>, InvalidRecord> {
        let mut length = 0usize;
        for (at, &byte) in self.buffer.iter().enumerate().skip(self.taken) {
            if byte == b'\n' {
                if at == self.taken {
                    return Err(InvalidRecord::EmptyLength);
                }
                let start = at + 1;
                let whole = self.buffer.len() - start >= length;
                return Ok(whole.then_some((start, start + length)));
            }
            if !byte.is_ascii_digit() {
                return Err(InvalidRecord::NotADigit { byte });
            }
            length = length.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
            if length > self.limit || at - self.taken >= 20 {
                return Err(InvalidRecord::TooLong { limit: self.limit });
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut Decoder) -> Result<Vec<Vec<u8>>, InvalidRecord> {
        let mut records = Vec::new();
        while let Some(record) = decoder.next_record()? {
            records.push(record.to_vec());
        }
        Ok(records)
    }

    #[test]
    fn every_split_of_a_stream_gives_the_same_records() {
        let records: [&[u8]; 4] = [b"one", b"", b"12\n34", &[0xff; 300]];
        let mut stream = Vec::new();
        for record in records {
            encode(record, &mut stream);
        }
        for cut in 0..=stream.len() {
            let mut decoder = Decoder::new(1000);
            decoder.feed(&stream[..cut]);
            let mut got = all(&mut decoder).unwrap();
            decoder.feed(&stream[cut..]);
            got.extend(all(&mut decoder).unwrap());
            assert_eq!(got, records);
            assert!(decoder.is_between_records());
        }
    }

    #[test]
    fn damage_is_final() {
        for (bytes, error) in [
            (&b"5x\nhello"[..], InvalidRecord::NotADigit { byte: b'x' }),
            (b"\nhello", InvalidRecord::EmptyLength),
            (b"-1\n", InvalidRecord::NotADigit { byte: b'-' }),
            (b"5\r\nhello", InvalidRecord::NotADigit { byte: b'\r' }),
            (b"101\n", InvalidRecord::TooLong { limit: 100 }),
            (b"000000000000000000000", InvalidRecord::TooLong { limit: 100 }),
        ] {
            let mut decoder = Decoder::new(100);
            decoder.feed(bytes);
            assert_eq!(decoder.next_record(), Err(error.clone()));
            decoder.feed(b"2\nok");
            assert_eq!(decoder.next_record(), Err(error));
            assert!(!decoder.is_between_records());
        }
    }

    #[test]
    fn a_record_of_just_the_limit_is_accepted() {
        let mut stream = Vec::new();
        encode(&[7; 100], &mut stream);
        let mut decoder = Decoder::new(100);
        decoder.feed(&stream);
        assert_eq!(decoder.next_record().unwrap().map(<[u8]>::len), Some(100));
    }
}
