//! Alerts.

use super::composite::{StoredEvidence, StoredOccurrences};
use super::lookup::hash_of;
use super::rows::{self, Columns, alert_columns};
use super::sql::bounded;
use super::store::Sqlite;
use crate::{AlertQuery, AlertStore, ReceiverAlertQuery, StoreError};
use async_trait::async_trait;
use qqq_core::alert::AlertState;
use qqq_core::delivery::{DeliveryId, DeliveryKind};
use qqq_core::subscription::SubscriptionId;
use qqq_core::{Alert, AlertId, AlertRule, Metric, Price, Rule, RuleName, Second};
use sqlx::SqliteConnection;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::types::Json;

/// Alerts, newest first. Every combination of filters on what everybody may read is a text of its own and
/// names the index that begins with what it filters by: without statistics of the table, the planner takes a
/// shorter one.
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
pub(super) const OF_RULE_SYMBOL_METRIC: &str =
    newest_first!("alerts_by_rule_symbol_metric", "rule = ?5 and symbol = ?6 and metric = ?7 and ");
/// What nobody asks often: other filters on alerts of any visibility.
const OF_ANY: &str = newest_first!(
    "alerts_by_start",
    "(?5 is null or rule = ?5) and (?6 is null or symbol = ?6) and (?7 is null or metric = ?7) and "
);

pub(super) const PUBLIC: &str = newest_first!("public_alerts_by_start", "public = 1 and ");
pub(super) const PUBLIC_OF_METRIC: &str =
    newest_first!("public_alerts_by_metric", "public = 1 and metric = ?7 and ");
pub(super) const PUBLIC_OF_SYMBOL: &str =
    newest_first!("public_alerts_by_symbol", "public = 1 and symbol = ?6 and ");
pub(super) const PUBLIC_OF_SYMBOL_METRIC: &str =
    newest_first!("public_alerts_by_symbol_metric", "public = 1 and symbol = ?6 and metric = ?7 and ");
pub(super) const PUBLIC_OF_RULE: &str =
    newest_first!("public_alerts_by_rule", "public = 1 and rule = ?5 and ");
pub(super) const PUBLIC_OF_RULE_METRIC: &str =
    newest_first!("public_alerts_by_rule_metric", "public = 1 and rule = ?5 and metric = ?7 and ");
pub(super) const PUBLIC_OF_RULE_SYMBOL: &str =
    newest_first!("public_alerts_by_rule_symbol", "public = 1 and rule = ?5 and symbol = ?6 and ");
pub(super) const PUBLIC_OF_RULE_SYMBOL_METRIC: &str = newest_first!(
    "alerts_by_rule_symbol_metric",
    "public = 1 and rule = ?5 and symbol = ?6 and metric = ?7 and "
);

/// Places of a receiver's alerts: of each of its active subscriptions for which `$wanted` holds the newest, a
/// page at most, so that what came before costs nothing. The order of `$index` is that of the list among
/// those that `$filters` leaves.
macro_rules! newest_of_each {
    ($wanted:literal, $index:literal, $filters:literal) => {
        concat!(
            "select a.start as start, a.id as id from subscriptions s indexed by subscriptions_by_address \
             join alerts a on a.id in (select n.id from alerts n indexed by ",
            $index,
            " where n.rule = s.rule and n.metric = s.metric and ",
            $filters,
            " and n.start >= max(s.active_from, ?5) and (n.start, n.id) < (?3, ?4) \
             order by n.start desc, n.id desc limit ?2) \
             where s.address = ?1 and s.status = 'active' and (?6 is null or s.symbol in ('*', ?6)) \
             and (?7 is null or s.metric = ?7) and ",
            $wanted
        )
    };
}

/// The pages of all subscriptions, merged into one. Those of one symbol, or asked for one, and those of all
/// symbols have an index each; those that not everybody may read (?8) have their own.
pub(super) const OF_RECEIVER: &str = concat!(
    "select ",
    alert_columns!(),
    " from (",
    newest_of_each!(
        "?8 = 0 and (?6 is not null or s.symbol <> '*')",
        "alerts_by_rule_symbol_metric",
        "n.symbol = coalesce(?6, s.symbol)"
    ),
    " union ",
    newest_of_each!(
        "?8 = 0 and ?6 is null and s.symbol = '*'",
        "public_alerts_by_rule_metric",
        "n.public = 1"
    ),
    " union ",
    newest_of_each!(
        "?8 = 1 and (?6 is not null or s.symbol <> '*')",
        "private_alerts_by_rule_symbol_metric",
        "n.public = 0 and n.symbol = coalesce(?6, s.symbol)"
    ),
    " union ",
    newest_of_each!("?6 is null and s.symbol = '*'", "private_alerts_by_rule_metric", "n.public = 0"),
    " order by start desc, id desc limit ?2) found join alerts a on a.id = found.id \
     order by a.start desc, a.id desc"
);

