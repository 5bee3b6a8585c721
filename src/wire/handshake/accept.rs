//! `Sec-WebSocket-Accept` (RFC 6455 1.3, 4.2.2): base64 of the SHA-1 of the key and a GUID.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest, Sha1};

/// What every server appends to the client's key.
pub const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The steps from a `Sec-WebSocket-Key` to the `Sec-WebSocket-Accept` that answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptDerivation {
    /// The key as sent, in base64.
    pub key: String,
    /// The key followed by the [`GUID`].
    pub concatenated: String,
    /// The SHA-1 of that.
    pub sha1: [u8; 20],
    /// The SHA-1 in base64: the header's value.
    pub accept: String,
}

impl AcceptDerivation {
    /// Derives the answer to `key`; the key is taken as a string and not decoded, as RFC 6455 4.2.2 says.
    pub fn of(key: &str) -> Self {
        let concatenated = format!("{key}{GUID}");
        let sha1: [u8; 20] = Sha1::digest(concatenated.as_bytes()).into();
        Self { key: key.to_owned(), concatenated, sha1, accept: STANDARD.encode(sha1) }
    }
}

/// The `Sec-WebSocket-Accept` that answers `key`.
pub fn accept_key(key: &str) -> String {
    AcceptDerivation::of(key).accept
}

/// Any base64 that decodes counts, also where the bits that are left over are not 0.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Whether `key` is base64 of 16 bytes (RFC 6455 4.1).
pub(super) fn is_sixteen_bytes(key: &str) -> bool {
    LENIENT.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_1_3_step_by_step() {
        let steps = AcceptDerivation::of("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(steps.concatenated, "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        assert_eq!(hex::encode(steps.sha1), "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
        assert_eq!(steps.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_base64_of_sixteen_bytes() {
        assert!(is_sixteen_bytes("dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_sixteen_bytes("AQIDBAUGBwgJCgsMDQ4PEC=="), "bits that are left over don't matter");
        for key in ["", "dGhl", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE=", "not base64 at all!!!!!!=="] {
            assert!(!is_sixteen_bytes(key), "{key:?}");
        }
    }
}
