//! Who wants to hear of what.

use crate::channel::Channel;
use crate::quiet::QuietHours;
use crate::{Alert, FeedMode, Metric, Minute, RuleName, Symbol};
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A mail address that is safe in an envelope and a header: plain ASCII, no quotes, comments, blanks or
/// controls. Stricter than RFC 5321 on purpose: what it refuses, no real subscriber has.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The address as given, for envelopes and the `To` header only. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The address in lower case: what counts as "the same address" in look-ups.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (local, domain) = text.split_once('@').ok_or(InvalidEmailAddress)?;
        let atom = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
        };
        let label = |part: &str| {
            (1..=63).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        let ok = text.len() <= 254
            && local.len() <= 64
            && local.split('.').all(atom)
            && domain.split('.').all(label);
        if ok { Ok(Self(text.to_owned())) } else { Err(InvalidEmailAddress) }
    }
}

impl fmt::Debug for EmailAddress {
    /// Redacted: addresses do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

/// A text that is no mail address. Does not repeat the text: it may be one, mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a mail address: it must look like name@example.com, in ASCII, at most 254 characters")]
pub struct InvalidEmailAddress;

/// The identity of a subscription: 128 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(Uuid);

impl SubscriptionId {
    /// Makes an id of 16 bytes from a cryptographic source (UUID version 4).
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    pub(crate) fn uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SubscriptionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionStatus {
    /// Asked for; its address has not confirmed.
    Pending,
    /// Receives alerts.
    Active,
    /// Ended for good by its reader; a new sign-up makes a new subscription.
    Unsubscribed,
    /// Ended for good by its receiver, who said to be gone, or by the operator.
    Disabled,
}

impl SubscriptionStatus {
    const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Unsubscribed, Self::Disabled];

    /// `pending`, `active`, `unsubscribed` or `disabled`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Unsubscribed => "unsubscribed",
            Self::Disabled => "disabled",
        }
    }

    /// Whether it is over, whoever ended it.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Unsubscribed | Self::Disabled)
    }
}

impl FromStr for SubscriptionStatus {
    type Err = InvalidSubscriptionStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| InvalidSubscriptionStatus(text.to_owned()))
    }
}

/// A text that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a subscription status: it must be `pending`, `active`, `unsubscribed` or `disabled`")]
pub struct InvalidSubscriptionStatus(pub String);

/// One receiver that wants to hear of one metric of one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// 128 random bits.
    pub id: SubscriptionId,
    /// Where the messages go.
    pub channel: Channel,
    /// The ticker, as listed today.
    pub symbol: Symbol,
    /// Price or volume.
    pub metric: Metric,
    /// By which rule.
    pub rule: RuleName,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// When it was asked for, wall clock.
    pub created_at: Timestamp,
    /// Only bars that start here or later are told of. `None` until active.
    pub active_from: Option<Minute>,
    /// When alerts wait, to come as one message afterwards.
    pub quiet: Option<QuietHours>,
    /// Nothing is told of until then, nor afterwards of that time; [`Timestamp::MAX`]: until it is resumed.
    pub paused_until: Option<Timestamp>,
    /// How often the secret that signs its webhooks has been replaced.
    pub secret_generation: u32,
    /// When that was last: the secret before it signs for another while.
    pub secret_rotated_at: Option<Timestamp>,
    /// Random bytes that its tokens and its webhook secret are derived from, together with the secret key
    /// ([`TokenKey`](crate::token::TokenKey)).
    pub nonce: [u8; 16],
}

impl Subscription {
    /// Whether its holder may read an alert for the rule it is by: everybody's, and those of its own rule on its
    /// symbol since it is active.
    pub fn may_read(&self, alert: &Alert) -> bool {
        alert.is_public() || self.reads(alert.symbol, alert.metric, alert.rule, alert.start)
    }

