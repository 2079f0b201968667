//! Mails with a link to sign in. They belong to an address, not to a subscription: an operator may have none.

use super::{DeliveryId, Lease, Outcome};
use crate::subscription::EmailAddress;
use crate::subscription::session::SignInId;
use jiff::Timestamp;

/// A mail claimed for an attempt.
#[derive(Clone, Debug)]
pub struct SignInMail {
    /// Its link's token is derived of it.
    pub id: SignInId,
    /// To whom.
    pub to: EmailAddress,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Since when it is owed, wall clock.
    pub created_at: Timestamp,
    /// When its link stops working, and it being worth sending.
    pub expires_at: Timestamp,
    /// Fences the settling.
    pub lease: Lease,
}

impl SignInMail {
    /// The same over all attempts: it stands in the `Message-ID`.
    pub fn delivery_id(&self) -> DeliveryId {
        DeliveryId::of_sign_in(self.id)
    }
}

/// Mails with a link that are under way at once.
pub const MOST_SIGN_INS_UNDER_WAY: usize = 4;

/// When a mail with a link is tried again whose attempt ended so; `None`: never. Whether its link still works
/// then is looked at when it is claimed.
pub fn sign_in_tried_again(outcome: &Outcome) -> Option<Timestamp> {
    match outcome {
        Outcome::RetryAt(at, _) | Outcome::NotTried(at, _) => Some(*at),
        Outcome::Sent | Outcome::Failed(_) | Outcome::Gone(_) => None,
    }
}
