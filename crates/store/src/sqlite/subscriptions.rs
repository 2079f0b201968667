//! Subscriptions: asked for, confirmed, ended.

use super::rows::{self, Columns, subscription_columns};
use super::{Sqlite, outbox};
use crate::{Confirmed, SignUp, SignUpLimits, StoreError, SubscriptionStore};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qqq_core::delivery::{DeliveryId, DeliveryKind};
use qqq_core::subscription::{EmailAddress, Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::token::{Purpose, TokenHash};
use qqq_core::{FeedMode, FeedStatus, Minute};
use sha2::{Digest as _, Sha256};
use sqlx::SqliteConnection;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How long a confirmation link works.
const CONFIRM_WITHIN: SignedDuration = DAY;

pub(super) const CONFIRMATIONS_SINCE: &str =
    "select count(*) from deliveries where kind = 'confirmation' and created_at > ?";

#[async_trait]
impl SubscriptionStore for Sqlite {
    async fn subscribe(
        &self,
        sign_up: &SignUp,
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let (id, active) = match live(&mut write, sign_up).await? {
            Some((id, status)) => (id, status == SubscriptionStatus::Active),
            None => {
                insert(&mut write, sign_up, now).await?;
                (sign_up.id, false)
            }
        };
        // An active one does not need it. But how long the answer takes must not tell who subscribes, and the
        // commit of a write takes longer than all else. The count makes it one: what stays the same is not
        // written.
        sqlx::query("update subscriptions set asked = asked + 1, confirm_by = ? where id = ?")
            .bind(later(now, CONFIRM_WITHIN).as_microsecond())
            .bind(id.to_string())
            .execute(&mut *write)
            .await?;
        let owed = if sign_up.confirm {
            let owed = may_write_to(&mut write, &sign_up.email, limits, now).await? && !active;
            if owed {
                owe_confirmation(&mut write, id, now).await?;
            }
            owed
        } else {
            if !active {
                activate(&mut write, id, now).await?;
            }
            false
        };
        self.finish(write).await?;
        Ok(owed)
    }

    async fn subscription_of(
        &self,
        purpose: Purpose,
        token: &TokenHash,
    ) -> Result<Option<Subscription>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        find(&mut connection, purpose, token).await
    }

    async fn confirm(&self, token: &TokenHash, now: Timestamp) -> Result<Confirmed, StoreError> {
        let mut write = self.begin().await?;
        let Some(found) = find(&mut write, Purpose::Confirm, token).await? else {
            return Ok(Confirmed::Unknown);
        };
        match found.status {
            SubscriptionStatus::Unsubscribed => return Ok(Confirmed::Ended(found)),
            SubscriptionStatus::Active => return Ok(Confirmed::AlreadyActive(found)),
            SubscriptionStatus::Pending => {}
        }
        let confirm_by: i64 = sqlx::query_scalar("select confirm_by from subscriptions where id = ?")
            .bind(found.id.to_string())
            .fetch_one(&mut *write)
            .await?;
        if now.as_microsecond() >= confirm_by {
            return Ok(Confirmed::Expired(found));
        }
        let active_from = activate(&mut write, found.id, now).await?;
        self.finish(write).await?;
        Ok(Confirmed::Activated(Subscription {
            status: SubscriptionStatus::Active,
            active_from: Some(active_from),
            ..found
        }))
    }

    async fn unsubscribe(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError> {
        let mut write = self.begin().await?;
        let Some(found) = find(&mut write, Purpose::Unsubscribe, token).await? else { return Ok(None) };
        if found.status == SubscriptionStatus::Unsubscribed {
            return Ok(Some(found));
        }
        sqlx::query("update subscriptions set status = 'unsubscribed', ended_at = ? where id = ?")
            .bind(now.as_microsecond())
            .bind(found.id.to_string())
            .execute(&mut *write)
            .await?;
        outbox::cancel_owed(&mut write, found.id, now).await?;
        self.finish(write).await?;
        Ok(Some(Subscription { status: SubscriptionStatus::Unsubscribed, ..found }))
    }
}

/// The pending or active subscription of the same address, symbol and metric.
async fn live(
    connection: &mut SqliteConnection,
    sign_up: &SignUp,
) -> Result<Option<(SubscriptionId, SubscriptionStatus)>, StoreError> {
    let row = sqlx::query(
        "select id, status from subscriptions \
         where address = ? and symbol = ? and metric = ? and status <> 'unsubscribed'",
    )
    .bind(sign_up.email.key())
    .bind(sign_up.symbol.as_str().to_owned())
    .bind(sign_up.metric.as_str())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut columns = Columns::new(&row, "subscriptions");
    Ok(Some((columns.parse()?, columns.parse()?)))
}

/// Keeps a sign-up, pending.
async fn insert(
    connection: &mut SqliteConnection,
    sign_up: &SignUp,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into subscriptions (id, email, address, address_hash, mailbox, symbol, metric, status, \
         created_at, confirm_by, nonce, confirm_hash, unsubscribe_hash, manage_hash) \
         values (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)",
    )
    .bind(sign_up.id.to_string())
    .bind(sign_up.email.expose().to_owned())
    .bind(sign_up.email.key())
    .bind(address_hash(&sign_up.email))
    .bind(sign_up.email.mailbox_key())
    .bind(sign_up.symbol.as_str().to_owned())
    .bind(sign_up.metric.as_str())
    .bind(now.as_microsecond())
    .bind(later(now, CONFIRM_WITHIN).as_microsecond())
    .bind(sign_up.nonce.to_vec())
    .bind(sign_up.hashes.confirm.as_bytes().to_vec())
    .bind(sign_up.hashes.unsubscribe.as_bytes().to_vec())
    .bind(sign_up.hashes.manage.as_bytes().to_vec())
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes a pending subscription active and answers from which minute on.
async fn activate(
    connection: &mut SqliteConnection,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<Minute, StoreError> {
    let active_from = first_minute(connection, now).await?;
    sqlx::query("update subscriptions set status = 'active', active_from = ? where id = ?")
        .bind(active_from.index())
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(active_from)
}

/// The first minute whose bar was not yet known at `now`: by the wall clock on a live feed, by the feed's own
/// clock, which is the end of its newest bar, on any other.
async fn first_minute(connection: &mut SqliteConnection, now: Timestamp) -> Result<Minute, StoreError> {
    if let Some(row) = sqlx::query("select mode, clock from feed_status").fetch_optional(connection).await? {
        let mut columns = Columns::new(&row, "feed_status");
        if columns.parse::<FeedMode>()? != FeedMode::Live {
            return Ok(Minute::containing(columns.time()?));
        }
    }
    Ok(Minute::starting(now).unwrap_or_else(|| Minute::containing(later(now, MINUTE))))
}

/// Subscriptions that became active before any feed was heard of begin by the wall clock. Where the first feed
/// turns out to be a tape, they begin with its clock instead, which may be years away.
pub(super) async fn begin_with_tape(
    connection: &mut SqliteConnection,
    status: &FeedStatus,
) -> Result<(), StoreError> {
    if status.mode == FeedMode::Live {
        return Ok(());
    }
    let heard_of_one: bool =
        sqlx::query_scalar("select exists (select 1 from feed_status)").fetch_one(&mut *connection).await?;
    if !heard_of_one {
        sqlx::query("update subscriptions set active_from = ? where status = 'active'")
            .bind(Minute::containing(status.clock).index())
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Whether one more confirmation mail may go to an address. Every one ever owed to its mailbox counts, whatever
/// became of it and however the address was tagged.
async fn may_write_to(
    connection: &mut SqliteConnection,
    email: &EmailAddress,
    limits: SignUpLimits,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let suppressed: bool = sqlx::query_scalar(
        "select exists (select 1 from suppressions where address_hash = ? and created_at > ?)",
    )
    .bind(address_hash(email))
    .bind(outbox::suppressed_since(now))
    .fetch_one(&mut *connection)
    .await?;
    let to_all: i64 = sqlx::query_scalar(CONFIRMATIONS_SINCE)
        .bind(later(now, -HOUR).as_microsecond())
        .fetch_one(&mut *connection)
        .await?;
    let row = sqlx::query(
        "select count(*), coalesce(max(d.created_at) > ?, false) from subscriptions s \
         join deliveries d on d.subscription = s.id and d.kind = 'confirmation' \
         where s.mailbox = ? and d.created_at > ?",
    )
    .bind(later(now, SignedDuration::from_secs(-limits.address_gap_seconds)).as_microsecond())
    .bind(email.mailbox_key())
    .bind(later(now, -DAY).as_microsecond())
    .fetch_one(connection)
    .await?;
    let mut columns = Columns::new(&row, "deliveries");
    let to_this: i64 = columns.take()?;
    let just_now: bool = columns.take()?;
    Ok(!suppressed
        && !just_now
        && to_this < i64::from(limits.address_per_day)
        && to_all < i64::from(limits.total_per_hour))
}

/// Owes a confirmation mail. Each has an id of its own: a later one is no repeat of an earlier.
async fn owe_confirmation(
    connection: &mut SqliteConnection,
    id: SubscriptionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let count: u32 = sqlx::query_scalar(
        "update subscriptions set confirmations = confirmations + 1 where id = ? returning confirmations",
    )
    .bind(id.to_string())
    .fetch_one(&mut *connection)
    .await?;
    let owed = outbox::Owed {
        id: DeliveryId::of_confirmation(id, count),
        kind: DeliveryKind::Confirmation,
        subscription: id,
        alert: None,
    };
    outbox::owe(connection, &[owed], now).await?;
    Ok(())
}

async fn find(
    connection: &mut SqliteConnection,
    purpose: Purpose,
    token: &TokenHash,
) -> Result<Option<Subscription>, StoreError> {
    let by = match purpose {
        Purpose::Confirm => {
            concat!("select ", subscription_columns!(), " from subscriptions s where s.confirm_hash = ?")
        }
        Purpose::Unsubscribe => {
            concat!("select ", subscription_columns!(), " from subscriptions s where s.unsubscribe_hash = ?")
        }
        Purpose::Manage => {
            concat!("select ", subscription_columns!(), " from subscriptions s where s.manage_hash = ?")
        }
    };
    sqlx::query(by)
        .bind(token.as_bytes().to_vec())
        .fetch_optional(connection)
        .await?
        .map(|row| rows::subscription(&row))
        .transpose()
}

/// What the list of suppressed addresses knows an address by.
fn address_hash(email: &EmailAddress) -> Vec<u8> {
    Sha256::digest(email.key().as_bytes()).to_vec()
}

/// `at` moved by `by`, held to the times there are.
pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    let edge = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(by).unwrap_or(edge)
}
