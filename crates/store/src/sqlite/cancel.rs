//! Takes back what waits.

use super::sql::json_list;
use crate::StoreError;
use jiff::Timestamp;
use qqq_core::delivery::{CancelWaiting, WaitingOf, cancel_at_end, cancel_at_pause};
use qqq_core::subscription::{SubscriptionId, SubscriptionStatus};
use sqlx::SqliteConnection;

/// Cancels what waits for a subscription, or tells of an alert, of some kinds.
macro_rules! cancel_waiting {
    ($of:literal) => {
        concat!(
            "update deliveries set state = 'cancelled', deferred = 0, lease_until = null, \
             settled_at = ?1, reason = ?2, failure = null where ",
            $of,
            " = ?3 and state = 'pending' and kind in (select value from json_each(?4)) \
             and (lease_until is null or lease_until <= ?1)"
        )
    };
}

/// Cancels what waits and is not under way.
pub(super) async fn cancel_waiting(
    connection: &mut SqliteConnection,
    cancel: &CancelWaiting,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (sql, of) = match cancel.of {
        WaitingOf::Alert(id) => (cancel_waiting!("alert"), id.to_string()),
        WaitingOf::Subscription(id) => (cancel_waiting!("subscription"), id.to_string()),
    };
    sqlx::query(sql)
        .bind(now.as_microsecond())
        .bind(cancel.why.as_str())
        .bind(of)
        .bind(json_list(cancel.kinds))
        .execute(connection)
        .await?;
    Ok(())
}

/// Cancels what waits for a subscription that ended.
pub(super) async fn cancel_owed(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    status: SubscriptionStatus,
    now: Timestamp,
) -> Result<(), StoreError> {
    cancel_waiting(connection, &cancel_at_end(subscription, status), now).await
}

/// The same for a subscription that is paused.
pub(super) async fn cancel_news(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    cancel_waiting(connection, &cancel_at_pause(subscription), now).await
}

/// Has the next claim decide again about what is deferred of a subscription.
pub(super) async fn judge_anew(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("update deliveries set due_at = min(due_at, ?) where subscription = ? and deferred = 1")
        .bind(now.as_microsecond())
        .bind(subscription.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
