//! Alerts.

use super::Sqlite;
use super::bars::bounded;
use super::rows::{self, alert_columns, write_occurrences};
use crate::{AlertQuery, AlertStore, StoreError};
use async_trait::async_trait;
use qqq_core::alert::AlertState;
use qqq_core::{Alert, AlertId};
use sqlx::SqliteConnection;

/// Alerts of all symbols, newest first.
pub(super) const OF_ALL: &str = concat!(
    "select ",
    alert_columns!(),
    " from alerts a where (start, id) < (?1, ?2) and start >= ?3 and (?4 is null or metric = ?4) \
     order by start desc, id desc limit ?5"
);

/// The same of one symbol: a text of its own, so that it finds the index of its own.
pub(super) const OF_ONE: &str = concat!(
    "select ",
    alert_columns!(),
    " from alerts a where (start, id) < (?1, ?2) and start >= ?3 and (?4 is null or metric = ?4) \
     and symbol = ?6 order by start desc, id desc limit ?5"
);

#[async_trait]
impl AlertStore for Sqlite {
    async fn alerts(&self, query: AlertQuery) -> Result<Vec<Alert>, StoreError> {
        let (before, id) = match query.after {
            Some((start, id)) => (i64::from(start.index()), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let since = query.since.map_or(i64::MIN, |start| i64::from(start.index()));
        let rows = sqlx::query(if query.symbol.is_some() { OF_ONE } else { OF_ALL })
            .bind(before)
            .bind(id)
            .bind(since)
            .bind(query.metric.map(|metric| metric.as_str()))
            .bind(bounded(query.limit));
        let rows = match query.symbol {
            Some(symbol) => rows.bind(symbol.as_str().to_owned()),
            None => rows,
        };
        rows.fetch_all(&self.readers).await?.iter().map(rows::alert).collect()
    }

    async fn alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        sqlx::query(concat!("select ", alert_columns!(), " from alerts a where id = ?"))
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?
            .map(|row| rows::alert(&row))
            .transpose()
    }
}

/// Keeps a new alert; false where it is known.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    alert: &Alert,
    sequence: i64,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "insert into alerts (id, rule, symbol, metric, start, value, window_sum, window_bars, feed, revision, \
         state, raised_at, occurrences, sequence) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         on conflict (id) do nothing",
    )
    .bind(alert.id.to_string())
    .bind(alert.rule.clone())
    .bind(alert.symbol.as_str().to_owned())
    .bind(alert.metric.as_str())
    .bind(alert.start.index())
    .bind(alert.value)
    .bind(alert.window_sum)
    .bind(alert.window_bars)
    .bind(alert.feed.as_str().to_owned())
    .bind(alert.revision)
    .bind(alert.state.as_str())
    .bind(alert.raised_at.as_microsecond())
    .bind(write_occurrences(&alert.occurrences))
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Updates the occurrences of a stored alert. Answers how many alerts that changed.
pub(super) async fn count(
    connection: &mut SqliteConnection,
    alert: &Alert,
    sequence: i64,
) -> Result<u64, StoreError> {
    let updated =
        sqlx::query("update alerts set occurrences = ?1, sequence = ?2 where id = ?3 and occurrences <> ?1")
            .bind(write_occurrences(&alert.occurrences))
            .bind(sequence)
            .bind(alert.id.to_string())
            .execute(connection)
            .await?;
    Ok(updated.rows_affected())
}

/// Marks an alert as retracted; false where it was before. The evidence stays. One never stored is stored as
/// retracted: its minute must not raise an alert later.
pub(super) async fn retract(
    connection: &mut SqliteConnection,
    alert: &Alert,
    sequence: i64,
) -> Result<bool, StoreError> {
    let updated = sqlx::query(
        "update alerts set state = 'retracted', occurrences = ?, sequence = ? where id = ? and state = 'raised'",
    )
    .bind(write_occurrences(&alert.occurrences))
    .bind(sequence)
    .bind(alert.id.to_string())
    .execute(&mut *connection)
    .await?;
    if updated.rows_affected() > 0 {
        return Ok(true);
    }
    insert(connection, &Alert { state: AlertState::Retracted, ..alert.clone() }, sequence).await
}
