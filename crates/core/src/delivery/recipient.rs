//! Whom deliveries go to, as far as that decides when they do.

use super::{Budget, DeliveryKind};
use crate::Channel;
use crate::clock::later;
use crate::subscription::{Subscription, SubscriptionStatus};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// What deliveries and suppressions know a recipient by: the SHA-256 of its [`Channel::key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recipient(pub [u8; 32]);

impl Recipient {
    /// Of a channel.
    pub fn of(channel: &Channel) -> Self {
        Self::of_key(&channel.key())
    }

    /// Of a [`Channel::key`].
    pub fn of_key(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

/// What a recipient has under way, and was sent within the window of the budget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientState {
    /// Deliveries whose lease holds.
    pub(super) under_way: usize,
    /// Messages that count with a lease, even one that ran out: they may have been sent.
    pub(super) counted: usize,
    /// When messages that count were sent, newest first.
    pub(super) sent: Vec<Timestamp>,
}

impl RecipientState {
    /// `leases`: the kind of each delivery that has a lease, and when it ends. `sent`: when the last
    /// [`messages`](Budget::messages) of the kinds that [count](Budget::COUNTED) were sent, newest first, as
    /// far as that was [lately](Budget::since).
    pub fn new(
        leases: impl IntoIterator<Item = (DeliveryKind, Timestamp)>,
        sent: Vec<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let mut state = Self { sent, ..Self::default() };
        for (kind, until) in leases {
            state.under_way += usize::from(until > now);
            state.counted += usize::from(Budget::counts(kind));
        }
        state
    }

    /// When there is room for a message in the budget; `None` where there is some now, or where it does not
    /// count. `lapsed`: it is one of those that have a lease itself.
    pub(super) fn no_room_until(
        &self,
        kind: DeliveryKind,
        lapsed: bool,
        now: Timestamp,
        budget: Budget,
    ) -> Option<Timestamp> {
        if !Budget::counts(kind) {
            return None;
        }
        let others = self.counted - usize::from(lapsed);
        match budget.messages().checked_sub(others).filter(|free| *free > 0) {
            // Not before what is under way has been sent for so long.
            None => Some(later(now, budget.window())),
            Some(free) => self.sent.get(free - 1).map(|sent| later(*sent, budget.window())),
        }
    }
}

/// Whether a subscription that stands there is to be told of alerts.
pub(super) fn listens(status: SubscriptionStatus, paused_until: Option<Timestamp>, now: Timestamp) -> bool {
    status == SubscriptionStatus::Active && paused_until.is_none_or(|until| until <= now)
}

/// When the quiet hours of a subscription that hold at `now` end.
pub(super) fn quiet_until(subscription: &Subscription, now: Timestamp) -> Option<Timestamp> {
    subscription.quiet.as_ref()?.end(now)
}