/// Alerts by the house's rule that do not say which settings it had.
macro_rules! without_rule {
    () => {
        "select id from alerts indexed by alerts_without_rule where rule = 'spike' and house_rule is null"
    };
}

const COMPLETE: &str = concat!("update alerts set house_rule = ? where id in (", without_rule!(), ")");

pub(super) const PUBLISH: &str = "update alerts set public = 1 where id in \
     (select id from alerts indexed by alerts_by_rule_symbol_metric \
     where rule = ? and metric = ? and public = 0 limit ?)";

/// Alerts of own rules that are old and that no message waits for.
pub(super) const OLD: &str = "select id from alerts a indexed by private_alerts_by_start \
     where public = 0 and start < ? and not exists \
     (select 1 from deliveries d where d.alert = a.id and d.state = 'pending') order by start limit ?";

#[async_trait]
impl AlertStore for Sqlite {
    async fn alerts(&self, query: AlertQuery) -> Result<Vec<Alert>, StoreError> {
        let (before, id) = match query.after {
            Some((start, id)) => (start.unix(), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let since = query.since.map_or(i64::MIN, |start| start.unix());
        let sql = match (query.private_too, query.rule, query.symbol, query.metric) {
            (true, None, None, None) => ALL,
            (true, Some(_), Some(_), Some(_)) => OF_RULE_SYMBOL_METRIC,
            (true, _, _, _) => OF_ANY,
            (false, None, None, None) => PUBLIC,
            (false, None, None, Some(_)) => PUBLIC_OF_METRIC,
            (false, None, Some(_), None) => PUBLIC_OF_SYMBOL,
            (false, None, Some(_), Some(_)) => PUBLIC_OF_SYMBOL_METRIC,
            (false, Some(_), None, None) => PUBLIC_OF_RULE,
            (false, Some(_), None, Some(_)) => PUBLIC_OF_RULE_METRIC,
            (false, Some(_), Some(_), None) => PUBLIC_OF_RULE_SYMBOL,
            (false, Some(_), Some(_), Some(_)) => PUBLIC_OF_RULE_SYMBOL_METRIC,
        };
        sqlx::query(sql)
            .bind(before)
            .bind(id)
            .bind(since)
            .bind(bounded(query.limit))
            .bind(query.rule.map(|rule| rule.to_string()))
            .bind(query.symbol.map(|symbol| symbol.as_str().to_owned()))
            .bind(query.metric.map(|metric| metric.as_str().to_owned()))
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(rows::alert)
            .collect()
    }

    async fn alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        sqlx::query(concat!("select ", alert_columns!(), " from alerts a where id = ?"))
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await?
            .map(|row| rows::alert(&row))
            .transpose()
    }

    async fn was_owed(&self, alert: AlertId, subscription: SubscriptionId) -> Result<bool, StoreError> {
        let id = DeliveryId::of_alert(DeliveryKind::Alert, alert, subscription);
        Ok(sqlx::query_scalar("select exists (select 1 from deliveries where id = ?)")
            .bind(id.to_string())
            .fetch_one(&self.readers)
            .await?)
    }

    async fn alerts_of(&self, address: &str, query: ReceiverAlertQuery) -> Result<Vec<Alert>, StoreError> {
        let (before, id) = match query.after {
            Some((start, id)) => (start.unix(), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        sqlx::query(OF_RECEIVER)
            .bind(address.to_owned())
            .bind(bounded(query.limit))
            .bind(before)
            .bind(id)
            .bind(query.since.map_or(i64::MIN, |start| start.unix()))
            .bind(query.symbol.map(|symbol| symbol.as_str().to_owned()))
            .bind(query.metric.map(|metric| metric.as_str().to_owned()))
            .bind(query.private_only)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(rows::alert)
            .collect()
    }

    async fn was_owed_to(&self, alert: AlertId, address: &str) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "select exists (select 1 from deliveries indexed by deliveries_by_alert \
             where alert = ? and address_hash = ? and kind = 'alert')",
        )
        .bind(alert.to_string())
        .bind(hash_of(address))
        .fetch_one(&self.readers)
        .await?)
    }

