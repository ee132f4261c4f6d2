//! Over what the shards of a run are spread.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Over what the shards of a run are spread, before anything else is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Spread {
    /// Nothing: they are packed.
    #[default]
    None,
    /// Hosts, as evenly as room allows.
    Host,
    /// The values of this attribute, as evenly as room allows. Hosts without it have one more value
    /// in common.
    Attribute(Box<str>),
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Host => "host",
            Self::Attribute(name) => name,
        })
    }
}

impl FromStr for Spread {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "none" => Self::None,
            "host" | super::HOSTNAME => Self::Host,
            name => Self::Attribute(name.into()),
        })
    }
}

impl Serialize for Spread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Spread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text.parse().unwrap_or_else(|never: Infallible| match never {}))
    }
}
