//! Bytes as text, two digits a byte: stored JSON stays readable by any tool.

use std::{fmt::Write as _, sync::Arc};

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

pub(super) fn serialize<S: Serializer>(bytes: &Arc<[u8]>, to: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes.iter() {
        write!(text, "{byte:02x}").expect("a String grows as needed");
    }
    to.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
    let text = String::deserialize(from)?;
    let digit = |at: usize| text.get(at..at + 2).and_then(|t| u8::from_str_radix(t, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digit).collect();
    bytes.map(Arc::from).ok_or_else(|| D::Error::custom("odd digits"))
}
