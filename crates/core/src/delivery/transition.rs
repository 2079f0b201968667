//! What the policy decides. A backend applies it in the transaction in which it loaded what it was decided
//! by.

use super::limits::LONGEST_REASON;
use super::recipient::Recipient;
use super::{Delivery, DeliveryId, DeliveryKind, DeliveryState, Failure, FailureKind};
use crate::alert::AlertId;
use crate::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use jiff::Timestamp;
use std::borrow::Cow;

/// A change, to be applied in the order it was decided in.
#[derive(Clone, Debug)]
pub enum Transition {
    /// Is under way until `until`, with `delivery`'s attempt, lease and subscription. Deferred no longer.
    HandOut {
        /// As it is handed out.
        delivery: Box<Delivery>,
        /// When its lease ends.
        until: Timestamp,
    },
    /// The attempt under way was none: takes it back from the count.
    GiveBack(DeliveryId),
    /// Comes to an end, and is neither deferred nor under way.
    End {
        /// Which.
        id: DeliveryId,
        /// Where it stands from now on.
        state: DeliveryState,
        /// Why; `None` where there is nothing to say.
        why: Option<Why>,
    },
    /// Waits for its next attempt.
    Retry {
        /// Which.
        id: DeliveryId,
        /// Until when.
        due_at: Timestamp,
        /// Why.
        why: Why,
    },
    /// Waits alone, without an attempt.
    Reschedule {
        /// Which.
        id: DeliveryId,
        /// Until when.
        due_at: Timestamp,
        /// When it then stops being worth sending, where that is later than it is now.
        expires_at: Timestamp,
    },
    /// All alerts of the recipient that are due and had no attempt wait, to be brought together when they
    /// come due.
    Defer {
        /// Whose.
        recipient: Recipient,
        /// Of this subscription alone.
        only: Option<SubscriptionId>,
        /// Until when.
        due_at: Timestamp,
        /// When they then stop being worth sending, where that is later than it is now.
        expires_at: Timestamp,
    },
    /// A digest is made of deferred alerts, which are told in it from now on.
    Bundle {
        /// The new delivery, of kind [`DeliveryKind::Digest`].
        digest: DeliveryId,
        /// Whom it is addressed to.
        to: Box<Subscription>,
        /// When it stops being worth sending.
        expires_at: Timestamp,
        /// What goes into it.
        members: Vec<DeliveryId>,
    },
    /// The news that an alert was retracted is enqueued for each, where it is not yet.
    EnqueueRetraction {
        /// Which alert.
        alert: AlertId,
        /// To whom.
        to: Vec<SubscriptionId>,
    },
    /// What waits and is not under way is cancelled.
    CancelWaiting(CancelWaiting),
    /// Nothing more is enqueued for the recipient, for a time.
    Suppress {
        /// Whom.
        recipient: Recipient,
        /// Why.
        why: Reason,
    },
    /// A subscription ends where it has not ended, with [what waits](cancel_at_end) for it.
    EndSubscription {
        /// Which.
        id: SubscriptionId,
        /// How.
        status: SubscriptionStatus,
    },
}

/// What is cancelled of what waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelWaiting {
    /// Of what.
    pub of: WaitingOf,
    /// Deliveries of these kinds.
    pub kinds: &'static [DeliveryKind],
    /// Why.
    pub why: Reason,
}

/// Whose deliveries wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingOf {
    /// Those that tell of an alert.
    Alert(AlertId),
    /// Those to a subscription.
    Subscription(SubscriptionId),
}

/// What a subscription that ended as `status` is told no more. Digests tell of other subscriptions, too, and
/// are judged when they come due.
pub fn cancel_at_end(id: SubscriptionId, status: SubscriptionStatus) -> CancelWaiting {
    const KINDS: [DeliveryKind; 3] =
        [DeliveryKind::Confirmation, DeliveryKind::Alert, DeliveryKind::Retraction];
    CancelWaiting { of: WaitingOf::Subscription(id), kinds: &KINDS, why: Reason::Ended(status) }
}

/// What a subscription that is paused is told no more: news. Confirmations are none.
pub fn cancel_at_pause(id: SubscriptionId) -> CancelWaiting {
    const KINDS: [DeliveryKind; 2] = [DeliveryKind::Alert, DeliveryKind::Retraction];
    CancelWaiting { of: WaitingOf::Subscription(id), kinds: &KINDS, why: Reason::Paused }
}

/// Why a delivery stands where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was decided so.
    Reason(Reason),
    /// An attempt failed.
    Failure(Failure),
    /// No attempt was made, for this reason.
    NotTried(String),
}

impl Why {
    /// Of what kind the failure was.
    pub fn kind(&self) -> Option<FailureKind> {
        match self {
            Self::Failure(failure) => Some(failure.kind),
            Self::Reason(_) | Self::NotTried(_) => None,
        }
    }

    /// What is kept for the operator, of whatever length it was told.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Reason(reason) => reason.as_str().into(),
            Self::Failure(Failure { reason, .. }) | Self::NotTried(reason) => {
                reason.chars().take(LONGEST_REASON).collect()
            }
        }
    }
}

/// Why the policy ends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its subscription is not active: pending, or over.
    Inactive,
    /// Its subscription ended.
    Ended(SubscriptionStatus),
    /// Its subscription is paused.
    Paused,
    /// Its recipient is suppressed.
    Suppressed,
    /// Its alert was retracted.
    Retracted,
    /// It is not worth sending any more.
    Late,
    /// Its recipient refused too often.
    Refusals,
}

impl Reason {
    /// As it is told to an operator.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "the subscription is not active",
            Self::Ended(status) => status.as_str(),
            Self::Paused => "the subscription is paused",
            Self::Suppressed => "the address is suppressed",
            Self::Retracted => "the alert was retracted",
            Self::Late => "not accepted in time",
            Self::Refusals => "refused several times in a row",
        }
    }
}
