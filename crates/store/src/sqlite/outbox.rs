//! What is owed, and its way to an end: `pending` until it is `sent`, `failed`, `expired` or `cancelled`.
//!
//! A delivery under way has `lease_until`. The number of its claims is the lease: whoever claims later holds a
//! higher one, and only the highest may settle.

use super::Sqlite;
use super::bulk::Bulk;
use super::rows::{self, Candidate, Columns, alert_columns, subscription_columns};
use super::subscriptions::later;
use crate::{OutboxStore, OutboxSummary, StoreError};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qqq_core::alert::AlertState;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Lease, Outcome};
use qqq_core::subscription::{SubscriptionId, SubscriptionStatus};
use qqq_core::{Alert, AlertId};
use sqlx::SqliteConnection;
use std::sync::LazyLock;

/// Deliveries one claim hands out at most.
const MOST_CLAIMED: usize = 1000;

/// Deliveries one claim settles on the way at most (expired, no longer entitled): a backlog of them must not
/// hold up the writes of others. The next claim goes on.
const MOST_SETTLED: usize = 1000;

/// So many refusals for good in a row, whatever was sent, and an address is suppressed.
const REFUSALS: i64 = 3;

/// How long a suppression holds: then somebody may have cleared the mailbox.
pub(super) const SUPPRESSED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Characters kept of what a receiver said.
const LONGEST_REASON: usize = 500;

/// What is due, oldest first. The planner would rather read and sort all that is pending.
pub(super) const CANDIDATES: &str = concat!(
    "select d.id, d.kind, d.attempts, d.created_at, d.expires_at, \
     exists (select 1 from suppressions x where x.address_hash = s.address_hash and x.created_at > ?), ",
    subscription_columns!(),
    ", a.id is not null, ",
    alert_columns!(),
    " from deliveries d indexed by deliveries_due \
     join subscriptions s on s.id = d.subscription left join alerts a on a.id = d.alert \
     where d.state = 'pending' and coalesce(d.lease_until, d.due_at) <= ? \
     order by coalesce(d.lease_until, d.due_at), d.id limit ?"
);

/// What is pending is little; all deliveries are many.
pub(super) const RELEASE: &str = "update deliveries indexed by deliveries_due set lease_until = null \
     where state = 'pending' and lease_until is not null";

/// Who is told of an alert.
pub(super) const CONCERNED: &str = "select id from subscriptions s \
     where status = 'active' and symbol = ? and metric = ? and active_from <= ? \
     and not exists (select 1 from suppressions x \
     where x.address_hash = s.address_hash and x.created_at > ?)";

/// How many are where, and since when the oldest one waits.
pub(super) const SUMMARY: &str = "select state, deliveries, \
     (select min(created_at) from deliveries where state = 'pending') from delivery_counts";

/// Suppresses the address of a subscription if the last [`REFUSALS`] mails to it that were answered for good were
/// all refused. Of two that were answered in the same moment, the accepted one counts as the later.
pub(super) const SUPPRESS: &str = "insert into suppressions (address_hash, reason, created_at) \
     select s.address_hash, 'refused several times in a row', ?1 from subscriptions s \
     where s.id = ?2 and ?3 = (select count(*) from (\
     select d.state from subscriptions o join deliveries d indexed by deliveries_answered on d.subscription = o.id \
     where o.address = s.address and d.state in ('sent', 'failed') \
     order by d.settled_at desc, d.state desc limit ?3) where state = 'failed') \
     on conflict (address_hash) do update set reason = excluded.reason, created_at = excluded.created_at";

#[async_trait]
impl OutboxStore for Sqlite {
    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let limit = limit.min(MOST_CLAIMED);
        // Not a moment that has passed: it would be claimed again in the same breath.
        let lease_until = lease_until.max(now + SignedDuration::from_millis(1));
        let mut write = self.begin().await?;
        let mut claimed = Vec::new();
        let mut settled = 0;
        while claimed.len() < limit && settled < MOST_SETTLED {
            let due = candidates(&mut write, now, limit - claimed.len()).await?;
            if due.is_empty() {
                break;
            }
            for candidate in due {
                match judge(&candidate, now) {
                    Verdict::HandOut => claimed.push(lease(&mut write, candidate, lease_until).await?),
                    Verdict::Expire => {
                        end(&mut write, candidate.id, "expired", Some("not accepted in time"), now).await?;
                        settled += 1;
                    }
                    Verdict::Cancel(why) => {
                        end(&mut write, candidate.id, "cancelled", Some(why), now).await?;
                        settled += 1;
                    }
                    Verdict::TakeBack(alert) => {
                        end(&mut write, candidate.id, "cancelled", Some(RETRACTED), now).await?;
                        if candidate.attempts > 0 {
                            owe_retraction(&mut write, alert, candidate.subscription.id, now).await?;
                        }
                        settled += 1;
                    }
                }
            }
        }
        self.finish(write).await?;
        Ok(claimed)
    }

    async fn renew(&self, id: DeliveryId, lease: Lease, lease_until: Timestamp) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let renewed = sqlx::query(
            "update deliveries set lease_until = ? where id = ? and attempts = ? and lease_until is not null",
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
        let Some(held) = held(&mut write, id, lease).await? else { return Ok(false) };
        match outcome {
            Outcome::Sent => end(&mut write, id, "sent", None, now).await?,
            Outcome::Failed(reason) => {
                end(&mut write, id, "failed", Some(reason), now).await?;
                suppress_where_refused(&mut write, held.subscription, now).await?;
            }
            Outcome::RetryAt(..) if held.taken_back.is_some() => {
                end(&mut write, id, "cancelled", Some(RETRACTED), now).await?;
            }
            Outcome::RetryAt(at, reason) if *at >= held.expires_at => {
                end(&mut write, id, "expired", Some(reason), now).await?;
            }
            Outcome::RetryAt(at, reason) => put_off(&mut write, id, *at, reason).await?,
        }
        // Who was refused for good at the only attempt knows nothing; who was not, may.
        let may_have_been_told = !matches!(outcome, Outcome::Failed(_)) || held.attempts > 1;
        if let Some(alert) = held.taken_back.filter(|_| may_have_been_told) {
            owe_retraction(&mut write, alert, held.subscription, now).await?;
        }
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
                _ => summary.cancelled = count,
            }
        }
        Ok(summary)
    }
}

