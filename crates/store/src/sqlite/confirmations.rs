//! The messages that ask to confirm, sent off in their turn.

use super::enqueue::{Enqueued, Recipient, enqueue};
use super::lookup::address_hash;
use super::rows::{self, Columns, subscription_columns};
use super::sql::bounded;
use crate::StoreError;
use jiff::Timestamp;
use qqq_core::delivery::{DeliveryId, DeliveryKind};
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::confirmation::{
    MOST_CONFIRMED, confirm_by, has_secret_to_hear, is_about_all, shown,
};
use qqq_core::subscription::mailbox::Destination;
use qqq_core::subscription::signup::{SignUpLimits, Throttle, Turn};
use qqq_core::subscription::{Subscription, SubscriptionId};
use sqlx::SqliteConnection;
use std::collections::VecDeque;

/// Waiting messages looked at in one round: so many of the oldest, and of the newest.
const MOST_LOOKED_AT: i64 = 50;

/// Rounds of one transaction: those whose mailbox or domain has to wait give way to others.
const MOST_ROUNDS: usize = 4;

/// What may have its turn: the oldest and the newest.
pub(super) const DUE: &str = concat!(
    "select w.place, w.address, w.asked_at, s.confirmations, ",
    subscription_columns!(),
    " from (select place from \
     (select place from confirmations_waiting where not_before <= ?1 order by place limit ?2) \
     union select place from \
     (select place from confirmations_waiting where not_before <= ?1 order by place desc limit ?2)) due \
     join confirmations_waiting w on w.place = due.place join subscriptions s on s.id = w.subscription \
     order by w.place"
);

/// When messages that ask to confirm were enqueued, and to whom.
pub(super) const SENT_SINCE: &str = "select d.created_at, s.channel, s.receiver, s.format from deliveries d \
     join subscriptions s on s.id = d.subscription \
     where d.kind = 'confirmation' and d.created_at > ? order by d.created_at";

/// When such messages by one throttle key were enqueued, whatever became of them and however the address was
/// spelt.
pub(super) const SENT_TO: &str = "select d.created_at from subscriptions s \
     join deliveries d on d.subscription = s.id and d.kind = 'confirmation' \
     where s.throttle_key = ? and d.created_at > ? order by d.created_at";

/// What is pending of a receiver, first what was asked for at a moment, then the newest.
pub(super) const PENDING_OF: &str = concat!(
    "select ",
    subscription_columns!(),
    " from subscriptions s where s.address = ? and s.status = 'pending' and s.confirm_by > ? \
     order by s.created_at = ? desc, s.created_at desc, s.id desc limit ?"
);

/// A message that waits: for whom, since when, and the subscription it began to wait for.
struct InLine {
    place: i64,
    address: String,
    asked_at: Timestamp,
    confirmations: u32,
    subscription: Subscription,
}

/// Makes deliveries of the messages whose turn it is. Answers how many.
pub(super) async fn send_off(
    connection: &mut SqliteConnection,
    limits: SignUpLimits,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut throttle = Throttle::new(limits, sent_lately(connection, now).await?, now);
    let mut sent = 0;
    for _ in 0..MOST_ROUNDS {
        if !throttle.has_room() {
            break;
        }
        let due = due(connection, now).await?;
        if due.is_empty() {
            break;
        }
        for waiting in throttle.in_turn(due) {
            let Some(subject) = subject(connection, &waiting).await? else {
                leave(connection, waiting.place).await?;
                continue;
            };
            let to = subject.channel.destination();
            let before = sent_to(connection, &to, now).await?;
            match throttle.turn(&to, &before) {
                Turn::Now => {
                    leave(connection, waiting.place).await?;
                    renew_links(connection, &waiting, now).await?;
                    owe_confirmation(connection, subject.id, &subject.channel, now).await?;
                    sent += 1;
                }
                Turn::NotBefore(at) => reschedule(connection, waiting.place, at).await?,
                Turn::Later => return Ok(sent),
            }
        }
    }
    Ok(sent)
}

async fn sent_lately(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<(Timestamp, String)>, StoreError> {
    let rows =
        sqlx::query(SENT_SINCE).bind(Throttle::since(now).as_microsecond()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "deliveries");
            Ok((columns.time()?, columns.channel()?.destination().domain))
        })
        .collect()
}

async fn sent_to(
    connection: &mut SqliteConnection,
    to: &Destination,
    now: Timestamp,
) -> Result<Vec<Timestamp>, StoreError> {
    let rows = sqlx::query(SENT_TO)
        .bind(to.mailbox.clone())
        .bind(Throttle::mailbox_since(now).as_microsecond())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Columns::new(row, "deliveries").time()).collect()
}

