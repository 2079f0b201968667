//! Subscriptions: asked for, confirmed, ended.

use super::bars::bounded;
use super::rows::{self, Columns, subscription_columns};
use super::{Sqlite, limits as in_force, outbox, sign_up};
use crate::{
    Amended, Choice, Confirmable, Confirmed, SignUp, SignUpLimits, SignedUp, StoreError, SubscriptionChange,
    SubscriptionStore, TakenIn, Watched,
};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::channel::Channel;
use qqq_core::confirmation::{MOST_CONFIRMED, has_lapsed, shown};
use qqq_core::limits::SubscriptionLimits;
use qqq_core::subscription::{self, Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::token::{Purpose, TokenHash};
use qqq_core::{FeedStatus, Metric, Minute, RuleName, Symbol};
use sha2::{Digest as _, Sha256};
use sqlx::SqliteConnection;
use std::sync::{Arc, PoisonError};

/// What is watched by rules of subscribers' own.
pub(super) const WATCHED: &str = "select distinct symbol, metric, rule from subscriptions \
     where status = 'active' and rule <> 'spike'";

#[async_trait]
impl SubscriptionStore for Sqlite {
    fn hold_to(&self, limits: SubscriptionLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    async fn subscribe(
        &self,
        sign_up: &SignUp,
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError> {
        self.note_sign_up(sign_up, limits, now).await
    }

    async fn take_in(&self, limits: SignUpLimits, now: Timestamp) -> Result<TakenIn, StoreError> {
        self.take_in_sign_ups(limits, now).await
    }

    async fn subscription_of(
        &self,
        purpose: Purpose,
        token: &TokenHash,
    ) -> Result<Option<Subscription>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        find(&mut connection, purpose, token).await
    }

    async fn confirmable(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Confirmable>, StoreError> {
        let mut read = self.readers.begin().await?;
        confirmable(&mut read, token, now).await
    }

    async fn confirm(
        &self,
        token: &TokenHash,
        choice: &Choice,
        now: Timestamp,
    ) -> Result<Confirmed, StoreError> {
        let mut write = self.begin().await?;
        let Some(link) = confirmable(&mut write, token, now).await? else { return Ok(Confirmed::Unknown) };
        if link.asked.is_empty() {
            return Ok(link.without_anything_asked());
        }
        let Confirmable { of, asked, .. } = link;
        let held_to = self.limits();
        let (mut activated, mut declined, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for one in asked {
            match choice.about(one.id) {
                Some(true) => {
                    let (key, wish) = (one.channel.key(), (one.symbol, one.metric, one.rule));
                    if let Err(limit) =
                        in_force::admit(&mut write, &held_to, &key, one.id, wish, false).await?
                    {
                        refused.push((one, limit));
                        continue;
                    }
                    let active_from = Some(activate(&mut write, one.id, now).await?);
                    activated.push(Subscription { status: SubscriptionStatus::Active, active_from, ..one });
                }
                Some(false) => {
                    end(&mut write, one.id, SubscriptionStatus::Unsubscribed, now).await?;
                    declined.push(Subscription { status: SubscriptionStatus::Unsubscribed, ..one });
                }
                None => {}
            }
        }
        sign_up::answered(&mut write, &of.channel, &activated, now).await?;
        self.finish(write).await?;
        Ok(Confirmed::Settled { activated, declined, refused })
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
        if ended > 0 || all {
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
        let mut changed = change.applied_to(&found, now);
        let (symbol, metric) = (changed.symbol, changed.metric);
        let same = live(&mut write, &changed.channel, symbol, metric, changed.rule).await?;
        if same.is_some_and(|(id, _)| id != changed.id) {
            return Ok(Amended::Conflict);
        }
        if changed == found {
            return Ok(Amended::Changed(found));
        }
        if changed.rule != found.rule && changed.status == SubscriptionStatus::Active {
            let (key, wish) = (changed.channel.key(), (symbol, metric, changed.rule));
            in_force::admit(&mut write, &self.limits(), &key, changed.id, wish, true).await??;
            changed.active_from = Some(first_minute(&mut write, now).await?);
        }
        sqlx::query(
            "update subscriptions set rule = ?, active_from = ?, quiet = ?, paused_until = ?, secret_generation = ?, \
             secret_rotated_at = ? where id = ?",
        )
        .bind(changed.rule.to_string())
        .bind(changed.active_from.map(Minute::index))
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
        outbox::cancel_owed(connection, id, status, now).await?;
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
    // What was asked before and not taken in yet ends with the rest.
    sqlx::query("delete from sign_ups where address = ?")
        .bind(address.to_owned())
        .execute(&mut *connection)
        .await?;
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
pub(super) async fn live(
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

/// Makes a pending subscription active and answers from which minute on.
pub(super) async fn activate(
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

/// From which minute on what becomes active now is told of bars.
async fn first_minute(connection: &mut SqliteConnection, now: Timestamp) -> Result<Minute, StoreError> {
    let row = sqlx::query("select mode, clock from feed_status").fetch_optional(connection).await?;
    let feed = row.map(|row| {
        let mut columns = Columns::new(&row, "feed_status");
        Ok::<_, StoreError>((columns.parse()?, columns.time()?))
    });
    Ok(subscription::first_minute(feed.transpose()?, now))
}

/// Subscriptions that became active before any feed was heard of begin by the wall clock. Where the first feed
/// turns out to be a tape, they begin with its clock instead.
pub(super) async fn begin_with_tape(
    connection: &mut SqliteConnection,
    status: &FeedStatus,
) -> Result<(), StoreError> {
    let Some(first) = subscription::first_minute_of_tape(status.mode, status.clock) else { return Ok(()) };
    let heard_of_one: bool =
        sqlx::query_scalar("select exists (select 1 from feed_status)").fetch_one(&mut *connection).await?;
    if !heard_of_one {
        sqlx::query("update subscriptions set active_from = ? where status = 'active'")
            .bind(first.index())
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// What a confirmation link opens.
async fn confirmable(
    connection: &mut SqliteConnection,
    token: &TokenHash,
    now: Timestamp,
) -> Result<Option<Confirmable>, StoreError> {
    let Some(of) = find(connection, Purpose::Confirm, token).await? else { return Ok(None) };
    let row = sqlx::query("select confirm_by from subscriptions where id = ?")
        .bind(of.id.to_string())
        .fetch_one(&mut *connection)
        .await?;
    let lapsed = has_lapsed(Columns::new(&row, "subscriptions").maybe_time()?, now);
    if lapsed {
        return Ok(Some(Confirmable { of, lapsed, asked: Vec::new() }));
    }
    let pending: Vec<Subscription> = sqlx::query(sign_up::PENDING_OF)
        .bind(of.channel.key())
        .bind(now.as_microsecond())
        .bind(bounded(MOST_CONFIRMED))
        .fetch_all(connection)
        .await?
        .iter()
        .map(rows::subscription)
        .collect::<Result<_, _>>()?;
    let asked = shown(&of, pending);
    Ok(Some(Confirmable { of, lapsed, asked }))
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
pub(super) fn address_hash(channel: &Channel) -> Vec<u8> {
    hash_of(&channel.key())
}

/// The hash of a recipient's key.
pub(super) fn hash_of(address: &str) -> Vec<u8> {
    Sha256::digest(address.as_bytes()).to_vec()
}
