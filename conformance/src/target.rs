//! Whom the suite speaks with.

use std::{fmt, path::PathBuf};

use muster_proto::json::base64;

/// A master, and an agent of it on this host if executors are to be judged too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `HOST:PORT` of the master.
    pub master: String,
    /// `HOST:PORT` of the agent.
    pub agent: Option<String>,
    /// Who the suite says it is, if the master asks for that.
    pub credentials: Option<Credentials>,
    /// The program that the agent is to start as an executor: this one.
    pub program: PathBuf,
}

/// A principal with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub principal: String,
    /// The secret.
    pub secret: String,
}

impl Credentials {
    /// The value of the header `Authorization` (RFC 7617).
    pub fn header(&self) -> String {
        let mut text = b"Basic ".to_vec();
        base64::encode(format!("{}:{}", self.principal, self.secret).as_bytes(), &mut text);
        String::from_utf8(text).expect("base64 is ASCII")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// An address is not `HOST:PORT` or `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address: give HOST:PORT or http://HOST:PORT")]
pub struct InvalidAddress(String);

/// `HOST:PORT` of what people write: a URL or just that.
pub fn address(text: &str) -> Result<String, InvalidAddress> {
    let bare = text.strip_prefix("http://").unwrap_or(text);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let invalid = || InvalidAddress(text.to_owned());
    let (host, port) = bare.rsplit_once(':').ok_or_else(invalid)?;
    let port_is_one = port.parse::<u16>().is_ok();
    if host.is_empty() || host.contains('/') || !port_is_one {
        Err(invalid())
    } else {
        Ok(bare.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for text in ["127.0.0.1:5050", "http://127.0.0.1:5050", "http://127.0.0.1:5050/"] {
            assert_eq!(address(text).as_deref(), Ok("127.0.0.1:5050"));
        }
        for text in ["", "localhost", ":5050", "https://a:1", "http://a:1/path", "a:65536"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_are_a_basic_header_and_no_text_of_logs() {
        let credentials =
            Credentials { principal: "Aladdin".to_owned(), secret: "open sesame".to_owned() };
        assert_eq!(credentials.header(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(!format!("{credentials:?}").contains("sesame"));
    }
}
