//! Alerts.

use super::Sqlite;
use super::bars::bounded;
use super::rows::{self, alert_columns, write_evidence, write_occurrences};
use crate::{AlertQuery, AlertStore, StoreError};
use async_trait::async_trait;
use qqq_core::alert::AlertState;
use qqq_core::{Alert, AlertId};
use sqlx::SqliteConnection;

/// Alerts, newest first. Every combination of filters is a text of its own and names the index that begins with
/// what it filters by: without statistics of the table, the planner takes a shorter one.
macro_rules! newest_first {
    ($index:literal, $filters:literal) => {
        concat!(
            "select ",
            alert_columns!(),
            " from alerts a indexed by ",
            $index,
            " where ",
            $filters,
            "(start, id) < (?1, ?2) and start >= ?3 order by start desc, id desc limit ?4"
        )
    };
}

pub(super) const ALL: &str = newest_first!("alerts_by_start", "");
pub(super) const OF_METRIC: &str = newest_first!("alerts_by_metric", "metric = ?5 and ");
pub(super) const OF_SYMBOL: &str = newest_first!("alerts_by_symbol", "symbol = ?5 and ");
pub(super) const OF_SYMBOL_METRIC: &str =
    newest_first!("alerts_by_symbol_metric", "symbol = ?5 and metric = ?6 and ");
pub(super) const OF_RULE: &str = newest_first!("alerts_by_rule", "rule = ?5 and ");
pub(super) const OF_RULE_METRIC: &str =
    newest_first!("alerts_by_rule_metric", "rule = ?5 and metric = ?6 and ");
pub(super) const OF_RULE_SYMBOL: &str =
    newest_first!("alerts_by_rule_symbol", "rule = ?5 and symbol = ?6 and ");
pub(super) const OF_RULE_SYMBOL_METRIC: &str =
    newest_first!("alerts_by_rule_symbol_metric", "rule = ?5 and symbol = ?6 and metric = ?7 and ");

#[async_trait]
impl AlertStore for Sqlite {
    async fn alerts(&self, query: AlertQuery) -> Result<Vec<Alert>, StoreError> {
        let (before, id) = match query.after {
            Some((start, id)) => (i64::from(start.index()), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let since = query.since.map_or(i64::MIN, |start| i64::from(start.index()));
        let sql = match (query.rule, query.symbol, query.metric) {
            (None, None, None) => ALL,
            (None, None, Some(_)) => OF_METRIC,
            (None, Some(_), None) => OF_SYMBOL,
            (None, Some(_), Some(_)) => OF_SYMBOL_METRIC,
            (Some(_), None, None) => OF_RULE,
            (Some(_), None, Some(_)) => OF_RULE_METRIC,
            (Some(_), Some(_), None) => OF_RULE_SYMBOL,
            (Some(_), Some(_), Some(_)) => OF_RULE_SYMBOL_METRIC,
        };
        let newest_first = sqlx::query(sql).bind(before).bind(id).bind(since).bind(bounded(query.limit));
        let filters = [
            query.rule.map(|rule| rule.to_string()),
            query.symbol.map(|symbol| symbol.as_str().to_owned()),
            query.metric.map(|metric| metric.as_str().to_owned()),
        ];
        let filtered = filters.into_iter().flatten().fold(newest_first, |query, filter| query.bind(filter));
        filtered.fetch_all(&self.readers).await?.iter().map(rows::alert).collect()
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
        "insert into alerts (id, rule, symbol, metric, start, value, evidence, feed, revision, \
         state, raised_at, occurrences, sequence) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         on conflict (id) do nothing",
    )
    .bind(alert.id.to_string())
    .bind(alert.rule.to_string())
    .bind(alert.symbol.as_str().to_owned())
    .bind(alert.metric.as_str())
    .bind(alert.start.index())
    .bind(alert.value)
    .bind(write_evidence(&alert.evidence))
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
