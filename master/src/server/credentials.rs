//! Who a request is from: HTTP Basic, against the principals that the core keeps.

use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::{Arc, PoisonError, RwLock},
};

use hyper::{HeaderMap, header::AUTHORIZATION};
use muster_proto::json::base64;
use sha2::{Digest, Sha256};

use super::reply::Refusal;
use crate::core::Principal;

/// What is kept of a secret: its SHA-256. Secrets are made by the master, at random and long, so
/// that nobody finds one by trying.
type Kept = [u8; 32];

/// The principals that may call, each with the digest of its secret. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Nothing before the core has said which there are.
    inner: Arc<RwLock<Option<BTreeMap<String, Kept>>>>,
}

impl Credentials {
    /// None known yet: until [`Credentials::set`] whoever presents credentials is told to try again.
    pub fn new() -> Self {
        Self::default()
    }

    /// These and no others may call from now on.
    pub fn set(&self, principals: BTreeMap<String, [u8; 32]>) {
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = Some(principals);
    }

    /// The principal that a request is from. Without credentials it is nobody, where that is
    /// allowed; wrong ones are refused even there.
    pub(super) fn identify(
        &self,
        headers: &HeaderMap,
        anonymous: bool,
        realm: &'static str,
    ) -> Result<Option<Principal>, Refusal> {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return if anonymous { Ok(None) } else { Err(Refusal::unauthorized(realm)) };
        };
        let (name, secret) =
            basic(header.as_bytes()).ok_or_else(|| Refusal::unauthorized(realm))?;
        let known = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().ok_or_else(Refusal::not_recovered)?;
        match known.get(&name) {
            Some(kept) if is_secret(kept, &secret) => Ok(Some(Principal { name, digest: *kept })),
            _ => Err(Refusal::unauthorized(realm)),
        }
    }
}

/// Whether this is the secret, in a time that does not tell how much of it is right.
fn is_secret(kept: &Kept, secret: &[u8]) -> bool {
    let presented = Sha256::digest(secret);
    let differences = kept.iter().zip(presented).fold(0, |all, (a, b)| all | (a ^ b));
    black_box(differences) == 0
}

/// Principal and secret of an `Authorization` header (RFC 7617).
fn basic(header: &[u8]) -> Option<(String, Vec<u8>)> {
    let header = std::str::from_utf8(header).ok()?;
    let (scheme, rest) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::decode(rest.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let principal = String::from_utf8(pair[..colon].to_vec()).ok()?;
    Some((principal, pair[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "r";

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    fn encoded(pair: &str) -> HeaderMap {
        let mut value = b"Basic ".to_vec();
        base64::encode(pair.as_bytes(), &mut value);
        headers(std::str::from_utf8(&value).unwrap())
    }

    #[test]
    fn only_the_whole_secret_of_a_known_principal_opens() {
        let credentials = Credentials::new();
        let identify = |headers: &HeaderMap| credentials.identify(headers, false, REALM);
        assert_eq!(identify(&encoded("fw:s:e")), Err(Refusal::not_recovered()));
        let digest = Sha256::digest("s:e").into();
        credentials.set(BTreeMap::from([("fw".to_owned(), digest)]));
        let fw = || Ok(Some(Principal { name: "fw".to_owned(), digest }));
        assert_eq!(identify(&encoded("fw:s:e")), fw());
        for wrong in ["fw:s", "fw:s:ee", "fw:", "fw", "other:s:e", ":s:e", "FW:s:e"] {
            let refused = Err(Refusal::unauthorized(REALM));
            assert_eq!(identify(&encoded(wrong)), refused, "{wrong}");
            assert_eq!(credentials.identify(&encoded(wrong), true, REALM), refused, "{wrong}");
        }
        for wrong in ["Bearer Znc6czpl", "Basic", "Basic !", "Znc6czpl", ""] {
            assert_eq!(identify(&headers(wrong)), Err(Refusal::unauthorized(REALM)), "{wrong}");
        }
        assert_eq!(identify(&headers("basic Znc6czpl")), fw());
        credentials.set(BTreeMap::new());
        assert_eq!(identify(&encoded("fw:s:e")), Err(Refusal::unauthorized(REALM)));
    }

    #[test]
    fn nobody_is_let_in_only_where_that_is_said() {
        let credentials = Credentials::new();
        let nobody = HeaderMap::new();
        assert_eq!(credentials.identify(&nobody, true, REALM), Ok(None));
        let refused = credentials.identify(&nobody, false, REALM);
        assert_eq!(refused, Err(Refusal::unauthorized(REALM)));
    }
}
