//! Enqueued deliveries.

use crate::error::StoreError;
use crate::record::OutboxSummary;
use async_trait::async_trait;
use jiff::Timestamp;
#[cfg(doc)]
use qqq_core::delivery::DeliveryState;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Budget, Delivery, DeliveryId, Lease, Outcome};
#[cfg(doc)]
use qqq_core::subscription::channel::Channel;

/// Enqueued deliveries: claimed by lease, settled with the proof of the latest claim.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Claims deliveries that are due and unclaimed (or whose lease ran out), mails before webhooks and
    /// oldest due first, until `lease_until`: as many as have a place in `rooms`, so that none waits with a
    /// lease; of one recipient, four are under way at most. Settles as expired what is past its time; what
    /// tells of a retracted alert is cancelled, and followed up where it had an attempt. Reads each
    /// subscription's status in the same transaction: what belongs to one no longer entitled is cancelled,
    /// not handed out.
    ///
    /// Alerts, retractions and digests wait for the end of their subscription's quiet hours, alerts and
    /// digests for room in their recipient's `budget`; they then are worth sending for as long as if they had
    /// been enqueued at that time. Alerts that waited before any attempt come as one digest of at most 200,
    /// made in this transaction, where more than one of a recipient is due; the others are
    /// [`Bundled`](DeliveryState::Bundled). A digest leaves out what was retracted and what belongs to a
    /// subscription that ended or is paused, and is cancelled where nothing is left.
    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        rooms: Rooms,
        budget: Budget,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Extends a lease. False where a later claim exists or the delivery is settled.
    async fn renew(&self, id: DeliveryId, lease: Lease, lease_until: Timestamp) -> Result<bool, StoreError>;

    /// Records how an attempt ended. Where the last three messages to a recipient (by its
    /// [`key`](Channel::key)) that were answered for good, of whatever kind and subscription, failed, the
    /// recipient is suppressed, by the SHA-256 of its key: for 30 days nothing more is enqueued for it, and a
    /// claim cancels what is owed already. False, and nothing changed, where a later claim exists or the
    /// delivery is settled. A retry past the delivery's expiry settles it as expired. Of a retracted alert,
    /// there is no retry, and whoever may have been told is owed the follow-up
    /// ([`BarStore::commit`](crate::BarStore::commit)). [`Outcome::Gone`] is a failure that also disables the
    /// subscription, or all that a digest tells of, and cancels what is owed to them. [`Outcome::NotTried`]
    /// gives the attempt back, and leaves the reason of an earlier failure.
    async fn settle(
        &self,
        id: DeliveryId,
        lease: Lease,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Gives up every lease of dispatchers that are gone, so that their deliveries, and mails with links to
    /// sign in, are due at once. Only for the holder of the worker lock. Answers how many.
    async fn release_leases(&self) -> Result<u64, StoreError>;

    /// How many deliveries are where. Cheap however many there have been: asked for every few seconds.
    async fn outbox(&self) -> Result<OutboxSummary, StoreError>;
}