const RETRACTED: &str = "the alert was retracted";

/// What becomes of a delivery that is due.
enum Verdict {
    HandOut,
    Expire,
    Cancel(&'static str),
    /// Its alert was retracted: it is no news any more, and who may have been told is owed the retraction.
    TakeBack(AlertId),
}

fn judge(candidate: &Candidate, now: Timestamp) -> Verdict {
    let entitled = match candidate.kind {
        DeliveryKind::Confirmation => candidate.subscription.status != SubscriptionStatus::Unsubscribed,
        DeliveryKind::Alert | DeliveryKind::Retraction => {
            candidate.subscription.status == SubscriptionStatus::Active
        }
    };
    if !entitled {
        return Verdict::Cancel("the subscription is not active");
    }
    if candidate.suppressed {
        return Verdict::Cancel("the address is suppressed");
    }
    match &candidate.alert {
        // Before its expiry counts: who may have been told is owed the retraction, however late.
        Some(alert) if candidate.kind == DeliveryKind::Alert && alert.state == AlertState::Retracted => {
            Verdict::TakeBack(alert.id)
        }
        _ if candidate.expires_at <= now => Verdict::Expire,
        _ => Verdict::HandOut,
    }
}

async fn candidates(
    connection: &mut SqliteConnection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Candidate>, StoreError> {
    sqlx::query(CANDIDATES)
        .bind(suppressed_since(now))
        .bind(now.as_microsecond())
        .bind(super::bars::bounded(limit))
        .fetch_all(connection)
        .await?
        .iter()
        .map(rows::candidate)
        .collect()
}

async fn lease(
    connection: &mut SqliteConnection,
    candidate: Candidate,
    until: Timestamp,
) -> Result<Delivery, StoreError> {
    let attempt = candidate.attempts + 1;
    sqlx::query("update deliveries set attempts = ?, lease_until = ? where id = ?")
        .bind(attempt)
        .bind(until.as_microsecond())
        .bind(candidate.id.to_string())
        .execute(connection)
        .await?;
    Ok(Delivery {
        id: candidate.id,
        kind: candidate.kind,
        subscription: candidate.subscription,
        alert: candidate.alert,
        attempt,
        created_at: candidate.created_at,
        expires_at: candidate.expires_at,
        lease: Lease(i64::from(attempt)),
    })
}

/// A delivery whose latest claim is the one that asks.
struct Held {
    subscription: SubscriptionId,
    attempts: u32,
    expires_at: Timestamp,
    /// The alert it tells of, where that was retracted meanwhile.
    taken_back: Option<AlertId>,
}

async fn held(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    lease: Lease,
) -> Result<Option<Held>, StoreError> {
    let row = sqlx::query(
        "select d.subscription, d.attempts, d.expires_at, d.kind = 'alert' and a.state = 'retracted', a.id \
         from deliveries d left join alerts a on a.id = d.alert \
         where d.id = ? and d.attempts = ? and d.lease_until is not null",
    )
    .bind(id.to_string())
    .bind(lease.0)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut columns = Columns::new(&row, "deliveries");
    Ok(Some(Held {
        subscription: columns.parse()?,
        attempts: columns.take()?,
        expires_at: columns.time()?,
        taken_back: match columns.take::<Option<bool>>()? {
            Some(true) => Some(columns.parse()?),
            _ => None,
        },
    }))
}

/// Settles a delivery for good.
async fn end(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    state: &'static str,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update deliveries set state = ?, lease_until = null, settled_at = ?, reason = ? where id = ?",
    )
    .bind(state)
    .bind(now.as_microsecond())
    .bind(reason.map(shortened))
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Suppressions from after this moment hold, in microseconds.
pub(super) fn suppressed_since(now: Timestamp) -> i64 {
    later(now, -SUPPRESSED_FOR).as_microsecond()
}

async fn suppress_where_refused(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(SUPPRESS)
        .bind(now.as_microsecond())
        .bind(subscription.to_string())
        .bind(REFUSALS)
        .execute(connection)
        .await?;
    Ok(())
}

/// Has a delivery wait for its next attempt.
async fn put_off(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    until: Timestamp,
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query("update deliveries set due_at = ?, lease_until = null, reason = ? where id = ?")
        .bind(until.as_microsecond())
        .bind(shortened(reason))
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

fn shortened(reason: &str) -> String {
    reason.chars().take(LONGEST_REASON).collect()
}

/// Owes a new alert to every active subscription it concerns. Answers how many deliveries are new.
pub(super) async fn owe_alert(
    connection: &mut SqliteConnection,
    alert: &Alert,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let concerned: Vec<SubscriptionId> = sqlx::query(CONCERNED)
        .bind(alert.symbol.as_str().to_owned())
        .bind(alert.metric.as_str())
        .bind(alert.start.index())
        .bind(suppressed_since(now))
        .fetch_all(&mut *connection)
        .await?
        .iter()
        .map(|row| Columns::new(row, "subscriptions").parse())
        .collect::<Result<_, _>>()?;
    owe_each(connection, DeliveryKind::Alert, alert.id, &concerned, now).await
}

/// Owes the news that an alert was retracted, where the subscription still wants to know.
async fn owe_retraction(
    connection: &mut SqliteConnection,
    alert: AlertId,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let active: bool =
        sqlx::query_scalar("select exists (select 1 from subscriptions where id = ? and status = 'active')")
            .bind(subscription.to_string())
            .fetch_one(&mut *connection)
            .await?;
    let wanted: &[SubscriptionId] = if active { &[subscription] } else { &[] };
    owe_each(connection, DeliveryKind::Retraction, alert, wanted, now).await
}

/// Owes what is to be told of an alert to each of `subscriptions`. Answers how many deliveries are new.
async fn owe_each(
    connection: &mut SqliteConnection,
    kind: DeliveryKind,
    alert: AlertId,
    subscriptions: &[SubscriptionId],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let owed: Vec<Owed> = subscriptions
        .iter()
        .map(|&subscription| Owed {
            id: DeliveryId::of_alert(kind, alert, subscription),
            kind,
            subscription,
            alert: Some(alert),
        })
        .collect();
    owe(connection, &owed, now).await
}

/// A delivery that comes to be owed.
pub(super) struct Owed {
    pub(super) id: DeliveryId,
    pub(super) kind: DeliveryKind,
    pub(super) subscription: SubscriptionId,
    pub(super) alert: Option<AlertId>,
}

static OWE: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "insert into deliveries (id, kind, subscription, alert, state, created_at, expires_at, due_at) values",
        8,
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
                .bind(one.subscription.to_string())
                .bind(one.alert.map(|alert| alert.to_string()))
                .bind("pending")
                .bind(now.as_microsecond())
                .bind(later(now, SignedDuration::from_secs(one.kind.lifetime_seconds())).as_microsecond())
                .bind(now.as_microsecond())
        });
        new += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(new)
}

