//! Alerts.

use crate::error::StoreError;
use crate::query::{AlertQuery, ReceiverAlertQuery};
use async_trait::async_trait;
use qqq_core::rule::Rule;
use qqq_core::subscription::SubscriptionId;
#[cfg(doc)]
use qqq_core::subscription::channel::Channel;
use qqq_core::{Alert, AlertId, Metric, RuleName, Second};

/// Alerts.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Alerts by (start, id), newest first.
    async fn alerts(&self, query: AlertQuery) -> Result<Vec<Alert>, StoreError>;

    /// One alert, whoever may read it.
    async fn alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError>;

    /// Whether an alert was enqueued for a subscription, whatever became of that, as far as it is remembered.
    async fn was_owed(&self, alert: AlertId, subscription: SubscriptionId) -> Result<bool, StoreError>;

    /// The alerts of a receiver (a [`Channel::key`]) by (start, id), newest first.
    async fn alerts_of(&self, address: &str, query: ReceiverAlertQuery) -> Result<Vec<Alert>, StoreError>;

    /// The same as [`was_owed`](Self::was_owed) for any subscription of a receiver (a [`Channel::key`]).
    async fn was_owed_to(&self, alert: AlertId, address: &str) -> Result<bool, StoreError>;

    /// Makes private alerts of a rule and metric public, at most `limit`, and answers how many: for a rule
    /// that the house makes its own. Their place in the history stays.
    async fn publish(&self, rule: RuleName, metric: Metric, limit: u32) -> Result<u64, StoreError>;

    /// Gives `rule` to the alerts by the house's rule that do not carry it: those that a version of this
    /// program raised which kept no rule with them. Answers how many there were. Until then, they cannot be
    /// read. Cheap where there are none.
    async fn complete_house_rules(&self, rule: &Rule) -> Result<u64, StoreError>;

    /// Deletes private alerts of bars that start before `before`, with the deliveries that tell of them, at
    /// most `limit` alerts, and answers how many. Those that a delivery still waits for stay.
    async fn prune_private_alerts(&self, before: Second, limit: u32) -> Result<u64, StoreError>;
}
