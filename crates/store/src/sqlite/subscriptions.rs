//! Subscriptions: asked for, confirmed, ended.

use super::rows::{self, Columns, subscription_columns};
use super::{Sqlite, outbox};
use crate::{
    Amended, Confirmed, SignUp, SignUpLimits, StoreError, SubscriptionChange, SubscriptionStore, Watched,
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qqq_core::channel::{Channel, ChannelKind};
use qqq_core::delivery::{DeliveryId, DeliveryKind};
use qqq_core::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::token::{Purpose, TokenHash};
use qqq_core::{FeedMode, FeedStatus, Metric, Minute, RuleName, Symbol};
use sha2::{Digest as _, Sha256};
use sqlx::SqliteConnection;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How long a confirmation link works.
const CONFIRM_WITHIN: SignedDuration = DAY;

/// What is watched by rules of subscribers' own.
pub(super) const WATCHED: &str = "select distinct symbol, metric, rule from subscriptions \
     where status = 'active' and rule <> 'spike'";

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
        let SignUp { channel, symbol, metric, rule, .. } = sign_up;
        let (id, active) = match live(&mut write, channel, *symbol, *metric, *rule).await? {
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
        let may = may_write_to(&mut write, &sign_up.channel, limits, now).await?;
        if !sign_up.confirm && !active {
            activate(&mut write, id, now).await?;
        }
        let has_to_know = sign_up.confirm || sign_up.channel.kind() == ChannelKind::Webhook;
        let owed = has_to_know && may && !active;
        if owed {
            owe_confirmation(&mut write, id, &sign_up.channel, now).await?;
        }
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
            SubscriptionStatus::Unsubscribed | SubscriptionStatus::Disabled => {
                return Ok(Confirmed::Ended(found));
            }
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
        all: bool,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError> {
        let mut write = self.begin().await?;
        let Some(found) = find(&mut write, Purpose::Unsubscribe, token).await? else { return Ok(None) };
        let ended = if all {
            end_all(&mut write, &found.channel.key(), SubscriptionStatus::Unsubscribed, now).await?
        } else {
            end(&mut write, found.id, SubscriptionStatus::Unsubscribed, now).await?
        };
        if ended > 0 {
            self.finish(write).await?;
        }
        let status = if found.status.has_ended() { found.status } else { SubscriptionStatus::Unsubscribed };
        Ok(Some(Subscription { status, ..found }))
    }

    async fn amend(
        &self,
        token: &TokenHash,
        change: &SubscriptionChange,
        now: Timestamp,
    ) -> Result<Amended, StoreError> {
        let mut write = self.begin().await?;
        let Some(found) = find(&mut write, Purpose::Manage, token).await? else {
            return Ok(Amended::Unknown);
        };
        if found.status.has_ended() {
            return Ok(Amended::Ended(found));
        }
        let changed = amended(&found, change, now);
        let (symbol, metric) = (changed.symbol, changed.metric);
        let same = live(&mut write, &changed.channel, symbol, metric, changed.rule).await?;
        if same.is_some_and(|(id, _)| id != changed.id) {
            return Ok(Amended::Conflict);
        }
        if changed == found {
            return Ok(Amended::Changed(found));
        }
        sqlx::query(
            "update subscriptions set rule = ?, quiet = ?, paused_until = ?, secret_generation = ?, \
             secret_rotated_at = ? where id = ?",
        )
        .bind(changed.rule.to_string())
        .bind(changed.quiet.as_ref().map(|quiet| quiet.to_string()))
        .bind(changed.paused_until.map(|until| until.as_microsecond()))
        .bind(changed.secret_generation)
        .bind(changed.secret_rotated_at.map(|at| at.as_microsecond()))
        .bind(changed.id.to_string())
        .execute(&mut *write)
        .await?;
        if changed.is_paused(now) {
            outbox::cancel_news(&mut write, changed.id, now).await?;
        }
        if changed.quiet != found.quiet {
            outbox::judge_anew(&mut write, changed.id, now).await?;
        }
        self.finish(write).await?;
        Ok(Amended::Changed(changed))
    }

    async fn watched(&self) -> Result<Watched, StoreError> {
        let mut read = self.readers.begin().await?;
        let version = watch_version(&mut read).await?;
        let rows = sqlx::query(WATCHED).fetch_all(&mut *read).await?;
        let watches = rows.iter().map(|row| {
            let mut columns = Columns::new(row, "subscriptions");
            Ok((columns.parse()?, columns.parse()?, columns.parse()?))
        });
        Ok(Watched { version, watches: watches.collect::<Result<_, StoreError>>()? })
    }

    async fn watch_version(&self) -> Result<u64, StoreError> {
        let mut connection = self.readers.acquire().await?;
        watch_version(&mut connection).await
    }
}

async fn watch_version(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let row = sqlx::query("select version from watch_version").fetch_one(connection).await?;
    Columns::new(&row, "watch_version").take()
}

/// A subscription as it is after a change. Times are kept in microseconds.
fn amended(before: &Subscription, change: &SubscriptionChange, now: Timestamp) -> Subscription {
    let mut after = before.clone();
    if let Some(rule) = change.rule {
        after.rule = rule;
    }
    if let Some(quiet) = &change.quiet {
        after.quiet.clone_from(quiet);
    }
    if let Some(until) = change.paused_until {
        after.paused_until = until.map(as_kept);
    }
    if change.rotate_secret {
        after.secret_generation += 1;
        after.secret_rotated_at = Some(as_kept(now));
    }
    after
}

/// A time as it is read back: whole microseconds, but for the last moment there is.
fn as_kept(at: Timestamp) -> Timestamp {
    match Timestamp::from_microsecond(at.as_microsecond()) {
        Ok(whole) if at.as_microsecond() < Timestamp::MAX.as_microsecond() => whole,
        _ => Timestamp::MAX,
    }
}

/// Ends a subscription that has not ended, and cancels what is owed to it and not under way. Answers how many have ended.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    id: SubscriptionId,
    status: SubscriptionStatus,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let ended =
        sqlx::query("update subscriptions set status = ?, ended_at = ? where id = ? and ended_at is null")
            .bind(status.as_str())
            .bind(now.as_microsecond())
            .bind(id.to_string())
            .execute(&mut *connection)
            .await?;
    if ended.rows_affected() > 0 {
        outbox::cancel_owed(connection, id, status.as_str(), now).await?;
    }
    Ok(ended.rows_affected())
}

