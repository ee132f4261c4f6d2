//! Where masters are: as operators say it, and as masters themselves do.

use std::{fmt, str::FromStr};

use muster_proto::MasterInfo;

/// The port of a master whose address names none. That of Mesos.
const PORT: u16 = 5050;

/// Where one master listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MasterAddress {
    /// A name or an address; of IPv6 without brackets.
    host: String,
    port: u16,
}

/// The masters of one cluster, in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masters(Vec<MasterAddress>);

/// A text that names no master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It names none at all.
    #[error("no master is named; write `http://HOST:5050`, several with commas between them")]
    Empty,
    /// It wants encryption.
    #[error("`{0}` asks for TLS, which masters are not spoken to with yet; write `http://...`")]
    Tls(String),
    /// It wants another way to find the leader.
    #[error(
        "`{0}` is not a master; name the masters themselves as `http://HOST:5050,HOST:5050`: \
         each says which one leads"
    )]
    NotHttp(String),
    /// It cannot be read.
    #[error("`{0}` is not the address of a master; write `http://HOST:5050`")]
    Malformed(String),
}

impl MasterAddress {
    /// The host, as one connects to it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The master that a `Location` names, as in `//host:5050/master/api/v1/scheduler`, with a
    /// scheme before it, or bare.
    pub(super) fn of_location(location: &str) -> Result<Self, InvalidAddress> {
        location.strip_prefix("//").unwrap_or(location).parse()
    }

    /// Where a master says that it listens.
    pub(super) fn of_info(info: &MasterInfo) -> Option<Self> {
        let address = info.address.as_ref()?;
        let host = address.ip.clone().or_else(|| address.hostname.clone())?;
        let port = u16::try_from(address.port).ok().filter(|port| *port > 0)?;
        (!host.is_empty() && host != "0.0.0.0").then_some(Self { host, port })
    }
}

impl FromStr for MasterAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let malformed = || InvalidAddress::Malformed(text.to_owned());
        let authority = match text.split_once("://") {
            None => text,
            Some(("http", rest)) => rest,
            Some(("https", _)) => return Err(InvalidAddress::Tls(text.to_owned())),
            Some(_) => return Err(InvalidAddress::NotHttp(text.to_owned())),
        };
        let authority = authority.split_once('/').map_or(authority, |(authority, _)| authority);
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(malformed)?;
                match port {
                    "" => (host, None),
                    port => (host, Some(port.strip_prefix(':').ok_or_else(malformed)?)),
                }
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            None => PORT,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(malformed)?,
        };
        let odd = |c: char| c.is_whitespace() || c.is_control() || "@?#,\\".contains(c);
        if host.is_empty() || host.contains(odd) {
            return Err(malformed());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for MasterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Masters {
    /// All of them; there is at least one.
    pub fn all(&self) -> &[MasterAddress] {
        &self.0
    }
}

impl FromStr for Masters {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let mut all: Vec<MasterAddress> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let address = part.parse()?;
            if !all.contains(&address) {
                all.push(address);
            }
        }
        if all.is_empty() { Err(InvalidAddress::Empty) } else { Ok(Self(all)) }
    }
}

impl fmt::Display for Masters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            write!(f, "{separator}{address}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_are_named_one_by_one() {
        for (text, all) in [
            ("http://m:5050", "m:5050"),
            ("m", "m:5050"),
            ("http://10.0.0.1:1/", "10.0.0.1:1"),
            ("http://a:1,b:2, c ,", "a:1,b:2,c:5050"),
            ("a:1,http://a:1", "a:1"),
            ("http://[::1]:7,[fe80::1]", "[::1]:7,[fe80::1]:5050"),
            ("http://m:5050/master/api/v1/scheduler", "m:5050"),
        ] {
            let masters: Masters = text.parse().unwrap();
            assert_eq!(masters.to_string(), all, "{text}");
            assert_eq!(masters.to_string().parse(), Ok(masters), "{text}");
        }
    }

    #[test]
    fn what_is_no_master_is_refused_with_a_word() {
        let words = |text: &str| text.parse::<Masters>().unwrap_err().to_string();
        assert!(words("https://m:5050").contains("TLS"));
        assert!(words("zk://a:2181/mesos").contains("name the masters themselves"));
        for text in ["", ",", " , "] {
            assert_eq!(text.parse::<Masters>(), Err(InvalidAddress::Empty), "{text:?}");
        }
        for text in [
            "http://",
            "http://:5050",
            "m:",
            "m:0",
            "m:65536",
            "m:x",
            "u@m:1",
            "m m",
            "[::1",
            "[::1]5050",
            "http:///x",
            "m?x",
            "a:1:2",
        ] {
            let refused = text.parse::<Masters>();
            assert!(matches!(refused, Err(InvalidAddress::Malformed(_))), "{text}: {refused:?}");
        }
    }

    /// In the ways in which masters and what stands before them write it.
    #[test]
    fn a_location_names_a_master() {
        for location in [
            "//leader:5051/master/api/v1/scheduler",
            "//leader:5051",
            "http://leader:5051/api/v1/scheduler",
            "leader:5051",
        ] {
            let address = MasterAddress::of_location(location).unwrap();
            assert_eq!(address.to_string(), "leader:5051", "{location}");
        }
        assert!(MasterAddress::of_location("https://leader:5051/x").is_err());
        assert!(MasterAddress::of_location("/api/v1/scheduler").is_err(), "that names nobody");
    }
}
