//! How a subscription becomes active, and from which start on it is told of bars.

use super::rows::Columns;
use super::{cadence, watching};
use crate::StoreError;
use jiff::Timestamp;
use qqq_core::subscription::{self, SubscriptionId};
use qqq_core::{FeedStatus, Second};
use sqlx::SqliteConnection;

/// Makes a pending subscription active and answers from which start on.
pub(super) async fn activate(
    connection: &mut SqliteConnection,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<Second, StoreError> {
    let active_from = first_start(connection, now).await?;
    let own_rule: Option<bool> = sqlx::query_scalar(
        "update subscriptions set status = 'active', active_from = ? where id = ? returning own_rule",
    )
    .bind(active_from.unix())
    .bind(id.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    watching::count(connection, own_rule == Some(true)).await?;
    Ok(active_from)
}

/// From which start on what becomes active now is told of bars.
pub(super) async fn first_start(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Second, StoreError> {
    let row = sqlx::query("select mode, clock from feed_status").fetch_optional(&mut *connection).await?;
    let feed = row.map(|row| {
        let mut columns = Columns::new(&row, "feed_status");
        Ok::<_, StoreError>((columns.parse()?, columns.time()?))
    });
    let cadence = cadence::of(connection).await?;
    Ok(subscription::first_start(feed.transpose()?, now, cadence))
}

/// Subscriptions that became active before any feed was heard of begin by the wall clock. Where the first
/// feed turns out to be a replay source, they begin with its clock instead.
pub(super) async fn begin_with_replay(
    connection: &mut SqliteConnection,
    status: &FeedStatus,
) -> Result<(), StoreError> {
    let cadence = cadence::of(connection).await?;
    let first = subscription::first_start_of_replay(status.mode, status.clock, cadence);
    let Some(first) = first else { return Ok(()) };
    let heard_of_one: bool =
        sqlx::query_scalar("select exists (select 1 from feed_status)").fetch_one(&mut *connection).await?;
    if !heard_of_one {
        sqlx::query("update subscriptions set active_from = ? where status = 'active'")
            .bind(first.unix())
            .execute(connection)
            .await?;
    }
    Ok(())
}
