//! Where a scheduler is.

use std::{fmt, str::FromStr};

use hyper::Uri;

/// Host and port of a scheduler that speaks plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

/// A text that is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address of a scheduler: {why}; write it as in http://127.0.0.1:8899")]
pub(crate) struct InvalidAddress {
    text: String,
    why: &'static str,
}

/// Where a scheduler listens when nobody says otherwise.
const DEFAULT_PORT: u16 = 8899;

impl Default for Address {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT }
    }
}

impl Address {
    /// What a TCP connection is made to.
    pub(crate) fn target(&self) -> (&str, u16) {
        (self.host.trim_start_matches('[').trim_end_matches(']'), self.port)
    }

    /// The value of the header `Host`.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = |why| InvalidAddress { text: text.to_owned(), why };
        let uri: Uri = text.parse().map_err(|_| invalid("it cannot be read"))?;
        match uri.scheme_str() {
            None | Some("http") => {}
            Some("https") => return Err(invalid("https is not supported yet")),
            Some(_) => return Err(invalid("the scheme is not http")),
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(invalid("it has a path"));
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| invalid("the host is missing"))?.to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(DEFAULT_PORT) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("http://127.0.0.1:8899", "http://127.0.0.1:8899"),
            ("http://host/", "http://host:8899"),
            ("host:1", "http://host:1"),
            ("[::1]:8899", "http://[::1]:8899"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        assert_eq!("http://[::1]:1".parse::<Address>().unwrap().target(), ("::1", 1));
        for text in ["", "https://host", "ftp://host", "http://host/v1", "http://", "a b"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
