//! Web push: what is sent to a browser's push service (RFC 8030), encrypted for the browser alone (RFC 8291)
//! and signed with the key that the browser was told when it subscribed (VAPID, RFC 8292).
//!
//! The encryption is the library's. The signature is a token of three parts (RFC 7519) that names the push
//! service, when it lapses, and whom to write to.

use super::body::Body;
use crate::{DeliveryError, InvalidConfig};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use qqq_core::delivery::Delivery;
use qqq_core::subscription::push::PushReceiver;
use qqq_core::subscription::token::TokenKey;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use web_push_native::p256::PublicKey;
use web_push_native::p256::ecdsa::signature::Signer as _;
use web_push_native::p256::ecdsa::{Signature, SigningKey};
use web_push_native::{Auth, encrypt};

/// How long a signature holds: a push service takes none that holds for more than a day.
const SIGNED_FOR: SignedDuration = SignedDuration::from_hours(12);
/// Seconds that push services keep a message at most.
const MOST_KEPT: i64 = 28 * 24 * 3600;
/// Tries at a key: one in 2^32 seeds is none.
const TRIES: u8 = 8;

/// The key that pushes are signed with, and what it signs beside the address.
pub(super) struct PushKey {
    key: SigningKey,
    /// Whom a push service may write to: `mailto:alerts@example.com`.
    contact: String,
}

impl PushKey {
    /// Derived from the instance's secret key, as tokens are: every process of it has the same.
    pub(super) fn new(secret: &TokenKey, contact: String) -> Result<Self, InvalidConfig> {
        let key = (0..TRIES).find_map(|n| SigningKey::from_slice(&secret.push_seed(n)).ok());
        let problem = || InvalidConfig {
            key: "server.secret_key",
            problem: "no key to sign pushes with can be derived from it: take another".to_owned(),
        };
        Ok(Self { key: key.ok_or_else(problem)?, contact })
    }

    /// The public key as browsers are told it: an uncompressed point in URL-safe base64.
    pub(super) fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().to_encoded_point(false))
    }

    /// The request that pushes `payload` to a receiver. A push service that holds an earlier attempt of the
    /// delivery replaces it, and drops what is not worth telling any more.
    pub(super) fn request(
        &self,
        receiver: &PushReceiver,
        delivery: &Delivery,
        payload: Vec<u8>,
        now: Timestamp,
    ) -> Result<Body, DeliveryError> {
        let key = public_key(receiver).map_err(DeliveryError::give_up)?;
        let bytes = encrypt(payload, &key, &Auth::from(receiver.auth))
            .map_err(|error| DeliveryError::retry(format!("the push cannot be encrypted: {error}")))?;
        let worth = delivery.expires_at.duration_since(now).as_secs().clamp(0, MOST_KEPT);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
        headers.insert(HeaderName::from_static("ttl"), worth.into());
        headers.insert(HeaderName::from_static("urgency"), HeaderValue::from_static("high"));
        let topic = delivery.id.to_string().replace('-', "");
        for (name, value) in
            [(HeaderName::from_static("topic"), topic), (AUTHORIZATION, self.authorization(receiver, now))]
        {
            let value = HeaderValue::from_str(&value)
                .map_err(|error| DeliveryError::retry(format!("the push cannot be made: {error}")))?;
            headers.insert(name, value);
        }
        Ok(Body { headers, bytes })
    }

    fn authorization(&self, receiver: &PushReceiver, now: Timestamp) -> String {
        let service = receiver.endpoint.url().origin().ascii_serialization();
        let until = now.as_second() + SIGNED_FOR.as_secs();
        let claims = json!({"aud": service, "exp": until, "sub": self.contact});
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(json!({"typ": "JWT", "alg": "ES256"})), part(claims));
        let signature: Signature = self.key.sign(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        format!("vapid t={signed}.{signature}, k={}", self.public())
    }
}

/// The key of a receiver, or that it has none.
pub(super) fn public_key(receiver: &PushReceiver) -> Result<PublicKey, &'static str> {
    PublicKey::from_sec1_bytes(&receiver.p256dh).map_err(|_| "keys.p256dh is no point of P-256")
}

#[cfg(test)]
mod tests {
    use super::*;
    use web_push_native::decrypt;
    use web_push_native::p256::SecretKey;

    /// The example of RFC 8291, section 5.
    #[test]
    fn what_the_library_reads_is_what_the_standard_says() {
        let bytes = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
        let browser = SecretKey::from_slice(&bytes("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")).unwrap();
        let auth: [u8; 16] = bytes("BTBZMqHH6r4Tts7J_aSIgg").try_into().unwrap();
        let sent = bytes(concat!(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS",
            "6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qu",
            "lcy4a-fN"
        ));
        let read = decrypt(sent, &browser, &Auth::from(auth)).unwrap();
        assert_eq!(read, b"When I grow up, I want to be a watermelon");
    }

    #[test]
    fn the_key_belongs_to_the_instance() {
        let of = |byte| PushKey::new(&TokenKey::new([byte; 32]), String::new()).unwrap().public();
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        assert_eq!(of(7).len(), 87);
    }
}
