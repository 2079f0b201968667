//! What becomes of the deliveries of an alert that is retracted.

use super::apply::apply;
use super::rows::{Columns, listener};
use crate::StoreError;
use jiff::Timestamp;
use qqq_core::AlertId;
use qqq_core::delivery::{Carried, retractions};
use sqlx::SqliteConnection;

/// The messages in which an alert went to subscriptions and that had an attempt.
const CARRIED: &str = "select s.id, s.status, s.paused_until, m.attempts, m.state, m.lease_until \
     from deliveries d \
     join deliveries m on m.id = coalesce(d.digest, d.id) join subscriptions s on s.id = d.subscription \
     where d.alert = ? and d.kind = 'alert' and m.attempts > 0";

/// Deals with the deliveries of an alert that was just retracted. Answers how many are new.
pub(super) async fn retract(
    connection: &mut SqliteConnection,
    alert: AlertId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let rows = sqlx::query(CARRIED).bind(alert.to_string()).fetch_all(&mut *connection).await?;
    let carried = rows.iter().map(|row| {
        let mut columns = Columns::new(row, "deliveries");
        Ok(Carried {
            to: listener(&mut columns)?,
            attempts: columns.take()?,
            state: columns.parse()?,
            lease_until: columns.maybe_time()?,
        })
    });
    let carried = carried.collect::<Result<Vec<_>, StoreError>>()?;
    apply(connection, &retractions(alert, &carried, now), now).await
}