/// Ends all subscriptions of a recipient that have not ended. Answers how many.
pub(super) async fn end_all(
    connection: &mut SqliteConnection,
    address: &str,
    status: SubscriptionStatus,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let live: Vec<String> =
        sqlx::query_scalar("select id from subscriptions where address = ? and ended_at is null")
            .bind(address.to_owned())
            .fetch_all(&mut *connection)
            .await?;
    for id in &live {
        let id = id.parse().map_err(|error: <SubscriptionId as std::str::FromStr>::Err| {
            StoreError::Corrupt { table: "subscriptions", reason: error.to_string() }
        })?;
        end(connection, id, status, now).await?;
    }
    Ok(live.len() as u64)
}

/// The subscription of the same wish that has not ended.
async fn live(
    connection: &mut SqliteConnection,
    channel: &Channel,
    symbol: Symbol,
    metric: Metric,
    rule: RuleName,
) -> Result<Option<(SubscriptionId, SubscriptionStatus)>, StoreError> {
    let row = sqlx::query(
        "select id, status from subscriptions \
         where address = ? and symbol = ? and metric = ? and rule = ? and ended_at is null",
    )
    .bind(channel.key())
    .bind(symbol.as_str().to_owned())
    .bind(metric.as_str())
    .bind(rule.to_string())
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
    let (receiver, format) = match &sign_up.channel {
        Channel::Email(address) => (address.expose(), None),
        Channel::Webhook(webhook) => (webhook.url.expose(), Some(webhook.format.as_str())),
    };
    sqlx::query(
        "insert into subscriptions (id, channel, receiver, format, address, address_hash, mailbox, symbol, metric, \
         rule, quiet, status, created_at, confirm_by, nonce, confirm_hash, unsubscribe_hash, manage_hash) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)",
    )
    .bind(sign_up.id.to_string())
    .bind(sign_up.channel.kind().as_str())
    .bind(receiver.to_owned())
    .bind(format)
    .bind(sign_up.channel.key())
    .bind(address_hash(&sign_up.channel))
    .bind(sign_up.channel.throttle_key())
    .bind(sign_up.symbol.as_str().to_owned())
    .bind(sign_up.metric.as_str())
    .bind(sign_up.rule.to_string())
    .bind(sign_up.quiet.as_ref().map(|quiet| quiet.to_string()))
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

/// Whether one more confirmation may go to a recipient. Every one ever owed to its receiver counts, whatever became of
/// it and however the address was tagged.
async fn may_write_to(
    connection: &mut SqliteConnection,
    channel: &Channel,
    limits: SignUpLimits,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let suppressed: bool = sqlx::query_scalar(
        "select exists (select 1 from suppressions where address_hash = ? and created_at > ?)",
    )
    .bind(address_hash(channel))
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
    .bind(channel.throttle_key())
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

/// Owes a confirmation. Each has an id of its own: a later one is no repeat of an earlier.
async fn owe_confirmation(
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
    let owed = outbox::Owed {
        id: DeliveryId::of_confirmation(id, count),
        kind: DeliveryKind::Confirmation,
        to: outbox::Recipient {
            subscription: id,
            channel: channel.kind(),
            address_hash: address_hash(channel),
        },
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

/// What deliveries and suppressions know a recipient by.
fn address_hash(channel: &Channel) -> Vec<u8> {
    hash_of(&channel.key())
}

/// The hash of a recipient's key.
pub(super) fn hash_of(address: &str) -> Vec<u8> {
    Sha256::digest(address.as_bytes()).to_vec()
}

/// `at` moved by `by`, held to the times there are.
pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    let edge = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(by).unwrap_or(edge)
}
