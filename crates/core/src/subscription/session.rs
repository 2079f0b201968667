//! Signing in without a password: a link by mail, good for one browser.
//!
//! Asking for a link says nothing about the address, and takes the same time whoever it is: a request is
//! noted down, and what becomes of it is decided later. The link's page signs in; what the browser then holds
//! is a random token, of which the store knows the hash.

use crate::clock::later;
use crate::subscription::EmailAddress;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// How long a link signs in, from when its mail is owed; and how long a request waits for its mail's turn.
const LINK_WORKS_FOR: SignedDuration = SignedDuration::from_mins(15);

/// How long a browser stays signed in.
pub const SIGNED_IN_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Browsers that are signed in with one address at once. One more ends the oldest.
pub const MOST_SESSIONS: usize = 20;

/// The identity of a request for a link: 128 random bits, of which its token is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignInId(Uuid);

impl SignInId {
    /// Makes an id of 16 bytes from a cryptographic source (UUID version 4).
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    pub(crate) fn uuid(&self) -> &Uuid {
        &self.0
    }
}

impl std::fmt::Display for SignInId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for SignInId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// A browser that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who it is, as the mail with the link was addressed.
    pub address: EmailAddress,
    /// Since when, wall clock.
    pub created_at: Timestamp,
    /// Until when, at the latest.
    pub expires_at: Timestamp,
}

/// Until when a link signs in whose mail is owed since `owed_at`.
pub fn link_works_until(owed_at: Timestamp) -> Timestamp {
    later(owed_at, LINK_WORKS_FOR)
}

/// Requests that were made before are not waited for any more: whoever asked has given up.
pub fn given_up_before(now: Timestamp) -> Timestamp {
    later(now, -LINK_WORKS_FOR)
}

/// Until when a browser stays signed in that signs in at `now`.
pub fn signed_in_until(now: Timestamp) -> Timestamp {
    later(now, SIGNED_IN_FOR)
}

/// Where the mail with a link goes, if any goes out at all: to what a receiver's alerts go to (`subscribed`),
/// or to an operator as the configuration writes the address. Anybody else gets none: whoever can name any
/// address must not be able to have it written to. Never to how the request spelt it.
pub fn link_goes_to(
    key: &str,
    subscribed: Option<EmailAddress>,
    operators: &[EmailAddress],
) -> Option<EmailAddress> {
    subscribed.or_else(|| operators.iter().find(|operator| operator.key() == key).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_goes_to_subscribers_and_operators_as_they_are_known() {
        let address = |text: &str| text.parse::<EmailAddress>().unwrap();
        let operators = [address("Ops@example.com")];
        for (key, subscribed, expected) in [
            ("ada@example.com", Some("Ada@example.com"), Some("Ada@example.com")),
            ("ada@example.com", None, None),
            ("ops@example.com", None, Some("Ops@example.com")),
            ("ops@example.com", Some("ops@example.com"), Some("ops@example.com")),
            ("ops+x@example.com", None, None),
        ] {
            let found = link_goes_to(key, subscribed.map(address), &operators);
            assert_eq!(found.as_ref().map(EmailAddress::expose), expected, "{key}");
        }
    }

    #[test]
    fn a_link_works_for_a_quarter_of_an_hour_and_a_browser_stays_for_a_month() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        assert_eq!(link_works_until(now).duration_since(now), SignedDuration::from_mins(15));
        assert_eq!(now.duration_since(given_up_before(now)), SignedDuration::from_mins(15));
        assert_eq!(signed_in_until(now).duration_since(now), SignedDuration::from_hours(720));
    }
}
