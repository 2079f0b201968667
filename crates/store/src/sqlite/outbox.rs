//! What is owed, and its way to an end: `pending` until it is `sent`, `failed`, `expired`, `cancelled` or
//! `bundled`.
//!
//! A delivery under way has `lease_until`. The number of its claims is the lease: whoever claims later holds
//! a higher one, and only the highest may settle. `attempts` counts those of them that were tried, as far as
//! is known.

use super::apply::apply;
use super::claim;
use super::rows::{Columns, listener};
use super::sessions;
use super::sql::bounded;
use super::store::Sqlite;
use crate::{Budget, OutboxStore, OutboxSummary, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{
    Answer, Attempt, Delivery, DeliveryId, Failure, Lease, Notified, Outcome, REFUSALS,
    Recipient as Addressee, settle,
};
use sqlx::SqliteConnection;

/// What is pending is little; all deliveries are many.
pub(super) const RELEASE: &str = "update deliveries indexed by deliveries_due set lease_until = null \
     where state = 'pending' and lease_until is not null";

/// How many are where, and since when the oldest one waits.
pub(super) const SUMMARY: &str = "select state, deliveries, \
     (select min(created_at) from deliveries where state = 'pending') from delivery_counts";

/// How the last deliveries to a recipient that were answered for good were answered, newest first.
pub(super) const ANSWERED: &str = "select settled_at, state = 'sent' \
     from deliveries indexed by deliveries_answered \
     where address_hash = ? and state in ('sent', 'failed') order by settled_at desc, state desc limit ?";

/// The alerts that a delivery tells of: its own, or those of a digest.
const TOLD: &str = "select d.alert, a.state = 'retracted', s.id, s.status, s.paused_until from deliveries d \
     join alerts a on a.id = d.alert join subscriptions s on s.id = d.subscription \
     where d.id = ?1 and d.kind = 'alert' \
     union all \
     select d.alert, a.state = 'retracted', s.id, s.status, s.paused_until from deliveries d \
     join alerts a on a.id = d.alert join subscriptions s on s.id = d.subscription where d.digest = ?1";

#[async_trait]
impl OutboxStore for Sqlite {
    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        rooms: Rooms,
        budget: Budget,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut write = self.begin().await?;
        let handed = claim::claim(&mut write, now, lease_until, rooms, budget).await?;
        self.finish(write).await?;
        Ok(handed)
    }

    async fn renew(&self, id: DeliveryId, lease: Lease, lease_until: Timestamp) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let renewed = sqlx::query(
            "update deliveries set lease_until = ? where id = ? and claims = ? and lease_until is not null",
        )
        .bind(lease_until.as_microsecond())
        .bind(id.to_string())
        .bind(lease.0)
        .execute(&mut *write)
        .await?;
        self.finish(write).await?;
        Ok(renewed.rows_affected() > 0)
    }

    async fn settle(
        &self,
        id: DeliveryId,
        lease: Lease,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let Some(attempt) = attempt(&mut write, id, lease, outcome).await? else { return Ok(false) };
        apply(&mut write, &settle(&attempt, outcome, now), now).await?;
        self.finish(write).await?;
        Ok(true)
    }

    async fn release_leases(&self) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let mut released = 0;
        for sql in [RELEASE, sessions::RELEASE] {
            released += sqlx::query(sql).execute(&mut *write).await?.rows_affected();
        }
        self.finish(write).await?;
        Ok(released)
    }

    async fn outbox(&self) -> Result<OutboxSummary, StoreError> {
        let counts = sqlx::query(SUMMARY).fetch_all(&self.readers).await?;
        let mut summary = OutboxSummary::default();
        for row in &counts {
            let mut columns = Columns::new(row, "deliveries");
            let state: &str = columns.take()?;
            let count: u64 = columns.take()?;
            match state {
                "pending" => {
                    summary.pending = count;
                    summary.oldest_pending = if count > 0 { Some(columns.time()?) } else { None };
                }
                "sent" => summary.sent = count,
                "failed" => summary.failed = count,
                "expired" => summary.expired = count,
                "cancelled" => summary.cancelled = count,
                _ => summary.bundled = count,
            }
        }
        Ok(summary)
    }
}

/// An attempt under way whose claim is the latest.
async fn attempt(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    lease: Lease,
    outcome: &Outcome,
) -> Result<Option<Attempt>, StoreError> {
    let row = sqlx::query(
        "select subscription, address_hash, attempts, expires_at, failure, coalesce(reason, '') \
         from deliveries where id = ? and claims = ? and lease_until is not null",
    )
    .bind(id.to_string())
    .bind(lease.0)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut columns = Columns::new(&row, "deliveries");
    let (subscription, recipient) = (columns.parse()?, Addressee(columns.bytes()?));
    let (attempts, expires_at) = (columns.take()?, columns.time()?);
    let (kind, reason) = (columns.maybe()?, columns.take::<String>()?);
    let answered = match outcome.is_refusal() {
        true => answered(connection, &recipient).await?,
        false => Vec::new(),
    };
    Ok(Some(Attempt {
        id,
        subscription,
        recipient,
        attempts,
        expires_at,
        failed: kind.map(|kind| Failure::new(kind, reason)),
        tells: told(connection, id).await?,
        answered,
    }))
}

async fn told(connection: &mut SqliteConnection, id: DeliveryId) -> Result<Vec<Notified>, StoreError> {
    let rows = sqlx::query(TOLD).bind(id.to_string()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "deliveries");
            Ok(Notified { alert: columns.parse()?, retracted: columns.take()?, to: listener(&mut columns)? })
        })
        .collect()
}

async fn answered(
    connection: &mut SqliteConnection,
    recipient: &Addressee,
) -> Result<Vec<Answer>, StoreError> {
    let rows = sqlx::query(ANSWERED)
        .bind(recipient.0.to_vec())
        .bind(bounded(REFUSALS))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "deliveries");
            Ok(Answer { at: columns.time()?, accepted: columns.take()? })
        })
        .collect()
}
