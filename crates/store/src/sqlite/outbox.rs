//! What is owed, and its way to an end: `pending` until it is `sent`, `failed`, `expired`, `cancelled` or `bundled`.
//!
//! A delivery under way has `lease_until`. The number of its claims is the lease: whoever claims later holds a
//! higher one, and only the highest may settle. `attempts` counts those of them that were tried, as far as is known.

use super::bulk::Bulk;
use super::rows::Columns;
use super::subscriptions::later;
use super::{Sqlite, claim, subscriptions};
use crate::{Budget, OutboxStore, OutboxSummary, StoreError};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qqq_core::channel::{Channel, ChannelKind};
use qqq_core::delivery::places::Rooms;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Failure, FailureKind, Lease, Outcome};
use qqq_core::subscription::{SubscriptionId, SubscriptionStatus};
use qqq_core::{Alert, AlertId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::sync::LazyLock;

/// So many refusals for good in a row, whatever was sent, and an address is suppressed.
const REFUSALS: i64 = 3;

/// How long a suppression holds: then somebody may have cleared the mailbox.
pub(super) const SUPPRESSED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Characters kept of what a receiver said.
const LONGEST_REASON: usize = 500;

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

/// Suppresses a recipient if the last [`REFUSALS`] messages to it that were answered for good were all refused. Of two that were answered in the same moment, the accepted one counts as the later.
pub(super) const SUPPRESS: &str = "insert into suppressions (address_hash, reason, created_at) \
     select ?2, 'refused several times in a row', ?1 where ?3 = (select count(*) from (\
     select state from deliveries indexed by deliveries_answered \
     where address_hash = ?2 and state in ('sent', 'failed') \
     order by settled_at desc, state desc limit ?3) where state = 'failed') \
     on conflict (address_hash) do update set reason = excluded.reason, created_at = excluded.created_at";

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
        let Some(attempt) = under_way(&mut write, id, lease).await? else { return Ok(false) };
        let void = !attempt.tells.is_empty() && attempt.tells.iter().all(|one| one.retracted);
        let mut tried = attempt.attempts;
        if let Outcome::NotTried(..) = outcome {
            tried -= 1;
            give_back(&mut write, id).await?;
        }
        // What failed before says more than why nobody was asked now.
        let before = |why: &str| match attempt.failure {
            Some(kind) => Why { kind: Some(kind), reason: attempt.reason.clone().unwrap_or_default() },
            None => Why::words(why),
        };
        match outcome {
            Outcome::Sent => end(&mut write, id, "sent", None, now).await?,
            Outcome::Failed(failure) | Outcome::Gone(failure) => {
                end(&mut write, id, "failed", Some(failure.into()), now).await?;
                suppress_where_refused(&mut write, attempt.address_hash, now).await?;
            }
            Outcome::RetryAt(..) | Outcome::NotTried(..) if void => {
                end(&mut write, id, "cancelled", Some(Why::words(RETRACTED)), now).await?;
            }
            Outcome::RetryAt(at, failure) if *at >= attempt.expires_at => {
                end(&mut write, id, "expired", Some(failure.into()), now).await?;
            }
            Outcome::NotTried(at, why) if *at >= attempt.expires_at => {
                end(&mut write, id, "expired", Some(before(why)), now).await?;
            }
            Outcome::RetryAt(at, failure) => put_off(&mut write, id, *at, failure.into()).await?,
            Outcome::NotTried(at, why) => put_off(&mut write, id, *at, before(why)).await?,
        }
        if matches!(outcome, Outcome::Gone(_)) {
            let told = attempt.tells.iter().map(|one| one.to);
            for subscription in told.chain([attempt.subscription]) {
                subscriptions::end(&mut write, subscription, SubscriptionStatus::Disabled, now).await?;
            }
        }
        // Who was refused for good at the only attempt knows nothing, nor does who was never asked; who else, may.
        let refused = matches!(outcome, Outcome::Failed(_) | Outcome::Gone(_));
        if tried > u32::from(refused) {
            for one in attempt.tells.iter().filter(|one| one.retracted) {
                owe_retraction(&mut write, one.alert, one.to, now).await?;
            }
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
                "cancelled" => summary.cancelled = count,
                _ => summary.bundled = count,
            }
        }
        Ok(summary)
    }
}

