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

/// Seconds to wait after the n-th failed attempt of a mail, before jitter. The last one repeats until expiry.
const SCHEDULE: [i64; 9] = [5, 15, 30, 60, 2 * 60, 5 * 60, 10 * 60, 20 * 60, 30 * 60];

/// The same for a webhook: an endpoint that is down is down for minutes or for hours.
const WEBHOOK_SCHEDULE: [i64; 8] = [5, 30, 2 * 60, 10 * 60, 30 * 60, 60 * 60, 2 * 60 * 60, 4 * 60 * 60];

/// When to try a mail again after `attempt` (from 1) failed at `now`: a schedule of 5 s to 30 min, moved by
/// up to 20 % either way.
///
/// The jitter is a function of the delivery and the attempt, not of a random source, so the schedule of a
/// delivery can be recomputed; over deliveries it spreads evenly.
pub fn retry_at(id: DeliveryId, attempt: u32, now: Timestamp) -> Timestamp {
    by_schedule(&SCHEDULE, id, attempt, now)
}

/// When to try a webhook again: as [`retry_at`], by a schedule of 5 s to 4 h, about thirteen attempts in a
/// day.
pub fn webhook_retry_at(id: DeliveryId, attempt: u32, now: Timestamp) -> Timestamp {
    by_schedule(&WEBHOOK_SCHEDULE, id, attempt, now)
}

fn by_schedule(schedule: &[i64], id: DeliveryId, attempt: u32, now: Timestamp) -> Timestamp {
    let step = (attempt.max(1) as usize - 1).min(schedule.len() - 1);
    let base_ms = schedule[step] * 1000;
    let hash = Uuid::new_v5(&id.0, &attempt.to_be_bytes()).as_u128() as u64;
    let jitter_ms = (hash % (2 * base_ms as u64 / 5 + 1)) as i64 - base_ms / 5;
    now.checked_add(jiff::SignedDuration::from_millis(base_ms + jitter_ms)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metric, Minute};

    fn id(n: u8) -> DeliveryId {
        let alert = AlertId::derive("spike", "AAPL".parse().unwrap(), Metric::Price, Minute::from_index(0));
        DeliveryId::of_alert(DeliveryKind::Alert, alert, SubscriptionId::from_random([n; 16]))
    }

    #[test]
    fn ids_differ_by_kind_alert_and_subscription() {
        let alert = AlertId::derive("spike", "AAPL".parse().unwrap(), Metric::Price, Minute::from_index(0));
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

    #[test]
    fn waits_grow_and_stay_within_a_fifth_of_the_schedule() {
        let now = Timestamp::UNIX_EPOCH;
        type RetryAt = fn(DeliveryId, u32, Timestamp) -> Timestamp;
        let mail: (RetryAt, &[i64]) = (retry_at, &SCHEDULE);
        let webhook: (RetryAt, &[i64]) = (webhook_retry_at, &WEBHOOK_SCHEDULE);
        for (retry_at, schedule) in [mail, webhook] {
            assert!(schedule.is_sorted());
            let mut seen = std::collections::BTreeSet::new();
            for n in 0..50 {
                for attempt in 1..40 {
                    let wait = retry_at(id(n), attempt, now).as_millisecond();
                    let base = schedule[(attempt as usize - 1).min(schedule.len() - 1)] * 1000;
                    assert!(
                        (base * 4 / 5..=base * 6 / 5).contains(&wait),
                        "attempt {attempt} waits {wait} ms"
                    );
                    seen.insert((attempt, wait));
                }
            }
            assert!(seen.iter().filter(|(attempt, _)| *attempt == 3).count() > 40, "no jitter");
        }
    }

    #[test]
    fn a_webhook_is_tried_early_and_over_a_whole_day() {
        let lifetime = DeliveryKind::Alert.webhook_lifetime_seconds();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut attempts = Vec::new();
        while now.as_second() < lifetime {
            attempts.push(now.as_second());
            now = webhook_retry_at(id(1), attempts.len() as u32, now);
        }
        assert!((11..=15).contains(&attempts.len()), "{attempts:?}");
        assert!(attempts.iter().filter(|second| **second < 15 * 60).count() >= 4, "{attempts:?}");
        assert!(attempts.last().is_some_and(|last| *last > lifetime - 5 * 3600), "{attempts:?}");
    }
}
