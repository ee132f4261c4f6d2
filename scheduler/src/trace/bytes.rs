//! Small numbers in few bytes.

/// Adds a number, seven bits a byte, the lowest first.
pub(super) fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Adds a number that may be below zero: small ones of either sign are small.
pub(super) fn put_signed(to: &mut Vec<u8>, number: i64) {
    put_number(to, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Adds a number that may be missing.
pub(super) fn put_optional(to: &mut Vec<u8>, number: Option<u64>) {
    match number {
        None => to.push(0),
        // The largest one of all is none that is ever stored.
        Some(number) => put_number(to, number.saturating_add(1)),
    }
}

/// Takes what was put, from the front of some bytes; nothing where that is not there.
#[derive(Debug, Clone)]
pub(super) struct Taker<'a>(pub(super) &'a [u8]);

impl<'a> Taker<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn optional(&mut self) -> Option<Option<u64>> {
        Some(self.number()?.checked_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_in_few_bytes() {
        for number in [0, 1, 127, 128, 300, 1_767_225_600_000, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(Taker(&bytes).number(), Some(number));
            assert_eq!(Taker(&bytes[..bytes.len() - 1]).number(), None);
        }
        for number in [0, -1, 1, -64, 63, i64::MIN, i64::MAX] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            assert_eq!(Taker(&bytes).signed(), Some(number));
        }
        let mut bytes = Vec::new();
        put_signed(&mut bytes, -64);
        put_optional(&mut bytes, None);
        put_optional(&mut bytes, Some(126));
        assert_eq!(bytes.len(), 3);
        let mut taker = Taker(&bytes[1..]);
        assert_eq!((taker.optional(), taker.optional()), (Some(None), Some(Some(126))));
        assert_eq!(Taker(&[0xff; 10]).number(), None, "more than 64 bits");
        assert_eq!(Taker(&[0x80; 11]).number(), None, "no end");
    }
}
