//! What a delivery has to tell, whatever the channel.

use crate::DeliveryError;
use qqq_core::Alert;
use qqq_core::delivery::{Delivery, DeliveryKind};
use qqq_core::subscription::SubscriptionStatus;

/// What there is to tell.
pub(crate) enum News<'a> {
    /// "Please confirm", or where there is nothing to confirm, "You are subscribed".
    Confirmation,
    /// Something unusual happened.
    Alert(&'a Alert),
    /// What we told was taken back.
    Retraction(&'a Alert),
    /// These had to wait. Never none.
    Digest(&'a [Alert]),
}

impl<'a> News<'a> {
    /// The news of a delivery, or [`DeliveryError::GiveUp`] where there is nothing to tell: an ended
    /// subscription, an alert that is missing.
    pub(crate) fn of(delivery: &'a Delivery) -> Result<Self, DeliveryError> {
        let nothing = |why: &str| Err(DeliveryError::give_up(why));
        match (delivery.kind, delivery.subscription.status, &delivery.alert) {
            (_, status, _) if status.has_ended() => nothing("the subscription has ended"),
            (DeliveryKind::Confirmation, _, _) => Ok(Self::Confirmation),
            (_, SubscriptionStatus::Pending, _) => nothing("the subscription is not confirmed"),
            (DeliveryKind::Digest, _, _) if delivery.digest.is_empty() => {
                nothing("the digest has no alert to tell of")
            }
            (DeliveryKind::Digest, _, _) => Ok(Self::Digest(&delivery.digest)),
            (_, _, None) => nothing("the delivery has no alert to tell of"),
            (DeliveryKind::Alert, _, Some(alert)) => Ok(Self::Alert(alert)),
            (DeliveryKind::Retraction, _, Some(alert)) => Ok(Self::Retraction(alert)),
        }
    }
}
