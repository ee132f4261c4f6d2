//! The secrets that executors prove themselves with.

use std::{fs, io};

use hyper::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest, Sha256};

use crate::{
    core::{Bearer, Container},
    entropy,
    work_dir::WorkDir,
};

/// A new token for the executor in a container: the name of that, and 32 random bytes.
pub(crate) fn new_token(container: &Container) -> io::Result<String> {
    let secret = entropy::bytes::<32>()?;
    Ok(format!("{}.{}", hex(container.as_str().as_bytes()), hex(&secret)))
}

/// What the token of a request says of whoever makes it.
pub(super) fn bearer(work: &WorkDir, headers: &HeaderMap) -> Bearer {
    // Other schemes prove nothing here, and do no harm.
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = value.and_then(|value| value.strip_prefix("Bearer ")) else {
        return Bearer::Nobody;
    };
    owner(work, token).map_or(Bearer::Stranger, Bearer::Of)
}

/// The executor that a token was made for.
pub(super) fn owner(work: &WorkDir, token: &str) -> Option<Container> {
    let (name, _) = token.split_once('.')?;
    let name = String::from_utf8(unhex(name)?).ok()?;
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return None;
    }
    let container = Container::new(name);
    let kept = fs::read_to_string(work.executor(&container).token()).ok()?;
    // Digests are compared, so that the time it takes says nothing about the secret.
    (Sha256::digest(kept.trim()) == Sha256::digest(token)).then_some(container)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_the_rest() {
        assert_eq!(unhex(&hex(b"\x00\xffa")).unwrap(), b"\x00\xffa");
        for bad in ["0", "0g", "é"] {
            assert_eq!(unhex(bad), None);
        }
    }
}