pub(super) const RETRACTED: &str = "the alert was retracted";
pub(super) const PAUSED: &str = "the subscription is paused";

/// An attempt under way whose claim is the latest.
struct Attempt {
    subscription: SubscriptionId,
    address_hash: Vec<u8>,
    attempts: u32,
    expires_at: Timestamp,
    reason: Option<String>,
    failure: Option<FailureKind>,
    /// The alerts it tells of as news: one, or those of a digest; none where it is of another kind.
    tells: Vec<Told>,
}

struct Told {
    alert: AlertId,
    to: SubscriptionId,
    retracted: bool,
}

async fn under_way(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    lease: Lease,
) -> Result<Option<Attempt>, StoreError> {
    let row = sqlx::query(
        "select subscription, address_hash, attempts, expires_at, reason, failure from deliveries \
         where id = ? and claims = ? and lease_until is not null",
    )
    .bind(id.to_string())
    .bind(lease.0)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let told = sqlx::query(
        "select d.alert, d.subscription, a.state = 'retracted' from deliveries d join alerts a on a.id = d.alert \
         where d.id = ?1 and d.kind = 'alert' \
         union all \
         select d.alert, d.subscription, a.state = 'retracted' from deliveries d join alerts a on a.id = d.alert \
         where d.digest = ?1",
    )
    .bind(id.to_string())
    .fetch_all(connection)
    .await?;
    let told = told.iter().map(|row| {
        let mut columns = Columns::new(row, "deliveries");
        Ok(Told { alert: columns.parse()?, to: columns.parse()?, retracted: columns.take()? })
    });
    let mut columns = Columns::new(&row, "deliveries");
    Ok(Some(Attempt {
        subscription: columns.parse()?,
        address_hash: columns.take()?,
        attempts: columns.take()?,
        expires_at: columns.time()?,
        reason: columns.take()?,
        failure: columns.maybe()?,
        tells: told.collect::<Result<_, StoreError>>()?,
    }))
}

/// Why a delivery stands where it does.
pub(super) struct Why {
    kind: Option<FailureKind>,
    reason: String,
}

impl Why {
    /// No failure of an attempt.
    pub(super) fn words(reason: &str) -> Self {
        Self { kind: None, reason: reason.to_owned() }
    }
}

impl From<&Failure> for Why {
    fn from(failure: &Failure) -> Self {
        Self { kind: Some(failure.kind), reason: failure.reason.clone() }
    }
}

/// Takes back that an attempt was made.
async fn give_back(connection: &mut SqliteConnection, id: DeliveryId) -> Result<(), StoreError> {
    sqlx::query("update deliveries set attempts = attempts - 1, lease_until = null where id = ?")
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Settles a delivery for good.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    state: &'static str,
    why: Option<Why>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update deliveries set state = ?, held = 0, lease_until = null, settled_at = ?, reason = ?, failure = ? \
         where id = ?",
    )
    .bind(state)
    .bind(now.as_microsecond())
    .bind(why.as_ref().map(|why| shortened(&why.reason)))
    .bind(why.and_then(|why| why.kind).map(|kind| kind.to_string()))
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
    address_hash: Vec<u8>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(SUPPRESS)
        .bind(now.as_microsecond())
        .bind(address_hash)
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
    why: Why,
) -> Result<(), StoreError> {
    sqlx::query("update deliveries set due_at = ?, lease_until = null, reason = ?, failure = ? where id = ?")
        .bind(until.as_microsecond())
        .bind(shortened(&why.reason))
        .bind(why.kind.map(|kind| kind.to_string()))
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
    let concerned = recipients(
        &sqlx::query(CONCERNED)
            .bind(alert.symbol.as_str().to_owned())
            .bind(alert.metric.as_str())
            .bind(alert.rule.to_string())
            .bind(alert.start.index())
            .bind(now.as_microsecond())
            .bind(suppressed_since(now))
            .fetch_all(&mut *connection)
            .await?,
    )?;
    owe_each(connection, DeliveryKind::Alert, alert.id, concerned, now).await
}

