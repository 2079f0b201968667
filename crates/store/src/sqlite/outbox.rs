//! What is owed, and its way to an end: `pending` until it is `sent`, `failed`, `expired`, `cancelled` or `bundled`.
//!
//! A delivery under way has `lease_until`. The number of its claims is the lease: whoever claims later holds a
//! higher one, and only the highest may settle. `attempts` counts those of them that were tried, as far as is known.

use super::apply::{apply, cancel_waiting};
use super::bars::bounded;
use super::bulk::Bulk;
use super::rows::Columns;
use super::{Sqlite, claim};
use crate::{Budget, OutboxStore, OutboxSummary, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::channel::Channel;
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{
    Answer, Attempt, Carried, Delivery, DeliveryId, DeliveryKind, Failure, Lease, Listener, Outcome,
    REFUSALS, Recipient as Addressee, Told, cancel_at_end, cancel_at_pause, expiry, settle, suppressed_since,
    take_back,
};
use qqq_core::subscription::{SubscriptionId, SubscriptionStatus};
use qqq_core::{Alert, AlertId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::sync::LazyLock;

/// What is pending is little; all deliveries are many.
pub(super) const RELEASE: &str = "update deliveries indexed by deliveries_due set lease_until = null \
     where state = 'pending' and lease_until is not null";

/// Who is told of an alert.
pub(super) const CONCERNED: &str = "select id, channel, receiver, format, address_hash from subscriptions s \
     where status = 'active' and symbol = ? and metric = ? and rule = ? and active_from <= ? \
     and (paused_until is null or paused_until <= ?) and not exists (select 1 from suppressions x \
     where x.address_hash = s.address_hash and x.created_at > ?)";

/// How many are where, and since when the oldest one waits.
pub(super) const SUMMARY: &str = "select state, deliveries, \
     (select min(created_at) from deliveries where state = 'pending') from delivery_counts";

/// How the last deliveries to a recipient that were answered for good were answered, newest first.
pub(super) const ANSWERED: &str = "select settled_at, state = 'sent' from deliveries indexed by deliveries_answered \
     where address_hash = ? and state in ('sent', 'failed') order by settled_at desc, state desc limit ?";

/// To subscriptions, by their ids.
pub(super) const RECIPIENTS: &str = "select id, channel, receiver, format, address_hash from subscriptions \
     where id in (select value from json_each(?))";

/// The messages in which an alert went to subscriptions and that had an attempt.
const CARRIED: &str = "select s.id, s.status, s.paused_until, m.attempts, m.state, m.lease_until from deliveries d \
     join deliveries m on m.id = coalesce(d.digest, d.id) join subscriptions s on s.id = d.subscription \
     where d.alert = ? and d.kind = 'alert' and m.attempts > 0";

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
        let released = sqlx::query(RELEASE).execute(&mut *write).await?;
        self.finish(write).await?;
        Ok(released.rows_affected())
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
        "select subscription, address_hash, attempts, expires_at, failure, coalesce(reason, '') from deliveries \
         where id = ? and claims = ? and lease_until is not null",
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

async fn told(connection: &mut SqliteConnection, id: DeliveryId) -> Result<Vec<Told>, StoreError> {
    let rows = sqlx::query(TOLD).bind(id.to_string()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "deliveries");
            Ok(Told { alert: columns.parse()?, retracted: columns.take()?, to: listener(&mut columns)? })
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

/// Reads a subscription's id, status and pause.
fn listener(columns: &mut Columns<'_>) -> Result<Listener, StoreError> {
    Ok(Listener {
        subscription: columns.parse()?,
        status: columns.parse()?,
        paused_until: columns.maybe_time()?,
    })
}

/// Owes a new alert to every active subscription it concerns. Answers how many deliveries are new.
pub(super) async fn owe_alert(
    connection: &mut SqliteConnection,
    alert: &Alert,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let concerned = recipients(
        &sqlx::query(CONCERNED)
            .bind(alert.symbol.as_str().to_owned())
            .bind(alert.metric.as_str())
            .bind(alert.rule.to_string())
            .bind(alert.start.index())
            .bind(now.as_microsecond())
            .bind(suppressed_since(now).as_microsecond())
            .fetch_all(&mut *connection)
            .await?,
    )?;
    owe_each(connection, DeliveryKind::Alert, alert.id, concerned, now).await
}

/// Owes what is to be told of an alert to each of `recipients`. Answers how many deliveries are new.
pub(super) async fn owe_each(
    connection: &mut SqliteConnection,
    kind: DeliveryKind,
    alert: AlertId,
    recipients: Vec<Recipient>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let owed: Vec<Owed> = recipients
        .into_iter()
        .map(|to| Owed {
            id: DeliveryId::of_alert(kind, alert, to.subscription),
            kind,
            to,
            alert: Some(alert),
        })
        .collect();
    owe(connection, &owed, now).await
}

/// Whom something is owed to.
pub(super) struct Recipient {
    pub(super) subscription: SubscriptionId,
    pub(super) channel: Channel,
    pub(super) address_hash: Vec<u8>,
}

/// Reads rows of a subscription's id, channel, receiver, format and address hash.
pub(super) fn recipients(rows: &[SqliteRow]) -> Result<Vec<Recipient>, StoreError> {
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "subscriptions");
            Ok(Recipient {
                subscription: columns.parse()?,
                channel: columns.channel()?,
                address_hash: columns.take()?,
            })
        })
        .collect()
}

/// A delivery that comes to be owed.
pub(super) struct Owed {
    pub(super) id: DeliveryId,
    pub(super) kind: DeliveryKind,
    pub(super) to: Recipient,
    pub(super) alert: Option<AlertId>,
}

static OWE: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "insert into deliveries \
         (id, kind, subscription, channel, host, address_hash, alert, state, created_at, expires_at, due_at) values",
        11,
        "on conflict (id) do nothing",
    )
});

/// Owes deliveries, due at once. Answers how many of them were not known.
pub(super) async fn owe(
    connection: &mut SqliteConnection,
    owed: &[Owed],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut new = 0;
    for (sql, piece) in OWE.pieces(owed) {
        let query = piece.iter().fold(sqlx::query(sql), |query, one| {
            query
                .bind(one.id.to_string())
                .bind(one.kind.as_str())
                .bind(one.to.subscription.to_string())
                .bind(one.to.channel.kind().as_str())
                .bind(one.to.channel.host())
                .bind(one.to.address_hash.clone())
                .bind(one.alert.map(|alert| alert.to_string()))
                .bind("pending")
                .bind(now.as_microsecond())
                .bind(expiry(one.kind, one.to.channel.kind(), now).as_microsecond())
                .bind(now.as_microsecond())
        });
        new += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(new)
}

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
    apply(connection, &take_back(alert, &carried, now), now).await
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

/// Has the next claim decide again about what is held of a subscription.
pub(super) async fn judge_anew(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("update deliveries set due_at = min(due_at, ?) where subscription = ? and held = 1")
        .bind(now.as_microsecond())
        .bind(subscription.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
