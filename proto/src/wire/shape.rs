//! What is known of a message besides what `prost` knows.

/// A message with required fields and enumerations as the second version of protobuf has them.
/// `messages!` makes this for each.
pub trait Shaped: 'static {
    /// Its fields, in the order of their definition.
    const LINES: &'static [Line];

    /// Takes out of optional and repeated enumerations what they do not have, here and in all that
    /// this message holds.
    fn forget_unknown(&mut self);
}

/// One field of a message.
#[derive(Debug)]
pub struct Line {
    /// Its name in the definitions.
    pub(super) name: &'static str,
    /// Its number.
    pub(super) number: u32,
    /// Whether the message is none without it.
    pub(super) required: bool,
    /// What it holds.
    pub(super) content: Content,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// A scalar.
    Scalar,
    /// One value of an enumeration, or a list of them.
    Enumeration {
        /// Whether a number is one of its values.
        is_known: fn(i32) -> bool,
    },
    /// A message. Sent more than once, it is all that was sent, merged.
    Message {
        /// The fields of the message.
        lines: fn() -> &'static [Line],
    },
    /// A list of messages.
    Messages {
        /// The fields of each.
        lines: fn() -> &'static [Line],
    },
    /// A map to strings: on the wire a list of entries.
    Texts,
    /// A map to messages: on the wire a list of entries, of which field 2 is the message.
    Map {
        /// The fields of each message.
        lines: fn() -> &'static [Line],
    },
}

impl Line {
    /// A field by its name as Rust writes it, its number, whether it must be there, and what it
    /// holds.
    pub const fn new(name: &'static str, number: u32, required: bool, content: Content) -> Self {
        Self { name: crate::json::without_raw_mark(name), number, required, content }
    }
}

impl Content {
    /// Whether it is or has messages.
    pub(super) fn is_nested(self) -> bool {
        matches!(self, Self::Message { .. } | Self::Messages { .. } | Self::Map { .. })
    }
}