/// Owes the news that an alert was retracted, where the subscription still wants to know.
pub(super) async fn owe_retraction(
    connection: &mut SqliteConnection,
    alert: AlertId,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let wanted = recipients(
        &sqlx::query(
            "select id, channel, receiver, format, address_hash from subscriptions \
             where id = ? and status = 'active' and (paused_until is null or paused_until <= ?)",
        )
        .bind(subscription.to_string())
        .bind(now.as_microsecond())
        .fetch_all(&mut *connection)
        .await?,
    )?;
    owe_each(connection, DeliveryKind::Retraction, alert, wanted, now).await
}

/// Owes what is to be told of an alert to each of `recipients`. Answers how many deliveries are new.
async fn owe_each(
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
fn recipients(rows: &[SqliteRow]) -> Result<Vec<Recipient>, StoreError> {
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

/// How long a delivery is worth sending.
pub(super) fn lifetime(kind: DeliveryKind, channel: ChannelKind) -> SignedDuration {
    SignedDuration::from_secs(match channel {
        ChannelKind::Email => kind.lifetime_seconds(),
        ChannelKind::Webhook => kind.webhook_lifetime_seconds(),
    })
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
                .bind(later(now, lifetime(one.kind, one.to.channel.kind())).as_microsecond())
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
/// May have been told: whoever had an attempt, of the delivery or of the digest it went into, unless it was the only one
/// and the receiver refused it for good.
pub(super) async fn take_back(
    connection: &mut SqliteConnection,
    alert: AlertId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let told = recipients(
        &sqlx::query(
            "select s.id, s.channel, s.receiver, s.format, s.address_hash from deliveries d \
             join deliveries m on m.id = coalesce(d.digest, d.id) join subscriptions s on s.id = d.subscription \
             where d.alert = ?1 and d.kind = 'alert' and s.status = 'active' \
             and (s.paused_until is null or s.paused_until <= ?2) \
             and (m.lease_until is null or m.lease_until <= ?2) \
             and (m.attempts > 1 or (m.attempts = 1 and m.state <> 'failed'))",
        )
        .bind(alert.to_string())
        .bind(now.as_microsecond())
        .fetch_all(&mut *connection)
        .await?,
    )?;
    sqlx::query(
        "update deliveries set state = 'cancelled', held = 0, lease_until = null, settled_at = ?1, reason = ?2 \
         where alert = ?3 and kind = 'alert' and state = 'pending' \
         and (lease_until is null or lease_until <= ?1)",
    )
    .bind(now.as_microsecond())
    .bind(RETRACTED)
    .bind(alert.to_string())
    .execute(&mut *connection)
    .await?;
    owe_each(connection, DeliveryKind::Retraction, alert, told, now).await
}

/// Cancels what is owed to a subscription and not under way. Digests tell of other subscriptions, too, and are judged
/// when they come due.
pub(super) async fn cancel_owed(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    reason: &'static str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update deliveries set state = 'cancelled', held = 0, lease_until = null, settled_at = ?1, reason = ?3 \
         where subscription = ?2 and state = 'pending' and kind <> 'digest' \
         and (lease_until is null or lease_until <= ?1)",
    )
    .bind(now.as_microsecond())
    .bind(subscription.to_string())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}

/// The same for a subscription that is paused: all but confirmations, which are no news.
pub(super) async fn cancel_news(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update deliveries set state = 'cancelled', held = 0, lease_until = null, settled_at = ?1, reason = ?3 \
         where subscription = ?2 and state = 'pending' and kind not in ('confirmation', 'digest') \
         and (lease_until is null or lease_until <= ?1)",
    )
    .bind(now.as_microsecond())
    .bind(subscription.to_string())
    .bind(PAUSED)
    .execute(connection)
    .await?;
    Ok(())
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
