//! Deliveries: one message owed to one subscription, tried until it is settled, and the policy that decides
//! what becomes of them.
//!
//! The policy is functions over what a backend loaded, answered with [`Transition`]s for it to apply in the
//! same transaction: [`plan`] for what is due ([`Claim`] goes through it), [`settle`] for the end of an
//! attempt, [`retractions`] for a retraction.

mod claim;
mod concerned;
mod failure;
mod limits;
#[cfg(test)]
mod model;
pub mod places;
mod plan;
mod recipient;
pub mod retention;
#[cfg(test)]
mod samples;
mod schedule;
mod settle;
mod sign_in;
mod state;
mod transition;
mod waiting;

pub use claim::{Claim, Planned, Wanted};
pub use concerned::{Concerned, told};
pub use failure::{Failure, FailureKind, InvalidFailureKind};
pub use limits::{
    Budget, MOST_BUNDLED, MOST_UNDER_WAY, REFUSALS, SUPPRESSED_FOR, expiry, lifetime, suppressed_since,
};
pub use plan::{ClaimParams, DueDelivery, Member, Needs, needs, plan};
pub use recipient::{Recipient, RecipientState};
pub use schedule::retry_at;
pub use settle::{Answer, Attempt, Carried, Listener, Notified, retractions, settle};
pub use sign_in::{MOST_SIGN_INS_UNDER_WAY, SignInMail, sign_in_tried_again};
pub use state::DeliveryState;
pub use transition::{CancelWaiting, Reason, Transition, WaitingOf, Why, cancel_at_end, cancel_at_pause};
pub use waiting::{Waiting, WaitsFor};

use crate::Alert;
use crate::UnknownWord;
use crate::alert::{AlertId, NAMESPACE};
use crate::subscription::session::SignInId;
use crate::subscription::{Subscription, SubscriptionId};
use jiff::Timestamp;
use std::fmt;
use std::str::FromStr;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};
use uuid::Uuid;

/// The identity of a delivery, derived from what is delivered to whom. It is the `webhook-id`, and stands in
/// the `Message-ID`: every attempt carries the same one, so a receiver can tell a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(Uuid);

impl DeliveryId {
    /// The delivery of an alert, or of the news that it was retracted, to a subscription.
    pub fn of_alert(kind: DeliveryKind, alert: AlertId, subscription: SubscriptionId) -> Self {
        let name = format!("delivery|{kind}|{}|{}", alert.uuid(), subscription.uuid());
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// The message that brings together alerts that had to wait, the first of them `first`.
    pub fn of_digest(first: DeliveryId) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("delivery|digest|{}", first.0).as_bytes()))
    }

    /// The `sequence`-th confirmation mail of a subscription.
    pub fn of_confirmation(subscription: SubscriptionId, sequence: u32) -> Self {
        let name = format!("delivery|confirmation|{}|{sequence}", subscription.uuid());
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// The mail with a link to sign in. Tells nothing of the id that the link's token is derived of.
    pub fn of_sign_in(id: SignInId) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("delivery|sign_in|{}", id.uuid()).as_bytes()))
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DeliveryId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// What a delivery tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<DeliveryKind>)]
pub enum DeliveryKind {
    /// "Please confirm": sent to an address that asked, or was said to ask, for alerts.
    Confirmation,
    /// Something unusual happened.
    Alert,
    /// What we told you was taken back by a correction of the data.
    Retraction,
    /// Alerts that had to wait, in one message.
    Digest,
}

crate::words::words!(DeliveryKind);

impl DeliveryKind {
    /// All.
    pub const ALL: [Self; 4] = [Self::Confirmation, Self::Alert, Self::Retraction, Self::Digest];

    /// How long after it was owed a mail is still worth sending, in seconds: old alerts are not news.
    pub const fn lifetime_seconds(self) -> i64 {
        match self {
            Self::Alert | Self::Retraction | Self::Digest => 4 * 60 * 60,
            Self::Confirmation => 24 * 60 * 60,
        }
    }

    /// The same for a webhook. Programs read them, which are down for a night and want what they missed.
    pub const fn webhook_lifetime_seconds(self) -> i64 {
        24 * 60 * 60
    }
}

/// A delivery claimed for an attempt: all a channel needs to make and send the message.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Stable over all attempts.
    pub id: DeliveryId,
    /// What it tells.
    pub kind: DeliveryKind,
    /// To whom. For alerts and retractions it was active when claimed.
    pub subscription: Subscription,
    /// Of what. `None` for confirmations and digests.
    pub alert: Option<Alert>,
    /// What a digest brings together, oldest first, without what was retracted meanwhile; empty for all else.
    pub digest: Vec<Alert>,
    /// What the link of a confirmation by mail shows, `subscription` among it; empty for all else.
    pub asked: Vec<Subscription>,
    /// Which attempt this is, from 1. Those that were [not tried](Outcome::NotTried) do not count.
    pub attempt: u32,
    /// When the delivery was enqueued, wall clock.
    pub created_at: Timestamp,
    /// When it stops being worth sending, wall clock.
    pub expires_at: Timestamp,
    /// Fences the settling: whoever claimed later holds another.
    pub lease: Lease,
}

/// Proof of the latest claim of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease(pub i64);

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver accepted it.
    Sent,
    /// Not now: try again at this time, unless it expires before.
    RetryAt(Timestamp, Failure),
    /// Nobody was asked, for this reason: the attempt is given back, and may be made at this time, unless the
    /// delivery expires before.
    NotTried(Timestamp, String),
    /// Never: the receiver refused for good.
    Failed(Failure),
    /// Never, nor anything else: the receiver is gone. Ends the subscription.
    Gone(Failure),
}

#[cfg(test)]
mod tests {
    use super::samples::delivery as id;
    use super::*;
    use crate::{Metric, Second};

    #[test]
    fn ids_differ_by_kind_alert_and_subscription() {
        let alert = AlertId::derive("spike", "AAPL".parse().unwrap(), Metric::Price, Second::from_minute(0));
        let subscription = SubscriptionId::from_random([1; 16]);
        let told = DeliveryId::of_alert(DeliveryKind::Alert, alert, subscription);
        assert_eq!(told, id(1));
        assert_ne!(told, DeliveryId::of_alert(DeliveryKind::Retraction, alert, subscription));
        assert_ne!(told, id(2));
        assert_ne!(
            DeliveryId::of_confirmation(subscription, 1),
            DeliveryId::of_confirmation(subscription, 2)
        );
    }
}
