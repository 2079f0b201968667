//! What an operator looks at and mends.

use crate::error::StoreError;
use crate::query::{DeliveryQuery, Selection, SubscriptionQuery};
use crate::record::{DeliveryRecord, Replayed};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::delivery::DeliveryId;
use qqq_core::subscription::Subscription;
#[cfg(doc)]
use qqq_core::subscription::channel::Channel;

/// What an operator looks at and mends.
#[async_trait]
pub trait AdminStore: Send + Sync {
    /// Subscriptions in any state, by id.
    async fn subscriptions(&self, query: &SubscriptionQuery) -> Result<Vec<Subscription>, StoreError>;

    /// Disables subscriptions that have not ended, and cancels what is owed to them and not under way.
    /// Answers how many.
    async fn disable(&self, which: &Selection, now: Timestamp) -> Result<u64, StoreError>;

    /// Deletes all that is known of a recipient (a [`Channel::key`]) at once: subscriptions, deliveries, its
    /// suppression, sessions, requests to sign in. What is under way cannot be settled any more. Answers how
    /// many subscriptions there were.
    async fn erase(&self, address: &str) -> Result<u64, StoreError>;

    /// Deliveries by (time owed, id), newest first.
    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<DeliveryRecord>, StoreError>;

    /// Owes a delivery again that failed or expired: the same id, due at once, with a new expiry. Its
    /// attempts go on counting. What bars any delivery bars it too: a pause, a suppression, a retraction.
    async fn replay(&self, id: DeliveryId, now: Timestamp) -> Result<Replayed, StoreError>;
}
