//! Finds subscriptions.

use super::rows::{self, Columns, subscription_columns};
use crate::StoreError;
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::token::{Purpose, TokenHash};
use qqq_core::subscription::{Scope, Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::{Metric, RuleName};
use sha2::{Digest as _, Sha256};
use sqlx::SqliteConnection;

/// The subscription of the same wish that has not ended.
pub(super) async fn live(
    connection: &mut SqliteConnection,
    channel: &Channel,
    scope: Scope,
    metric: Metric,
    rule: RuleName,
) -> Result<Option<(SubscriptionId, SubscriptionStatus)>, StoreError> {
    let row = sqlx::query(
        "select id, status from subscriptions \
         where address = ? and symbol = ? and metric = ? and rule = ? and ended_at is null",
    )
    .bind(channel.key())
    .bind(scope.as_str().to_owned())
    .bind(metric.as_str())
    .bind(rule.to_string())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut columns = Columns::new(&row, "subscriptions");
    Ok(Some((columns.parse()?, columns.parse()?)))
}

/// The subscription a token belongs to.
pub(super) async fn find(
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
