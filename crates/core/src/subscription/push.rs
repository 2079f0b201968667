//! Browsers that take pushes (RFC 8030): where their push service takes them, and the keys without which
//! nobody reads them, that service included (RFC 8291).

use crate::subscription::webhook_url::{InvalidWebhookUrl, WebhookUrl};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;

/// What a browser's `PushSubscription` says. Knowing the endpoint is nearly the right to push there: never
/// log it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PushReceiver {
    /// Where its push service takes what is for it: an address that the guard judges as any webhook's.
    pub endpoint: WebhookUrl,
    /// Its public key, an uncompressed point of P-256.
    pub p256dh: [u8; 65],
    /// What it shares with whoever may push.
    pub auth: [u8; 16],
}

impl PushReceiver {
    /// What the key of a receiver begins with, so that it is no webhook's.
    pub const PREFIX: &str = "push:";

    /// Of the texts of a `PushSubscription`: keys in URL-safe base64, padded or not.
    ///
    /// # Errors
    ///
    /// Names the member that cannot be used, and what is allowed.
    pub fn new(endpoint: &str, p256dh: &str, auth: &str) -> Result<Self, InvalidPushReceiver> {
        let invalid = |member, problem| InvalidPushReceiver { member, problem };
        let endpoint =
            endpoint.parse().map_err(|error: InvalidWebhookUrl| invalid("endpoint", error.to_string()))?;
        let key = "must be 65 bytes in URL-safe base64: an uncompressed point of P-256";
        let p256dh = bytes(p256dh).filter(|point: &[u8; 65]| point[0] == 4);
        let secret = "must be 16 bytes in URL-safe base64";
        Ok(Self {
            endpoint,
            p256dh: p256dh.ok_or_else(|| invalid("keys.p256dh", key.to_owned()))?,
            auth: bytes(auth).ok_or_else(|| invalid("keys.auth", secret.to_owned()))?,
        })
    }

    /// The text it is kept as: endpoint, key and secret with blanks between. For the store only.
    pub fn expose(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{} {} {}", self.endpoint.expose(), encode(&self.p256dh), encode(&self.auth))
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?.try_into().ok()
}

impl FromStr for PushReceiver {
    type Err = InvalidPushReceiver;

    /// Reads what [`expose`](Self::expose) writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ' ');
        let mut part = || parts.next().unwrap_or_default();
        Self::new(part(), part(), part())
    }
}

impl fmt::Debug for PushReceiver {
    /// The push service alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushReceiver({}, …)", self.endpoint.host())
    }
}

/// A text that is no browser's subscription. Does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {problem}")]
pub struct InvalidPushReceiver {
    /// `endpoint`, `keys.p256dh` or `keys.auth`.
    pub member: &'static str,
    /// What is wrong with it, and what is allowed.
    pub problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 8291, appendix A.
    const KEY: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    #[test]
    fn a_receiver_is_kept_as_it_was_told_and_shows_its_service_alone() {
        let url = "https://push.example.net/push/canary";
        let receiver = PushReceiver::new(url, KEY, &format!("{AUTH}==")).unwrap();
        assert_eq!(receiver.expose(), format!("{url} {KEY} {AUTH}"));
        assert_eq!(receiver.expose().parse(), Ok(receiver.clone()));
        let shown = format!("{receiver:?}");
        assert!(shown.contains("push.example.net") && !shown.contains("canary"), "{shown}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let url = "https://push.example.net/push/canary";
        let compressed = "AyVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx";
        for (endpoint, key, auth, member) in [
            ("ftp://push.example.net/canary", KEY, AUTH, "endpoint"),
            ("", KEY, AUTH, "endpoint"),
            (url, compressed, AUTH, "keys.p256dh"),
            (url, "", AUTH, "keys.p256dh"),
            (url, &KEY.replacen('B', "C", 1), AUTH, "keys.p256dh"),
            (url, KEY, "BTBZMqHH6r4Tts7J_aSI", "keys.auth"),
            (url, KEY, "canary!", "keys.auth"),
        ] {
            let error = PushReceiver::new(endpoint, key, auth).unwrap_err();
            assert_eq!(error.member, member);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        assert!("".parse::<PushReceiver>().is_err());
    }
}
