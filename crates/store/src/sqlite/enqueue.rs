//! How deliveries are enqueued.

use super::bulk::Bulk;
use super::rows::Columns;
use crate::StoreError;
use jiff::Timestamp;
use qqq_core::delivery::{self, Concerned, DeliveryId, DeliveryKind, expiry, suppressed_since, told};
use qqq_core::subscription::SubscriptionId;
use qqq_core::subscription::channel::Channel;
use qqq_core::{Alert, AlertId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::sync::LazyLock;

/// Whom an alert concerns.
pub(super) const CONCERNED: &str = "select id, channel, receiver, format, address_hash, symbol, paused_until \
     from subscriptions s \
     where status = 'active' and symbol in (?, '*') and metric = ? and rule = ? and active_from <= ? \
     and not exists (select 1 from suppressions x \
     where x.address_hash = s.address_hash and x.created_at > ?)";

/// To subscriptions, by their ids.
pub(super) const RECIPIENTS: &str = "select id, channel, receiver, format, address_hash from subscriptions \
     where id in (select value from json_each(?))";

/// Owes a new alert to every active subscription it concerns. Answers how many deliveries are new.
pub(super) async fn enqueue_alert(
    connection: &mut SqliteConnection,
    alert: &Alert,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let concerned = sqlx::query(CONCERNED)
        .bind(alert.symbol.as_str().to_owned())
        .bind(alert.metric.as_str())
        .bind(alert.rule.to_string())
        .bind(alert.start.unix())
        .bind(suppressed_since(now).as_microsecond())
        .fetch_all(&mut *connection)
        .await?
        .iter()
        .map(|row| {
            let mut columns = Columns::new(row, "subscriptions");
            Ok(Concerned {
                subscription: columns.parse()?,
                channel: columns.channel()?,
                recipient: delivery::Recipient(columns.bytes()?),
                scope: columns.parse()?,
                paused_until: columns.maybe_time()?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    let told = told(concerned, now).into_iter().map(|one| Recipient {
        subscription: one.subscription,
        channel: one.channel,
        address_hash: one.recipient.0.to_vec(),
    });
    owe_each(connection, DeliveryKind::Alert, alert.id, told.collect(), now).await
}

/// Owes what is to be told of an alert to each of `recipients`. Answers how many deliveries are new.
pub(super) async fn owe_each(
    connection: &mut SqliteConnection,
    kind: DeliveryKind,
    alert: AlertId,
    recipients: Vec<Recipient>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let owed: Vec<Enqueued> = recipients
        .into_iter()
        .map(|to| Enqueued {
            id: DeliveryId::of_alert(kind, alert, to.subscription),
            kind,
            to,
            alert: Some(alert),
        })
        .collect();
    enqueue(connection, &owed, now).await
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

/// A delivery to enqueue.
pub(super) struct Enqueued {
    pub(super) id: DeliveryId,
    pub(super) kind: DeliveryKind,
    pub(super) to: Recipient,
    pub(super) alert: Option<AlertId>,
}

static ENQUEUE: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "insert into deliveries \
         (id, kind, subscription, channel, host, address_hash, alert, state, \
          created_at, expires_at, due_at) values",
        11,
        "on conflict (id) do nothing",
    )
});

/// Owes deliveries, due at once. Answers how many of them were not known.
pub(super) async fn enqueue(
    connection: &mut SqliteConnection,
    owed: &[Enqueued],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut new = 0;
    for (sql, piece) in ENQUEUE.pieces(owed) {
        let query = piece.iter().fold(sqlx::query(sql), |query, one| {
            query
                .bind(one.id.to_string())
                .bind(one.kind.as_str())
                .bind(one.to.subscription.to_string())
                .bind(one.to.channel.carrier().as_str())
                .bind(one.to.channel.host())
                .bind(one.to.address_hash.clone())
                .bind(one.alert.map(|alert| alert.to_string()))
                .bind("pending")
                .bind(now.as_microsecond())
                .bind(expiry(one.kind, one.to.channel.carrier(), now).as_microsecond())
                .bind(now.as_microsecond())
        });
        new += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(new)
}