    async fn publish(&self, rule: RuleName, metric: Metric, limit: u32) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let published = sqlx::query(PUBLISH)
            .bind(rule.to_string())
            .bind(metric.as_str())
            .bind(limit)
            .execute(&mut *write)
            .await?
            .rows_affected();
        self.finish(write).await?;
        Ok(published)
    }

    async fn complete_house_rules(&self, rule: &Rule) -> Result<u64, StoreError> {
        let is_missing: bool = sqlx::query_scalar(concat!("select exists (", without_rule!(), ")"))
            .fetch_one(&self.readers)
            .await?;
        if !is_missing {
            return Ok(0);
        }
        let mut write = self.begin().await?;
        let completed =
            sqlx::query(COMPLETE).bind(rule.to_string()).execute(&mut *write).await?.rows_affected();
        self.finish(write).await?;
        Ok(completed)
    }

    async fn prune_private_alerts(&self, before: Second, limit: u32) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let old: Vec<String> =
            sqlx::query_scalar(OLD).bind(before.unix()).bind(limit).fetch_all(&mut *write).await?;
        for id in &old {
            for sql in ["delete from deliveries where alert = ?", "delete from alerts where id = ?"] {
                sqlx::query(sql).bind(id.clone()).execute(&mut *write).await?;
            }
        }
        self.finish(write).await?;
        Ok(old.len() as u64)
    }
}

/// Follows the rule, symbol, metric and start of a change. By them a stored alert is found, not by its id:
/// that was derived when the symbol may have been spelled otherwise (migration 3), and whoever was told knows
/// the alert by it.
macro_rules! of_start {
    ($update:literal, $state:literal) => {
        concat!($update, " where (rule, symbol, metric, start) = (?3, ?4, ?5, ?6) and ", $state)
    };
}

pub(super) const COUNT: &str =
    of_start!("update alerts set occurrences = ?1, sequence = ?2", "occurrences <> ?1");
pub(super) const RETRACT: &str = of_start!(
    "update alerts set state = 'retracted', occurrences = ?1, sequence = ?2",
    "state = 'raised' returning id"
);

/// Binds the parameters of [`of_start`]'s texts.
fn change(sql: &'static str, alert: &Alert, sequence: i64) -> Query<'static, sqlx::Sqlite, SqliteArguments> {
    sqlx::query(sql)
        .bind(Json(StoredOccurrences::from(alert)))
        .bind(sequence)
        .bind(alert.rule.to_string())
        .bind(alert.symbol.as_str().to_owned())
        .bind(alert.metric.as_str())
        .bind(alert.start.unix())
}

/// Keeps a new alert; false where its bar has one of the same rule and metric.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    alert: &Alert,
    sequence: i64,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "insert into alerts (id, rule, house_rule, symbol, metric, start, value, evidence, feed, revision, \
         state, raised_at, public, occurrences, close, previous_close, sequence) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         on conflict (rule, symbol, metric, start) do nothing",
    )
    .bind(alert.id.to_string())
    .bind(alert.rule.name().to_string())
    .bind(match alert.rule {
        AlertRule::House(rule) => Some(rule.to_string()),
        AlertRule::Own(_) => None,
    })
    .bind(alert.symbol.as_str().to_owned())
    .bind(alert.metric.as_str())
    .bind(alert.start.unix());
    let inserted = match i64::try_from(alert.value) {
        Ok(short) => inserted.bind(short),
        Err(_) => inserted.bind(alert.value.to_string()),
    }
    .bind(Json(StoredEvidence(alert.evidence)))
    .bind(alert.feed.as_str().to_owned())
    .bind(alert.revision)
    .bind(alert.state.as_str())
    .bind(alert.raised_at.as_microsecond())
    .bind(alert.is_public())
    .bind(Json(StoredOccurrences::from(alert)))
    .bind(alert.close.map(Price::nanos))
    .bind(alert.previous_close.map(Price::nanos))
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
    Ok(change(COUNT, alert, sequence).execute(connection).await?.rows_affected())
}

/// Marks an alert as retracted, and answers the id it is stored under; `None` where it was before. The
/// evidence stays. One never stored is stored as retracted: its bar must not raise an alert later.
pub(super) async fn retract(
    connection: &mut SqliteConnection,
    alert: &Alert,
    sequence: i64,
) -> Result<Option<AlertId>, StoreError> {
    let updated = change(RETRACT, alert, sequence).fetch_optional(&mut *connection).await?;
    if let Some(row) = updated {
        return Ok(Some(Columns::new(&row, "alerts").parse()?));
    }
    let retracted = Alert { state: AlertState::Retracted, ..alert.clone() };
    Ok(insert(connection, &retracted, sequence).await?.then_some(alert.id))
}
