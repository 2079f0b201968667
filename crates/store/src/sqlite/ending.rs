//! How subscriptions end.

use super::cancel::cancel_owed;
use super::watching;
use crate::StoreError;
use jiff::Timestamp;
use qqq_core::subscription::{SubscriptionId, SubscriptionStatus};
use sqlx::SqliteConnection;

/// Ends a subscription that has not ended, and cancels what is owed to it and not under way. Answers how many
/// have ended.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    id: SubscriptionId,
    status: SubscriptionStatus,
    now: Timestamp,
) -> Result<u64, StoreError> {
    // What was active keeps the start from which on it was.
    let was_watching: Option<bool> = sqlx::query_scalar(
        "update subscriptions set status = ?, ended_at = ? where id = ? and ended_at is null \
         returning own_rule = 1 and active_from is not null",
    )
    .bind(status.as_str())
    .bind(now.as_microsecond())
    .bind(id.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(was_watching) = was_watching else { return Ok(0) };
    watching::count(connection, was_watching).await?;
    cancel_owed(connection, id, status, now).await?;
    Ok(1)
}

/// Ends all subscriptions of a recipient that have not ended. Answers how many.
pub(super) async fn end_all(
    connection: &mut SqliteConnection,
    address: &str,
    status: SubscriptionStatus,
    now: Timestamp,
) -> Result<u64, StoreError> {
    // What was asked before and not taken in yet ends with the rest.
    sqlx::query("delete from sign_ups where address = ?")
        .bind(address.to_owned())
        .execute(&mut *connection)
        .await?;
    let live: Vec<String> =
        sqlx::query_scalar("select id from subscriptions where address = ? and ended_at is null")
            .bind(address.to_owned())
            .fetch_all(&mut *connection)
            .await?;
    for id in &live {
        let id = id.parse().map_err(|error: <SubscriptionId as std::str::FromStr>::Err| {
            StoreError::Corrupt { table: "subscriptions", reason: error.to_string() }
        })?;
        end(connection, id, status, now).await?;
    }
    Ok(live.len() as u64)
}