    /// Whether alerts by a rule on a metric of a symbol, of a bar that starts at `start`, are its own.
    pub fn reads(&self, symbol: Symbol, metric: Metric, rule: RuleName, start: Minute) -> bool {
        (self.symbol, self.metric, self.rule) == (symbol, metric, rule)
            && self.reads_from().is_some_and(|from| from <= start)
    }

    /// The first minute whose alerts by its own rule its holder may read. `None` while it is not active.
    pub fn reads_from(&self) -> Option<Minute> {
        self.active_from.filter(|_| self.status == SubscriptionStatus::Active)
    }

    /// Whether it is paused at `now`, wall clock.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }
}

/// From which minute on a subscription is told of bars that becomes active at `now`: the first whose bar is not known yet.
/// `feed`: the feed heard of last, and its clock, which is the end of its newest bar.
pub fn first_minute(feed: Option<(FeedMode, Timestamp)>, now: Timestamp) -> Minute {
    let by_its_clock = feed.and_then(|(mode, clock)| first_minute_of_tape(mode, clock));
    by_its_clock.or_else(|| Minute::starting(now)).unwrap_or_else(|| {
        let next = now.checked_add(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX);
        Minute::containing(next)
    })
}

/// From which minute on a feed is told of that has a time of its own, which may be years away; `None` for a live one. By it
/// begin those, too, who came before any feed was heard of.
pub fn first_minute_of_tape(mode: FeedMode, clock: Timestamp) -> Option<Minute> {
    (mode != FeedMode::Live).then(|| Minute::containing(clock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_addresses_are_accepted() {
        for text in [
            "ada@example.com",
            "a.b+c_d-e@sub.example.co.uk",
            "x@localhost",
            "O'Neil@example.org",
            "ada@xn--bcher-kva.example",
        ] {
            assert_eq!(text.parse::<EmailAddress>().unwrap().expose(), text);
        }
    }

    #[test]
    fn what_could_reach_a_header_or_another_recipient_is_refused() {
        for text in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c.de",
            "a@b@c",
            "a@b\r\nBcc: x@y.z",
            "a\n@b.c",
            "\"a b\"@c.de",
            "a@[127.0.0.1]",
            "a@b,c@d.e",
            "a@b;c",
            "<a@b.c>",
            "a(comment)@b.c",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "a@.b",
            "a@b.",
            "a@-b.c",
            "a@b-.c",
            "a@b..c",
            "a@b c",
            "ä@b.c",
            "a@bücher.de",
            "a@b.c\0",
            "a\u{2028}@b.c",
            "a:b@c.d",
        ] {
            assert!(text.parse::<EmailAddress>().is_err(), "{text:?}");
        }
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", vec!["b".repeat(60); 5].join("."));
        assert!(long_local.parse::<EmailAddress>().is_err());
        assert!(long.parse::<EmailAddress>().is_err());
    }

    #[test]
    fn a_subscription_begins_with_the_first_bar_that_is_not_known_yet() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let clock = at("2020-06-01T14:31:00Z");
        for (feed, now, expected) in [
            (None, "2025-01-31T20:59:00Z", "2025-01-31T20:59:00Z"),
            (None, "2025-01-31T20:59:00.000001Z", "2025-01-31T21:00:00Z"),
            (Some(FeedMode::Live), "2025-01-31T20:59:59Z", "2025-01-31T21:00:00Z"),
            (Some(FeedMode::Simulated), "2025-01-31T20:59:59Z", "2020-06-01T14:31:00Z"),
            (Some(FeedMode::Replayed), "2025-01-31T20:59:59Z", "2020-06-01T14:31:00Z"),
        ] {
            let first = first_minute(feed.map(|mode| (mode, clock)), at(now));
            assert_eq!(first.start(), at(expected), "{feed:?} {now}");
        }
    }

    #[test]
    fn an_address_never_prints_itself() {
        let address: EmailAddress = "ada@example.com".parse().unwrap();
        assert!(!format!("{address:?}").contains("ada"));
    }
}
