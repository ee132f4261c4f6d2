//! Base64 with padding (RFC 4648, section 4), as Mesos puts bytes into JSON.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Why a text is not base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBase64 {
    /// A character that base64 does not have, or one after the padding.
    #[error("Invalid character '{0}'")]
    Character(char),
    /// A single character is left over: it holds no whole byte.
    #[error("Invalid length")]
    Length,
}

/// Appends `bytes` as base64.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..4 {
            let character = ALPHABET[(bits >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= three.len() { character } else { b'=' });
        }
    }
}

/// The bytes of a base64 text. The padding may be missing, as Mesos allows.
pub fn decode(text: &str) -> Result<Vec<u8>, InvalidBase64> {
    let digits = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0u32, 0);
    for character in digits.chars() {
        let digit = digit(character).ok_or(InvalidBase64::Character(character))?;
        bits = bits << 6 | digit;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    if count == 6 { Err(InvalidBase64::Length) } else { Ok(bytes) }
}

fn digit(character: char) -> Option<u32> {
    let value = match character {
        'A'..='Z' => character as u32 - 'A' as u32,
        'a'..='z' => character as u32 - 'a' as u32 + 26,
        '0'..='9' => character as u32 - '0' as u32 + 52,
        '+' => 62,
        '/' => 63,
        _ => return None,
    };
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encoded(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
            assert_eq!(decode(text.trim_end_matches('=')).unwrap(), bytes.as_bytes());
        }
    }

    #[test]
    fn all_bytes_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for length in 0..=bytes.len() {
            assert_eq!(decode(&encoded(&bytes[..length])).unwrap(), &bytes[..length]);
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["!", "Zg==Zg==", "Zm 9v", "Zm-_", "Zm9vé"] {
            assert!(matches!(decode(text), Err(InvalidBase64::Character(_))), "{text}");
        }
        assert_eq!(decode("A"), Err(InvalidBase64::Length));
        assert_eq!(decode("Zm9vA==="), Err(InvalidBase64::Length));
    }
}