/// Deals with the deliveries of an alert that was just retracted: what waits is cancelled; who may have been
/// told is owed the retraction; what is under way is dealt with when it ends. Answers how many deliveries are
/// new.
///
/// May have been told: whoever had an attempt, unless it was the only one and the receiver refused it for good.
pub(super) async fn take_back(
    connection: &mut SqliteConnection,
    alert: AlertId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let told: Vec<SubscriptionId> = sqlx::query(
        "select d.subscription from deliveries d join subscriptions s on s.id = d.subscription \
         where d.alert = ? and d.kind = 'alert' and s.status = 'active' \
         and (d.lease_until is null or d.lease_until <= ?) \
         and (d.attempts > 1 or (d.attempts = 1 and d.state <> 'failed'))",
    )
    .bind(alert.to_string())
    .bind(now.as_microsecond())
    .fetch_all(&mut *connection)
    .await?
    .iter()
    .map(|row| Columns::new(row, "deliveries").parse())
    .collect::<Result<_, _>>()?;
    sqlx::query(
        "update deliveries set state = 'cancelled', lease_until = null, settled_at = ?1, reason = ?2 \
         where alert = ?3 and kind = 'alert' and state = 'pending' \
         and (lease_until is null or lease_until <= ?1)",
    )
    .bind(now.as_microsecond())
    .bind(RETRACTED)
    .bind(alert.to_string())
    .execute(&mut *connection)
    .await?;
    owe_each(connection, DeliveryKind::Retraction, alert, &told, now).await
}

/// Cancels what is owed to a subscription and not under way.
pub(super) async fn cancel_owed(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update deliveries set state = 'cancelled', lease_until = null, settled_at = ?1, reason = 'unsubscribed' \
         where subscription = ?2 and state = 'pending' and (lease_until is null or lease_until <= ?1)",
    )
    .bind(now.as_microsecond())
    .bind(subscription.to_string())
    .execute(connection)
    .await?;
    Ok(())
}
