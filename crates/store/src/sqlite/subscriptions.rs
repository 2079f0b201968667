//! Subscriptions: asked for, confirmed, ended.

use super::activation::{activate, first_start};
use super::cancel::{cancel_news, judge_anew};
use super::confirmations::{self, asked_with};
use super::ending::{end, end_all};
use super::limits as in_force;
use super::lookup::{find, live};
use super::rows::{self, Columns, subscription_columns};
use super::store::Sqlite;
use super::watching;
use crate::{
    Amended, Choice, Confirmable, Confirmed, SignUp, SignUpLimits, SignedUp, StoreError, SubscriptionChange,
    SubscriptionStore, TakenIn, Watched,
};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::Second;
use qqq_core::subscription::confirmation::has_lapsed;
use qqq_core::subscription::limits::SubscriptionLimits;
use qqq_core::subscription::token::{Purpose, TokenHash};
use qqq_core::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use sqlx::SqliteConnection;
use std::sync::{Arc, PoisonError};

pub(super) const ACTIVE_OF: &str = concat!(
    "select ",
    subscription_columns!(),
    " from subscriptions s where address = ? and status = 'active'"
);

#[async_trait]
impl SubscriptionStore for Sqlite {
    fn hold_to(&self, limits: SubscriptionLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    async fn subscribe(
        &self,
        request: &[SignUp],
        limits: SignUpLimits,
        now: Timestamp,
    ) -> Result<SignedUp, StoreError> {
        self.note_sign_up(request, limits, now).await
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

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        sqlx::query(concat!("select ", subscription_columns!(), " from subscriptions s where id = ?"))
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?
            .map(|row| rows::subscription(&row))
            .transpose()
    }

    async fn active_of(&self, address: &str) -> Result<Vec<Subscription>, StoreError> {
        sqlx::query(ACTIVE_OF)
            .bind(address.to_owned())
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(rows::subscription)
            .collect()
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
                    let (key, wish) = (one.channel.key(), (one.scope, one.metric, one.rule));
                    if let Err(limit) = in_force::admit(&mut write, &held_to, &key, one.id, wish).await? {
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
        confirmations::answered(&mut write, &of.channel, &activated, now).await?;
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
        let (scope, metric) = (changed.scope, changed.metric);
        let same = live(&mut write, &changed.channel, scope, metric, changed.rule).await?;
        if same.is_some_and(|(id, _)| id != changed.id) {
            return Ok(Amended::Conflict);
        }
        if changed == found {
            return Ok(Amended::Changed(found));
        }
        if changed.rule != found.rule && changed.status == SubscriptionStatus::Active {
            let (key, wish) = (changed.channel.key(), (scope, metric, changed.rule));
            in_force::admit_change(&mut write, &self.limits(), &key, changed.id, wish).await??;
            changed.active_from = Some(first_start(&mut write, now).await?);
        }
        sqlx::query(
            "update subscriptions set rule = ?, own_rule = ?, active_from = ?, quiet = ?, paused_until = ?, \
             secret_generation = ?, secret_rotated_at = ? \
             where id = ?",
        )
        .bind(changed.rule.to_string())
        .bind(changed.rule.is_own())
        .bind(changed.active_from.map(Second::unix))
        .bind(changed.quiet.as_ref().map(|quiet| quiet.to_string()))
        .bind(changed.paused_until.map(|until| until.as_microsecond()))
        .bind(changed.secret_generation)
        .bind(changed.secret_rotated_at.map(|at| at.as_microsecond()))
        .bind(changed.id.to_string())
        .execute(&mut *write)
        .await?;
        let is_watched = changed.status == SubscriptionStatus::Active;
        let rule_changed = changed.rule != found.rule && (changed.rule.is_own() || found.rule.is_own());
        watching::count(&mut write, is_watched && rule_changed).await?;
        if changed.is_paused(now) {
            cancel_news(&mut write, changed.id, now).await?;
        }
        if changed.quiet != found.quiet {
            judge_anew(&mut write, changed.id, now).await?;
        }
        self.finish(write).await?;
        Ok(Amended::Changed(changed))
    }

    async fn watched(&self) -> Result<Watched, StoreError> {
        let mut read = self.readers.begin().await?;
        watching::watched(&mut read).await
    }

    async fn watch_version(&self) -> Result<u64, StoreError> {
        let mut connection = self.readers.acquire().await?;
        watching::version(&mut connection).await
    }
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
    let asked = asked_with(connection, &of, now).await?;
    Ok(Some(Confirmable { of, lapsed, asked }))
}
