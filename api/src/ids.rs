//! Names and identifiers.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{Timestamp, limits};

/// A text that is no valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to {max} of the characters a-z A-Z 0-9 . _ - and begins with a letter or digit",
    max = limits::NAME_BYTES
)]
pub struct InvalidName;

/// A text that is no valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no identifier of this kind")]
pub struct InvalidId {
    /// The text.
    pub text: String,
}

fn check_name(text: &str) -> Result<(), InvalidName> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let begins_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if begins_well && text.len() <= limits::NAME_BYTES && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidName)
    }
}

fn check_opaque(text: &str) -> Result<(), InvalidId> {
    let valid = !text.is_empty()
        && text.len() <= limits::OPAQUE_ID_BYTES
        && !matches!(text, "." | "..")
        && !text.chars().any(|c| c.is_control() || c == '/' || c == '\\');
    if valid { Ok(()) } else { Err(InvalidId { text: text.to_owned() }) }
}

/// Declares identifiers that are shared strings, checked by a function.
macro_rules! text_ids {
    ($check:ident, $error:ident: $($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Most readers can lend the text, which saves a copy of each.
                deserializer.deserialize_str(TextVisitor(std::marker::PhantomData))
            }
        }
    )+};
}

/// Reads a text as whatever it says.
struct TextVisitor<T>(std::marker::PhantomData<T>);

impl<T> serde::de::Visitor<'_> for TextVisitor<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

text_ids! { check_name, InvalidName:
    /// The name of an app: unique, chosen by its user.
    AppName,
    /// The name of a job: unique, chosen by its user.
    JobName,
}

text_ids! { check_opaque, InvalidId:
    /// An agent, as its master names it.
    AgentId,
    /// An outstanding offer, as its master names it.
    OfferId,
}

/// Declares identifiers that are UUIDs.
macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The identifier that these 128 bits are.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Its 128 bits.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let uuid = Uuid::try_parse(text).map_err(|_| InvalidId { text: text.to_owned() })?;
                Ok(Self(uuid))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    )+};
}

uuid_ids! {
    /// An app from its creation to its deletion; a name used anew is another uid.
    AppUid,
    /// A job from its creation to its deletion; a name used anew is another uid.
    JobUid,
    /// A run of a job; UUID v7, so that runs sort by creation.
    RunId,
    /// A task: one attempt at one shard.
    TaskId,
    /// An executor process; never used again.
    ExecutorId,
    /// A notice; UUID v7, so that notices sort by when they were decided.
    NoticeId,
}

/// A stream of identifiers and other arbitrary bits, fixed by its seed (SplitMix64).
///
/// Each start of a process seeds its streams with fresh entropy; a simulation seeds them with
/// chosen numbers and gets the same identifiers each time.
#[derive(Debug, Clone)]
pub struct IdStream {
    state: u64,
    newest: u128,
}

impl IdStream {
    /// The stream of `seed` for one purpose; other purposes give other streams.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let state = seed ^ purpose.wrapping_mul(0xd134_2543_de82_ef95);
        let mut stream = Self { state, newest: 0 };
        stream.bits();
        stream
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// The next UUID v7, made at `at`; larger than every one before, so that ids of one
    /// millisecond keep their order too.
    pub fn uuid(&mut self, at: Timestamp) -> Uuid {
        let (a, b) = (self.bits().to_be_bytes(), self.bits().to_be_bytes());
        let mut random = [0; 10];
        random[..8].copy_from_slice(&a);
        random[8..].copy_from_slice(&b[..2]);
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        self.newest = uuid.as_u128().max(self.newest + 1);
        Uuid::from_u128(self.newest)
    }

    /// The next UUID v4, in no order: for what goes to a Mesos, which refuses versions that are younger
    /// than it is.
    pub fn random_uuid(&mut self) -> Uuid {
        let random = (u128::from(self.bits()) << 64) | u128::from(self.bits());
        uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
    }
}

/// The finaliser of SplitMix64: each bit of the input changes about half of those of the output.
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "A.b_c-9", "9", &"x".repeat(128)] {
            assert_eq!(good.parse::<JobName>().unwrap().to_string(), good);
        }
        for bad in ["", "-a", ".", "_x", "a b", "a:b", "a/b", "ä", &"x".repeat(129)] {
            assert_eq!(bad.parse::<JobName>(), Err(InvalidName), "{bad}");
        }
    }

    #[test]
    fn streams_repeat_and_differ_by_purpose() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let take = |seed, purpose| {
            let mut stream = IdStream::new(seed, purpose);
            [stream.uuid(at), stream.uuid(at)]
        };
        assert_eq!(take(1, 1), take(1, 1));
        assert_ne!(take(1, 1), take(1, 2));
        assert_ne!(take(1, 1), take(2, 1));
        assert_eq!(take(1, 1)[0].get_version_num(), 7);
        let mut stream = IdStream::new(1, 1);
        let random = [stream.random_uuid(), stream.random_uuid()];
        assert!(random[0] != random[1] && random.iter().all(|id| id.get_version_num() == 4));
    }

    #[test]
    fn ids_of_one_stream_grow() {
        let mut stream = IdStream::new(7, 7);
        let ids: Vec<_> =
            (0..1000).map(|n| stream.uuid(Timestamp::from_millis(1_000_000 - n / 10))).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }
}
