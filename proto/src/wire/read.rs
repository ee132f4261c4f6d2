//! From protobuf to a message.

use prost::Message;

use super::{presence::Presence, shape::Shaped};
use crate::json::Fields;

/// Why a body is no message. The words are those of a Mesos master, which answers 400 with them;
/// which fields are missing, a real one only writes to its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// The bytes are no protobuf, or a value in them is of another type than its field.
    #[error("Failed to parse body into {message} protobuf")]
    Unreadable {
        /// What Mesos calls the message.
        message: &'static str,
    },
    /// Required fields are not there.
    #[error("Failed to parse body into {message} protobuf: Missing required fields: {}",
        .paths.join(", "))]
    Missing {
        /// What Mesos calls the message.
        message: &'static str,
        /// Their paths; the first hundred.
        paths: Vec<String>,
    },
}

/// A message from its protobuf. Bound the bytes with care: a body of nothing but empty operations
/// takes 200 times its size when it is read.
///
/// A value that an enumeration does not have counts as not sent: an optional field is `None`, a
/// list is without it, and a required field is missing, also when a known value came before it.
/// Strings must be UTF-8, which Mesos does not ask for.
pub fn from_slice<M: Fields + Shaped + Message>(bytes: &[u8]) -> Result<M, InvalidMessage> {
    let unreadable = InvalidMessage::Unreadable { message: M::NAME };
    let Ok(presence) = Presence::of(M::LINES, bytes) else { return Err(unreadable) };
    if !presence.missing.is_empty() {
        return Err(InvalidMessage::Missing { message: M::NAME, paths: presence.missing });
    }
    let mut message = M::decode(bytes).map_err(|_| unreadable)?;
    if presence.has_unknown {
        message.forget_unknown();
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use crate::{Operation, TaskInfo};

    #[test]
    fn what_a_body_can_grow_to_is_what_the_documentation_says() {
        for smallest in [size_of::<Operation>() / 2, size_of::<TaskInfo>() / 9] {
            assert!(smallest <= 200, "{smallest}");
        }
    }
}
