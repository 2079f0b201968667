//! How a subscription becomes active, and from which minute on it is told of bars.

use super::rows::Columns;
use super::watching;
use crate::StoreError;
use jiff::Timestamp;
use qqq_core::subscription::{self, SubscriptionId};
use qqq_core::{FeedStatus, Second};
use sqlx::SqliteConnection;

/// Makes a pending subscription active and answers from which minute on.
pub(super) async fn activate(
    connection: &mut SqliteConnection,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<Second, StoreError> {
    let active_from = first_minute(connection, now).await?;
    let own_rule: Option<bool> = sqlx::query_scalar(
        "update subscriptions set status = 'active', active_from = ? where id = ? returning own_rule",
    )
    .bind(active_from.minute())
    .bind(id.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    watching::count(connection, own_rule == Some(true)).await?;
    Ok(active_from)
}

/// From which minute on what becomes active now is told of bars.
pub(super) async fn first_minute(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Second, StoreError> {
    let row = sqlx::query("select mode, clock from feed_status").fetch_optional(connection).await?;
    let feed = row.map(|row| {
        let mut columns = Columns::new(&row, "feed_status");
        Ok::<_, StoreError>((columns.parse()?, columns.time()?))
    });
    Ok(subscription::first_minute(feed.transpose()?, now))
}

/// Subscriptions that became active before any feed was heard of begin by the wall clock. Where the first
/// feed turns out to be a replay source, they begin with its clock instead.
pub(super) async fn begin_with_replay(
    connection: &mut SqliteConnection,
    status: &FeedStatus,
) -> Result<(), StoreError> {
    let Some(first) = subscription::first_minute_of_replay(status.mode, status.clock) else { return Ok(()) };
    let heard_of_one: bool =
        sqlx::query_scalar("select exists (select 1 from feed_status)").fetch_one(&mut *connection).await?;
    if !heard_of_one {
        sqlx::query("update subscriptions set active_from = ? where status = 'active'")
            .bind(first.minute())
            .execute(connection)
            .await?;
    }
    Ok(())
}
