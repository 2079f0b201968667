//! Signatures of Standard Webhooks 1.0 (<https://www.standardwebhooks.com>), symmetric: `v1`, HMAC-SHA256.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use qqq_core::subscription::token::WebhookSecret;
use sha2::Sha256;

/// The signatures of a request by every secret in force, separated by blanks: the `webhook-signature` header.
///
/// `id` must hold no full stop, so that nobody can move the border between it and what follows. `timestamp`
/// is the attempt's, in seconds since 1970.
pub(crate) fn signatures(secrets: &[WebhookSecret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signatures: Vec<_> =
        secrets.iter().map(|secret| signature(secret.as_bytes(), id, timestamp, body)).collect();
    signatures.join(" ")
}

/// One signature, by a key of at most 64 bytes: the specification allows no longer one.
fn signature(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    // HMAC pads a key with zeros to the block of its hash (RFC 2104, section 2).
    let mut block = [0_u8; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_core::subscription::SubscriptionId;
    use qqq_core::subscription::token::TokenKey;

    /// `sign function works` of the specification's own libraries (JavaScript, Go, Rust, ...).
    #[test]
    fn the_published_vector_comes_out() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn every_secret_signs_and_every_part_is_signed() {
        let key = TokenKey::new([7; 32]);
        let secret =
            |generation| key.webhook_secret(SubscriptionId::from_random([1; 16]), &[2; 16], generation);
        let both = signatures(&[secret(1), secret(0)], "id", 7, b"body");
        let each: Vec<_> = both.split(' ').collect();
        assert_eq!(
            each,
            [signatures(&[secret(1)], "id", 7, b"body"), signatures(&[secret(0)], "id", 7, b"body")]
        );
        for other in [
            signatures(&[secret(1)], "ie", 7, b"body"),
            signatures(&[secret(1)], "id", 8, b"body"),
            signatures(&[secret(1)], "id", 7, b"bodz"),
            signatures(&[secret(0)], "id", 7, b"body"),
        ] {
            assert_ne!(each[0], other);
        }
    }
}
