//! From bytes to the fields of a message, whatever message it is.

/// How deep groups may lie in each other; Mesos has none.
const DEEPEST: usize = 64;

/// Bytes that are no protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoProtobuf;

/// What a field holds, as far as the wire tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw<'a> {
    /// An integer, a boolean or a value of an enumeration.
    Varint(u64),
    /// A string, bytes, a message or a packed list.
    Bytes(&'a [u8]),
    /// A number of a fixed size, or a group: nothing that is looked at.
    Other,
}

/// Takes the next field with its number off the front of `rest`, which is not empty.
pub(super) fn take<'a>(rest: &mut &'a [u8]) -> Result<(u32, Raw<'a>), NoProtobuf> {
    let (number, wire_type) = key(rest)?;
    Ok((number, value(rest, number, wire_type, DEEPEST)?))
}

/// Takes an integer off the front of `rest`.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64, NoProtobuf> {
    let mut value = 0;
    for at in 0..10 {
        let byte = *rest.split_off_first().ok_or(NoProtobuf)?;
        if at == 9 && byte > 1 {
            return Err(NoProtobuf);
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(NoProtobuf)
}

fn key(rest: &mut &[u8]) -> Result<(u32, u8), NoProtobuf> {
    let key = u32::try_from(varint(rest)?).map_err(|_| NoProtobuf)?;
    let wire_type = (key & 7) as u8;
    match key >> 3 {
        0 => Err(NoProtobuf),
        number => Ok((number, wire_type)),
    }
}

fn value<'a>(
    rest: &mut &'a [u8],
    number: u32,
    wire_type: u8,
    deeper: usize,
) -> Result<Raw<'a>, NoProtobuf> {
    match wire_type {
        0 => Ok(Raw::Varint(varint(rest)?)),
        1 => bytes(rest, 8).map(|_| Raw::Other),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| NoProtobuf)?;
            bytes(rest, length).map(Raw::Bytes)
        }
        3 => skip_group(rest, number, deeper.checked_sub(1).ok_or(NoProtobuf)?),
        5 => bytes(rest, 4).map(|_| Raw::Other),
        _ => Err(NoProtobuf),
    }
}

/// A group is a message between two marks. Nothing of Mesos is one, so it is passed over.
fn skip_group<'a>(rest: &mut &[u8], group: u32, deeper: usize) -> Result<Raw<'a>, NoProtobuf> {
    loop {
        match key(rest)? {
            (number, 4) if number == group => return Ok(Raw::Other),
            (number, wire_type) => value(rest, number, wire_type, deeper)?,
        };
    }
}

fn bytes<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], NoProtobuf> {
    rest.split_off(..length).ok_or(NoProtobuf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_as_they_stand() {
        let mut rest =
            &b"\x08\x96\x01\x12\x02hi\x1d\0\0\0\0\x21\0\0\0\0\0\0\0\0\x2b\x08\x01\x2c"[..];
        for expected in [
            (1, Raw::Varint(150)),
            (2, Raw::Bytes(b"hi")),
            (3, Raw::Other),
            (4, Raw::Other),
            (5, Raw::Other),
        ] {
            assert_eq!(take(&mut rest), Ok(expected));
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_no_protobuf_is_refused() {
        let deep = b"\x0b".repeat(200);
        for bad in [
            &b"\x00\x00"[..],                                 // field 0
            b"\x08",                                          // no value
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02",  // beyond 64 bits
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",  // without an end
            b"\xff\xff\xff\xff\xff\x01\x00",                  // a key beyond 32 bits
            b"\x12\x03hi",                                    // longer than what is left
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a", // much longer
            b"\x1d\0\0\0",                                    // a half number
            b"\x0c",                                          // the end of no group
            b"\x0b\x14",                                      // the end of another group
            b"\x0b\x08\x01",                                  // a group without an end
            b"\x0e",                                          // a type that there is not
            &deep,
        ] {
            assert_eq!(take(&mut { bad }), Err(NoProtobuf), "{bad:?}");
        }
    }
}
