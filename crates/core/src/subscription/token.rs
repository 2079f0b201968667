//! Tokens in links: derived by a keyed MAC, stored only as hashes. Secrets of webhooks: derived alike, stored
//! nowhere.
//!
//! `token = HMAC-SHA256(key, purpose | subscription | nonce)`, 256 bits, URL-safe base64. The store keeps
//! `SHA-256(token)` and finds subscriptions by it, so a copy of the store holds no usable token, a guess
//! is hopeless, and comparing is a look-up by hash. A token opens one purpose of one subscription.

use crate::subscription::SubscriptionId;
use crate::subscription::session::SignInId;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::fmt;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Turns a pending subscription active. Expires.
    Confirm,
    /// Ends a subscription. Never expires: mails live long.
    Unsubscribe,
    /// Reads and changes a subscription over the API (bearer token).
    Manage,
}

impl Purpose {
    const fn tag(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Unsubscribe => "unsubscribe",
            Self::Manage => "manage",
        }
    }
}

/// The secret that tokens are derived with. Lives outside the store.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// Takes 32 bytes from a cryptographic source.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The token of one purpose of one subscription.
    pub fn token(&self, purpose: Purpose, id: SubscriptionId, nonce: &[u8; 16]) -> Token {
        let bytes = self.mac(&[b"qqq-tracker|", purpose.tag().as_bytes(), b"|", id.uuid().as_bytes(), nonce]);
        Token(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The token of a link that signs in.
    pub fn sign_in_token(&self, id: SignInId) -> Token {
        Token(URL_SAFE_NO_PAD.encode(self.mac(&[b"qqq-tracker|sign_in|", id.uuid().as_bytes()])))
    }

    /// Tells one key from another without revealing it: a store remembers which key its hashes belong to.
    pub fn fingerprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.mac(&[b"qqq-tracker|fingerprint"])[..12])
    }

    /// What the key that signs pushes is made of; the first `n` of which a key can be made counts.
    pub fn push_seed(&self, n: u8) -> [u8; 32] {
        self.mac(&[b"qqq-tracker|push|", &[n]])
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // HMAC pads a key with zeros to the block of its hash (RFC 2104, section 2): 64 bytes.
        let mut block = [0_u8; 64];
        block[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

/// A token as it stands in a link. Knowing it is the right to use it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token that is derived of nothing: 32 bytes from a cryptographic source.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Takes a token from a request. Answers `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// The token as text, for the link only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the store knows of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for TokenHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// The hashes of all three tokens of a subscription: what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHashes {
    /// Of the confirmation token.
    pub confirm: TokenHash,
    /// Of the unsubscribe token.
    pub unsubscribe: TokenHash,
    /// Of the management token.
    pub manage: TokenHash,
}

impl TokenKey {
    /// The hashes of all three tokens of a subscription.
    pub fn hashes(&self, id: SubscriptionId, nonce: &[u8; 16]) -> TokenHashes {
        let hash = |purpose| self.token(purpose, id, nonce).hash();
        TokenHashes {
            confirm: hash(Purpose::Confirm),
            unsubscribe: hash(Purpose::Unsubscribe),
            manage: hash(Purpose::Manage),
        }
    }
}

/// What a webhook's requests are signed with: 32 bytes, shared with its receiver.
///
/// `secret = HMAC-SHA256(key, "webhook" | subscription | nonce | generation)`. To rotate is to count the
/// generation up.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// How long after a rotation the secret before it still signs too.
    pub const OVERLAP: SignedDuration = SignedDuration::from_hours(24);

    /// The bytes, for signing only.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret as its receiver is told it: `whsec_` and standard base64.
    pub fn expose(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

impl TokenKey {
    /// The secret of one generation of a subscription's webhook, from 0.
    pub fn webhook_secret(&self, id: SubscriptionId, nonce: &[u8; 16], generation: u32) -> WebhookSecret {
        let generation = generation.to_be_bytes();
        WebhookSecret(self.mac(&[b"qqq-tracker|webhook|", id.uuid().as_bytes(), nonce, &generation]))
    }

    /// The secrets that sign at `now`, the current one first: for [`WebhookSecret::OVERLAP`] after a
    /// rotation, the one before it too, so that a receiver has time to take the new one over.
    pub fn webhook_secrets(
        &self,
        id: SubscriptionId,
        nonce: &[u8; 16],
        generation: u32,
        rotated_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<WebhookSecret> {
        let overlaps = rotated_at.is_some_and(|at| now.duration_since(at) < WebhookSecret::OVERLAP);
        let before = generation.checked_sub(1).filter(|_| overlaps);
        [Some(generation), before]
            .into_iter()
            .flatten()
            .map(|generation| self.webhook_secret(id, nonce, generation))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_key_purpose_subscription_and_nonce() {
        let key = TokenKey::new([7; 32]);
        let id = SubscriptionId::from_random([1; 16]);
        let token = key.token(Purpose::Confirm, id, &[2; 16]);
        assert_eq!(token, key.token(Purpose::Confirm, id, &[2; 16]));
        assert_eq!(Token::parse(token.expose()), Some(token.clone()));
        for other in [
            TokenKey::new([8; 32]).token(Purpose::Confirm, id, &[2; 16]),
            key.token(Purpose::Unsubscribe, id, &[2; 16]),
            key.token(Purpose::Confirm, SubscriptionId::from_random([9; 16]), &[2; 16]),
            key.token(Purpose::Confirm, id, &[3; 16]),
            key.sign_in_token(SignInId::from_random([1; 16])),
            Token::from_random([1; 32]),
        ] {
            assert_eq!(Token::parse(other.expose()), Some(other.clone()));
            assert_ne!(token, other);
            assert_ne!(token.hash(), other.hash());
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "abc", "a b", &"A".repeat(42), &"A".repeat(44), &"=".repeat(43), "é"] {
            assert!(Token::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn nothing_secret_prints_itself() {
        let key = TokenKey::new([7; 32]);
        let token = key.token(Purpose::Manage, SubscriptionId::from_random([1; 16]), &[2; 16]);
        let secret = key.webhook_secret(SubscriptionId::from_random([1; 16]), &[2; 16], 0);
        let all = format!("{key:?}{token:?}{:?}{secret:?}", token.hash());
        assert!(!all.contains(token.expose()) && !all.contains('7') && !all.contains("whsec_"));
    }

    #[test]
    fn a_secret_belongs_to_key_subscription_nonce_and_generation() {
        let key = TokenKey::new([7; 32]);
        let id = SubscriptionId::from_random([1; 16]);
        let secret = key.webhook_secret(id, &[2; 16], 0);
        assert_eq!(secret, key.webhook_secret(id, &[2; 16], 0));
        // Pinned, as Python's hmac computes it: were it to change, every receiver would take our requests for
        // forged.
        assert_eq!(secret.expose(), "whsec_QuN2SzFlhBcz/Db/KPlOco4xqzE2BijXK0KK1iPEvPw=");
        for other in [
            TokenKey::new([8; 32]).webhook_secret(id, &[2; 16], 0),
            key.webhook_secret(SubscriptionId::from_random([9; 16]), &[2; 16], 0),
            key.webhook_secret(id, &[3; 16], 0),
            key.webhook_secret(id, &[2; 16], 1),
        ] {
            assert_ne!(secret, other);
        }
        for purpose in [Purpose::Confirm, Purpose::Unsubscribe, Purpose::Manage] {
            let token = URL_SAFE_NO_PAD.decode(key.token(purpose, id, &[2; 16]).expose()).unwrap();
            assert_ne!(secret.as_bytes()[..], token[..]);
        }
    }

    #[test]
    fn for_a_day_after_a_rotation_both_secrets_sign() {
        let key = TokenKey::new([7; 32]);
        let id = SubscriptionId::from_random([1; 16]);
        let secret = |generation| key.webhook_secret(id, &[2; 16], generation);
        let at = |hours| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let signing =
            |generation, rotated_at, now| key.webhook_secrets(id, &[2; 16], generation, rotated_at, now);
        assert_eq!(signing(0, None, at(0)), [secret(0)]);
        assert_eq!(signing(3, Some(at(0)), at(0)), [secret(3), secret(2)]);
        assert_eq!(signing(3, Some(at(0)), at(23)), [secret(3), secret(2)]);
        assert_eq!(signing(3, Some(at(0)), at(24)), [secret(3)]);
        // Nothing was before the first.
        assert_eq!(signing(0, Some(at(0)), at(0)), [secret(0)]);
    }
}
