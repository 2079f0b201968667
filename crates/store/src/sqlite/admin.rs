//! What an operator looks at and mends.

use super::ending::{end, end_all};
use super::lookup::hash_of;
use super::rows::{self, Columns, subscription_columns};
use super::sessions;
use super::sql::bounded;
use super::store::Sqlite;
use super::watching;
use crate::{
    AdminStore, DeliveryQuery, DeliveryRecord, DeliveryState, Replayed, Selection, StoreError,
    SubscriptionQuery,
};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::delivery::{DeliveryId, DeliveryKind, expiry};
use qqq_core::subscription::channel::Carrier;
use qqq_core::subscription::{Subscription, SubscriptionStatus};
use sqlx::sqlite::SqliteRow;

const ALL: &str = concat!(
    "select ",
    subscription_columns!(),
    " from subscriptions s where id > ?1 and (?4 = 0 or ended_at is null) order by id limit ?2"
);

pub(super) const OF_ADDRESS: &str = concat!(
    "select ",
    subscription_columns!(),
    " from subscriptions s where id > ?1 and address = ?3 and (?4 = 0 or ended_at is null) \
     order by id limit ?2"
);

macro_rules! newest_first {
    ($index:literal, $filters:literal) => {
        concat!(
            "select d.id, d.kind, d.state, d.alert, d.created_at, d.expires_at, d.attempts, d.settled_at, \
             d.reason, d.failure, d.digest, d.due_at, d.lease_until, ",
            subscription_columns!(),
            " from deliveries d indexed by ",
            $index,
            " join subscriptions s on s.id = d.subscription where ",
            $filters,
            "(d.created_at, d.id) < (?2, ?3) order by d.created_at desc, d.id desc limit ?4"
        )
    };
}

pub(super) const IN_STATE: &str = newest_first!("deliveries_by_state", "d.state = ?1 and ");
pub(super) const IN_STATE_TO: &str =
    newest_first!("deliveries_by_recipient", "d.state = ?1 and d.address_hash = ?5 and ");

#[async_trait]
impl AdminStore for Sqlite {
    async fn subscriptions(&self, query: &SubscriptionQuery) -> Result<Vec<Subscription>, StoreError> {
        let after = query.after.map(|id| id.to_string()).unwrap_or_default();
        let sql = if query.address.is_some() { OF_ADDRESS } else { ALL };
        let listed = sqlx::query(sql)
            .bind(after)
            .bind(bounded(query.limit))
            .bind(query.address.clone())
            .bind(query.live_only);
        listed.fetch_all(&self.readers).await?.iter().map(rows::subscription).collect()
    }

    async fn disable(&self, which: &Selection, now: Timestamp) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let status = SubscriptionStatus::Disabled;
        let ended = match which {
            Selection::One(id) => end(&mut write, *id, status, now).await?,
            Selection::Of(address) => end_all(&mut write, address, status, now).await?,
        };
        self.finish(write).await?;
        Ok(ended)
    }

    async fn erase(&self, address: &str) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        for sql in [
            "delete from deliveries where address_hash = ?",
            "delete from suppressions where address_hash = ?",
        ] {
            sqlx::query(sql).bind(hash_of(address)).execute(&mut *write).await?;
        }
        for sql in ["delete from sign_ups where address = ?"].into_iter().chain(sessions::ERASE) {
            sqlx::query(sql).bind(address.to_owned()).execute(&mut *write).await?;
        }
        let erased: Vec<bool> = sqlx::query_scalar(
            "delete from subscriptions where address = ? returning own_rule = 1 and status = 'active'",
        )
        .bind(address.to_owned())
        .fetch_all(&mut *write)
        .await?;
        watching::count(&mut write, erased.contains(&true)).await?;
        self.finish(write).await?;
        Ok(erased.len() as u64)
    }

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Vec<DeliveryRecord>, StoreError> {
        let (before, id) = match query.after {
            Some((created_at, id)) => (created_at.as_microsecond(), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let sql = if query.address.is_some() { IN_STATE_TO } else { IN_STATE };
        let listed =
            sqlx::query(sql).bind(query.state.as_str()).bind(before).bind(id).bind(bounded(query.limit));
        let listed = match &query.address {
            Some(address) => listed.bind(hash_of(address)),
            None => listed,
        };
        listed.fetch_all(&self.readers).await?.iter().map(record).collect()
    }

    async fn replay(&self, id: DeliveryId, now: Timestamp) -> Result<Replayed, StoreError> {
        let mut write = self.begin().await?;
        let row = sqlx::query(
            "select d.state, d.kind, s.channel, s.ended_at is not null and not exists (\
             select 1 from deliveries m join subscriptions o on o.id = m.subscription \
             where m.digest = d.id and o.ended_at is null) \
             from deliveries d join subscriptions s on s.id = d.subscription where d.id = ?",
        )
        .bind(id.to_string())
        .fetch_optional(&mut *write)
        .await?;
        let Some(row) = row else { return Ok(Replayed::Unknown) };
        let mut columns = Columns::new(&row, "deliveries");
        let state: DeliveryState = columns.parse()?;
        let (kind, carrier): (DeliveryKind, Carrier) = (columns.parse()?, columns.parse()?);
        if !state.may_be_replayed() {
            return Ok(Replayed::Refused(state));
        }
        if columns.take()? {
            return Ok(Replayed::Ended);
        }
        sqlx::query(
            "update deliveries set state = 'pending', due_at = ?1, expires_at = ?2, settled_at = null, \
             reason = null, failure = null \
             where id = ?3",
        )
        .bind(now.as_microsecond())
        .bind(expiry(kind, carrier, now).as_microsecond())
        .bind(id.to_string())
        .execute(&mut *write)
        .await?;
        self.finish(write).await?;
        Ok(Replayed::Enqueued)
    }
}

fn record(row: &SqliteRow) -> Result<DeliveryRecord, StoreError> {
    let mut columns = Columns::new(row, "deliveries");
    Ok(DeliveryRecord {
        id: columns.parse()?,
        kind: columns.parse()?,
        state: columns.parse()?,
        alert: columns.maybe()?,
        created_at: columns.time()?,
        expires_at: columns.time()?,
        attempts: columns.take()?,
        settled_at: columns.maybe_time()?,
        reason: columns.take()?,
        failure: columns.maybe()?,
        digest: columns.maybe()?,
        due_at: columns.time()?,
        lease_until: columns.maybe_time()?,
        subscription: columns.subscription()?,
    })
}
