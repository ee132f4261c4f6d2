//! How a receiver knows that a notice is of this installation, and fresh.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of the header `Muster-Signature`: HMAC-SHA256 over `{timestamp}.{body}`, in hex, with
/// the text of the secret as its key.
///
/// The timestamp is signed too, so that a receiver can refuse what somebody has kept and sends again.
pub(super) fn sign(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let key = secret.as_bytes();
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(format!("{timestamp}.").as_bytes());
    hmac.update(body);
    let digest = hmac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_secret_time_and_body() {
        // printf '%s' '17.{"a":1}' | openssl dgst -sha256 -hmac key
        let signed = sign("key", 17, br#"{"a":1}"#);
        assert_eq!(signed, "v1=d3ba6f10f19da4394710a748dca6f7e47d0e9b749037df9a7f34f40df5063979");
        for other in [
            sign("kez", 17, br#"{"a":1}"#),
            sign("key", 18, br#"{"a":1}"#),
            sign("key", 17, br#"{"a":2}"#),
        ] {
            assert_ne!(other, signed);
        }
    }
}
