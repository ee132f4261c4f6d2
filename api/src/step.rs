//! What the pure cores have in common.

/// One change of stored state. The store knows keys and bytes; their meaning is the core's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Store `value` under `key`, whatever was there.
    Put {
        /// The key.
        key: Vec<u8>,
        /// The record.
        value: Vec<u8>,
    },
    /// Forget `key`.
    Delete {
        /// The key.
        key: Vec<u8>,
    },
}

impl Write {
    /// Bytes of its key and value.
    pub fn size(&self) -> usize {
        match self {
            Self::Put { key, value } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
        }
    }

    /// The key that is changed.
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// Stored records, as a core finds them when it starts.
pub type Records = std::collections::BTreeMap<Vec<u8>, Vec<u8>>;
