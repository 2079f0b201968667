//! How much, how long, how often: the numbers of the policy.

use super::DeliveryKind;
use crate::Carrier;
use crate::clock::later;
use jiff::{SignedDuration, Timestamp};

/// Deliveries of one recipient that are under way at once: one that does not answer must not keep all senders
/// busy.
pub const MOST_UNDER_WAY: usize = 4;

/// Alerts in one digest at most.
pub const MOST_BUNDLED: usize = 200;

/// Deliveries one claim hands out at most.
pub(super) const MOST_CLAIMED: usize = 1000;

/// Deliveries one claim settles on the way at most (expired, no longer entitled): a backlog of them must not
/// hold up the writes of others. The next claim goes on.
pub(super) const MOST_SETTLED: usize = 1000;

/// So many refusals for good in a row, whatever was sent, and an address is suppressed.
pub const REFUSALS: usize = 3;

/// How long a suppression holds: then somebody may have cleared the mailbox.
pub const SUPPRESSED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Characters kept of what a receiver said.
pub(super) const LONGEST_REASON: usize = 500;

/// Suppressions from after this moment hold.
pub fn suppressed_since(now: Timestamp) -> Timestamp {
    later(now, -SUPPRESSED_FOR)
}

/// How long after it was enqueued a delivery is worth sending.
pub fn lifetime(kind: DeliveryKind, carrier: Carrier) -> SignedDuration {
    SignedDuration::from_secs(match carrier {
        Carrier::Mail => kind.lifetime_seconds(),
        Carrier::Http => kind.webhook_lifetime_seconds(),
    })
}

/// When a delivery that is enqueued, or begins to be worth sending, at `from` stops being worth sending.
pub fn expiry(kind: DeliveryKind, carrier: Carrier, from: Timestamp) -> Timestamp {
    later(from, lifetime(kind, carrier))
}

/// How many messages a recipient (by its [`key`](crate::Channel::key)) may be sent: alerts and digests that
/// were sent within the last `per_seconds` or are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many; 0 counts as 1.
    pub messages: u32,
    /// In so many seconds.
    pub per_seconds: i64,
}

impl Budget {
    /// The kinds of message that count. What answers a person, and what takes back news, always goes out.
    pub const COUNTED: [DeliveryKind; 2] = [DeliveryKind::Alert, DeliveryKind::Digest];

    /// Whether a message counts.
    pub fn counts(kind: DeliveryKind) -> bool {
        Self::COUNTED.contains(&kind)
    }

    /// How many.
    pub fn messages(self) -> usize {
        self.messages.max(1) as usize
    }

    /// Messages sent after this moment count.
    pub fn since(self, now: Timestamp) -> Timestamp {
        later(now, -self.window())
    }

    pub(super) fn window(self) -> SignedDuration {
        SignedDuration::from_secs(self.per_seconds)
    }
}