async fn due(connection: &mut SqliteConnection, now: Timestamp) -> Result<VecDeque<InLine>, StoreError> {
    let rows = sqlx::query(DUE).bind(now.as_microsecond()).bind(MOST_LOOKED_AT).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row, "confirmations_waiting");
            Ok(InLine {
                place: columns.take()?,
                address: columns.take()?,
                asked_at: columns.time()?,
                confirmations: columns.take()?,
                subscription: columns.subscription()?,
            })
        })
        .collect()
}

/// What a message is about: by mail the newest that is pending there, whose page shows the others as well; by
/// webhook the subscription itself, also once it is active, where it has not been told its secret. `None`
/// where there is nothing to tell any more.
async fn subject(
    connection: &mut SqliteConnection,
    waiting: &InLine,
) -> Result<Option<Subscription>, StoreError> {
    let Subscription { channel, status, .. } = &waiting.subscription;
    if is_about_all(channel.kind()) {
        let row = sqlx::query(PENDING_OF)
            .bind(waiting.address.clone())
            .bind(waiting.asked_at.as_microsecond())
            .bind(None::<i64>)
            .bind(1_i64)
            .fetch_optional(connection)
            .await?;
        return row.map(|row| rows::subscription(&row)).transpose();
    }
    let tells = has_secret_to_hear(*status, waiting.confirmations);
    Ok(tells.then(|| waiting.subscription.clone()))
}

/// What a link shows that was made for a subscription.
pub(super) async fn asked_with(
    connection: &mut SqliteConnection,
    of: &Subscription,
    now: Timestamp,
) -> Result<Vec<Subscription>, StoreError> {
    let pending: Vec<Subscription> = sqlx::query(PENDING_OF)
        .bind(of.channel.key())
        .bind(now.as_microsecond())
        .bind(of.created_at.as_microsecond())
        .bind(bounded(MOST_CONFIRMED))
        .fetch_all(connection)
        .await?
        .iter()
        .map(rows::subscription)
        .collect::<Result<_, _>>()?;
    Ok(shown(of, pending))
}

async fn leave(connection: &mut SqliteConnection, place: i64) -> Result<(), StoreError> {
    sqlx::query("delete from confirmations_waiting where place = ?").bind(place).execute(connection).await?;
    Ok(())
}

async fn reschedule(connection: &mut SqliteConnection, place: i64, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query("update confirmations_waiting set not_before = ? where place = ?")
        .bind(at.as_microsecond())
        .bind(place)
        .execute(connection)
        .await?;
    Ok(())
}

/// A link is good for its time from when the message goes out, for all that was pending when it began to
/// wait.
async fn renew_links(
    connection: &mut SqliteConnection,
    waiting: &InLine,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update subscriptions set confirm_by = max(confirm_by, ?) \
         where address = ? and status = 'pending' and confirm_by > ?",
    )
    .bind(confirm_by(now).as_microsecond())
    .bind(waiting.address.clone())
    .bind(waiting.asked_at.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

/// Owes a confirmation. Each has an id of its own: a later one is no repeat of an earlier.
pub(super) async fn owe_confirmation(
    connection: &mut SqliteConnection,
    id: SubscriptionId,
    channel: &Channel,
    now: Timestamp,
) -> Result<(), StoreError> {
    let count: u32 = sqlx::query_scalar(
        "update subscriptions set confirmations = confirmations + 1 where id = ? returning confirmations",
    )
    .bind(id.to_string())
    .fetch_one(&mut *connection)
    .await?;
    let owed = Enqueued {
        id: DeliveryId::of_confirmation(id, count),
        kind: DeliveryKind::Confirmation,
        to: Recipient { subscription: id, channel: channel.clone(), address_hash: address_hash(channel) },
        alert: None,
    };
    enqueue(connection, &[owed], now).await?;
    Ok(())
}

/// After something was confirmed or declined: a message that waits for a mail address of which nothing is
/// pending any more has nothing to ask. A webhook that is active now is told its secret at once, if it was
/// not.
pub(super) async fn answered(
    connection: &mut SqliteConnection,
    channel: &Channel,
    activated: &[Subscription],
    now: Timestamp,
) -> Result<(), StoreError> {
    if is_about_all(channel.kind()) {
        sqlx::query(
            "delete from confirmations_waiting where address = ?1 and not exists (\
             select 1 from subscriptions where address = ?1 and status = 'pending')",
        )
        .bind(channel.key())
        .execute(connection)
        .await?;
        return Ok(());
    }
    for one in activated {
        let messages: u32 = sqlx::query_scalar("select confirmations from subscriptions where id = ?")
            .bind(one.id.to_string())
            .fetch_one(&mut *connection)
            .await?;
        if has_secret_to_hear(one.status, messages) {
            owe_confirmation(connection, one.id, &one.channel, now).await?;
        }
        sqlx::query("delete from confirmations_waiting where subscription = ?")
            .bind(one.id.to_string())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
