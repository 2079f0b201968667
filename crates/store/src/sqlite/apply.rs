//! Applies what the policy decided, in the transaction in which it was decided.

use super::cancel::cancel_waiting;
use super::ending;
use super::enqueue::{self, RECIPIENTS, recipients};
use super::sql::json_list;
use crate::StoreError;
use jiff::Timestamp;
use qqq_core::AlertId;
use qqq_core::delivery::{
    Delivery, DeliveryId, DeliveryKind, DeliveryState, Reason, Recipient, Transition, Why,
};
use qqq_core::subscription::{Subscription, SubscriptionId};
use sqlx::SqliteConnection;

/// Has due alerts of a recipient wait that had no attempt yet: of one subscription, or of all.
pub(super) const DEFER: &str = "update deliveries indexed by deliveries_by_recipient \
     set deferred = 1, due_at = ?4, expires_at = max(expires_at, ?5) \
     where address_hash = ?1 and state = 'pending' and kind = 'alert' and attempts = 0 and due_at <= ?2 \
     and subscription = coalesce(?3, subscription)";

/// Applies transitions in their order. Answers how many deliveries are new, but for digests.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    transitions: &[Transition],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut new = 0;
    for transition in transitions {
        match transition {
            Transition::HandOut { delivery, until } => hand_out(connection, delivery, *until).await?,
            Transition::GiveBack(id) => give_back(connection, *id).await?,
            Transition::End { id, state, why } => end(connection, *id, *state, why.as_ref(), now).await?,
            Transition::Retry { id, due_at, why } => retry(connection, *id, *due_at, why).await?,
            Transition::Reschedule { id, due_at, expires_at } => {
                reschedule(connection, *id, *due_at, *expires_at).await?;
            }
            Transition::Defer { recipient, only, due_at, expires_at } => {
                sqlx::query(DEFER)
                    .bind(recipient.0.to_vec())
                    .bind(now.as_microsecond())
                    .bind(only.map(|id| id.to_string()))
                    .bind(due_at.as_microsecond())
                    .bind(expires_at.as_microsecond())
                    .execute(&mut *connection)
                    .await?;
            }
            Transition::Bundle { digest, to, expires_at, members } => {
                insert_digest(connection, *digest, to, *expires_at, now).await?;
                bundle(connection, *digest, members, now).await?;
            }
            Transition::EnqueueRetraction { alert, to } => {
                new += enqueue_retraction(connection, *alert, to, now).await?;
            }
            Transition::CancelWaiting(cancel) => cancel_waiting(connection, cancel, now).await?,
            Transition::Suppress { recipient, why } => suppress(connection, recipient, *why, now).await?,
            Transition::EndSubscription { id, status } => {
                ending::end(connection, *id, *status, now).await?;
            }
        }
    }
    Ok(new)
}

async fn hand_out(
    connection: &mut SqliteConnection,
    delivery: &Delivery,
    until: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update deliveries set attempts = ?, claims = ?, deferred = 0, lease_until = ?, subscription = ? \
         where id = ?",
    )
    .bind(delivery.attempt)
    .bind(delivery.lease.0)
    .bind(until.as_microsecond())
    .bind(delivery.subscription.id.to_string())
    .bind(delivery.id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn give_back(connection: &mut SqliteConnection, id: DeliveryId) -> Result<(), StoreError> {
    sqlx::query("update deliveries set attempts = attempts - 1, lease_until = null where id = ?")
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

async fn end(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    state: DeliveryState,
    why: Option<&Why>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update deliveries set state = ?, deferred = 0, lease_until = null, \
         settled_at = ?, reason = ?, failure = ? \
         where id = ?",
    )
    .bind(state.as_str())
    .bind(now.as_microsecond())
    .bind(why.map(|why| why.text().into_owned()))
    .bind(why.and_then(Why::kind).map(|kind| kind.to_string()))
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn retry(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    due_at: Timestamp,
    why: &Why,
) -> Result<(), StoreError> {
    sqlx::query("update deliveries set due_at = ?, lease_until = null, reason = ?, failure = ? where id = ?")
        .bind(due_at.as_microsecond())
        .bind(why.text().into_owned())
        .bind(why.kind().map(|kind| kind.to_string()))
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

async fn reschedule(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    due_at: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update deliveries set due_at = ?, lease_until = null, expires_at = max(expires_at, ?) where id = ?",
    )
    .bind(due_at.as_microsecond())
    .bind(expires_at.as_microsecond())
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_digest(
    connection: &mut SqliteConnection,
    id: DeliveryId,
    to: &Subscription,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into deliveries \
         (id, kind, subscription, channel, host, address_hash, state, created_at, expires_at, due_at) \
         values (?, 'digest', ?, ?, ?, ?, 'pending', ?, ?, ?)",
    )
    .bind(id.to_string())
    .bind(to.id.to_string())
    .bind(to.channel.carrier().as_str())
    .bind(to.channel.host())
    .bind(Recipient::of(&to.channel).0.to_vec())
    .bind(now.as_microsecond())
    .bind(expires_at.as_microsecond())
    .bind(now.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

async fn bundle(
    connection: &mut SqliteConnection,
    digest: DeliveryId,
    members: &[DeliveryId],
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update deliveries set state = 'bundled', deferred = 0, digest = ?, settled_at = ? \
         where id in (select value from json_each(?))",
    )
    .bind(digest.to_string())
    .bind(now.as_microsecond())
    .bind(json_list(members))
    .execute(connection)
    .await?;
    Ok(())
}

async fn enqueue_retraction(
    connection: &mut SqliteConnection,
    alert: AlertId,
    to: &[SubscriptionId],
    now: Timestamp,
) -> Result<u64, StoreError> {
    if to.is_empty() {
        return Ok(0);
    }
    let to = sqlx::query(RECIPIENTS).bind(json_list(to)).fetch_all(&mut *connection).await?;
    enqueue::owe_each(connection, DeliveryKind::Retraction, alert, recipients(&to)?, now).await
}

async fn suppress(
    connection: &mut SqliteConnection,
    recipient: &Recipient,
    why: Reason,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into suppressions (address_hash, reason, created_at) values (?, ?, ?) \
         on conflict (address_hash) do update set reason = excluded.reason, created_at = excluded.created_at",
    )
    .bind(recipient.0.to_vec())
    .bind(why.as_str())
    .bind(now.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}
