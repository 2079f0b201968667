//! Who wants to hear of what.

pub mod channel;
pub mod confirmation;
pub mod email_address;
pub mod limits;
pub mod mailbox;
pub mod push;
pub mod quiet;
pub mod scope;
pub mod session;
pub mod signup;
pub mod snooze;
pub mod token;
pub mod webhook_url;

pub use crate::subscription::email_address::{EmailAddress, InvalidEmailAddress};
pub use crate::subscription::scope::Scope;

use crate::UnknownWord;
use crate::subscription::channel::Channel;
use crate::subscription::quiet::QuietHours;
use crate::{Alert, Cadence, FeedMode, Metric, RuleName, Second, Symbol};
use jiff::Timestamp;
use std::fmt;
use std::str::FromStr;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<SubscriptionStatus>)]
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

crate::words::words!(SubscriptionStatus);

impl SubscriptionStatus {
    /// Whether it is over, whoever ended it.
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Unsubscribed | Self::Disabled)
    }
}

/// One receiver that wants to hear of one metric of a symbol, or of every symbol of the watchlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// 128 random bits.
    pub id: SubscriptionId,
    /// Where the messages go.
    pub channel: Channel,
    /// Of which symbols, as listed today.
    pub scope: Scope,
    /// Price or volume.
    pub metric: Metric,
    /// By which rule.
    pub rule: RuleName,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// When it was asked for, wall clock.
    pub created_at: Timestamp,
    /// Only bars that start here or later are told of. `None` until active.
    pub active_from: Option<Second>,
    /// When alerts wait, to come as one message afterwards.
    pub quiet: Option<QuietHours>,
    /// Nothing is told of until then, nor afterwards of that time; [`Timestamp::MAX`]: until it is resumed.
    pub paused_until: Option<Timestamp>,
    /// How often the secret that signs its webhooks has been replaced.
    pub secret_generation: u32,
    /// When that was last: the secret before it signs for another while.
    pub secret_rotated_at: Option<Timestamp>,
    /// Random bytes that its tokens and its webhook secret are derived from, together with the secret key
    /// ([`TokenKey`](crate::subscription::token::TokenKey)).
    pub nonce: [u8; 16],
}

impl Subscription {
    /// Whether its holder may read an alert for the rule it is by: everybody's, and those of its own rule on
    /// its symbols since it is active.
    pub fn may_read(&self, alert: &Alert) -> bool {
        alert.is_public() || self.reads(alert.symbol, alert.metric, alert.rule.name(), alert.start)
    }

    /// Whether alerts by a rule on a metric of a symbol, of a bar that starts at `start`, are its own.
    pub fn reads(&self, symbol: Symbol, metric: Metric, rule: RuleName, start: Second) -> bool {
        self.scope.covers(symbol)
            && (self.metric, self.rule) == (metric, rule)
            && self.reads_from().is_some_and(|from| from <= start)
    }

    /// The first start whose alerts by its own rule its holder may read. `None` while it is not active.
    pub fn reads_from(&self) -> Option<Second> {
        self.active_from.filter(|_| self.status == SubscriptionStatus::Active)
    }

    /// Whether it is paused at `now`, wall clock.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }
}

/// From which start on a subscription is told of bars that becomes active at `now`: the first whose bar is
/// not known yet. `feed`: the feed heard of last, and its clock, which is the end of its newest bar.
pub fn first_start(feed: Option<(FeedMode, Timestamp)>, now: Timestamp, cadence: Cadence) -> Second {
    let by_its_clock = feed.and_then(|(mode, clock)| first_start_of_replay(mode, clock, cadence));
    by_its_clock.unwrap_or_else(|| cadence.next_from(now))
}

/// From which start on a feed is told of that has a time of its own, which may be years away; `None` for a
/// live one. By it begin those, too, who came before any feed was heard of.
pub fn first_start_of_replay(mode: FeedMode, clock: Timestamp, cadence: Cadence) -> Option<Second> {
    (mode != FeedMode::Live).then(|| cadence.bar_of(clock))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let first = first_start(feed.map(|mode| (mode, clock)), at(now), Cadence::Sixty);
            assert_eq!(first.start(), at(expected), "{feed:?} {now}");
        }
        let first = first_start(None, at("2025-01-31T20:59:01.5Z"), Cadence::Five);
        assert_eq!(first.start(), at("2025-01-31T20:59:05Z"));
    }

    #[test]
    fn an_address_never_prints_itself() {
        let address: EmailAddress = "ada@example.com".parse().unwrap();
        assert!(!format!("{address:?}").contains("ada"));
    }
}
