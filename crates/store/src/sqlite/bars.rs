//! Bars and statistics, and what of them readers have not seen.

use super::rows::{self, Columns, alert_columns, bar_columns, statistics_columns};
use super::sql::bounded;
use super::store::{Sqlite, sequence};
use super::{cadence, commit, history};
use crate::{
    Audience, BarRecord, BarStore, Batch, ChangeCursor, Changes, Committed, Imported, Key, Row, Sequence,
    SplitRecord, Stamped, StoreError,
};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::{Bar, Cadence, FeedStatus, Second, Statistics, Symbol};
use sqlx::SqliteConnection;
use sqlx::types::Json;
use std::ops::Range;

const LAST: &str = concat!(
    "select ",
    bar_columns!(),
    " from bars where symbol = ? and start >= ? and start < ? order by start desc limit 1"
);

pub(super) const CHANGED: &str = concat!(
    "select ",
    bar_columns!(),
    ", sequence from bars where sequence > ? and sequence <= ? order by start, symbol"
);

// In the order of places, which is the order of the indexes: they end with the primary key.
pub(super) const BARS_AFTER: &str = concat!(
    "select ",
    bar_columns!(),
    ", sequence from bars where (sequence, symbol, start) > (?, ?, ?) and sequence <= ? \
     order by sequence, symbol, start limit ?"
);
pub(super) const STATISTICS_AFTER: &str = concat!(
    "select ",
    statistics_columns!(),
    ", sequence from statistics where (sequence, symbol) > (?, ?) and sequence <= ? \
     order by sequence, symbol limit ?"
);
pub(super) const ALERTS_AFTER: &str = concat!(
    "select ",
    alert_columns!(),
    ", sequence from alerts a indexed by alerts_by_sequence where (sequence, id) > (?, ?) and sequence <= ? \
     and (public = 1 or exists (select 1 from json_each(?) own \
     where own.value ->> 0 in (symbol, '*') and own.value ->> 1 = metric and own.value ->> 2 = rule \
     and own.value ->> 3 <= start)) \
     order by sequence, id limit ?"
);

pub(super) const MORE_BARS: &str = "select sequence from bars where sequence > ? limit 1 offset ?";

pub(super) const PRUNE: &str = "delete from bars where (symbol, start) in \
     (select symbol, start from bars where start < ? order by start limit ?)";

#[async_trait]
impl BarStore for Sqlite {
    async fn commit(&self, batch: &Batch, now: Timestamp) -> Result<Committed, StoreError> {
        let mut write = self.begin().await?;
        let current = sequence(&mut write).await?;
        let effects = commit::write(&mut write, batch, current + 1, now).await?;
        let sequence = advance(&mut write, current, effects.changed).await?;
        self.finish(write).await?;
        Ok(Committed { sequence, deliveries: effects.enqueued })
    }

    async fn settle_cadence(&self, cadence: Cadence) -> Result<(), StoreError> {
        cadence::settle(self, cadence).await
    }

    async fn cadence(&self) -> Result<Cadence, StoreError> {
        cadence::of(&mut *self.readers.acquire().await?).await
    }

    async fn import(&self, bars: &[Bar]) -> Result<Imported, StoreError> {
        let mut write = self.begin().await?;
        let current = sequence(&mut write).await?;
        let imported = commit::import_bars(&mut write, bars, current + 1).await?;
        advance(&mut write, current, imported.new + imported.revised).await?;
        self.finish(write).await?;
        Ok(imported)
    }

    async fn bars(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<BarRecord>, StoreError> {
        sqlx::query(concat!(
            "select ",
            bar_columns!(),
            " from bars where symbol = ? and start >= ? and start < ? order by start limit ?"
        ))
        .bind(symbol.as_str().to_owned())
        .bind(range.start.unix())
        .bind(range.end.unix())
        .bind(bounded(limit))
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(rows::bar)
        .collect()
    }

    async fn history(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<Bar>, StoreError> {
        let mut read = self.readers.begin().await?;
        history::read(&mut read, symbol, range, limit).await
    }

    async fn recent_bars(&self, symbols: &[Symbol], seconds: i64) -> Result<Vec<BarRecord>, StoreError> {
        let mut read = self.readers.begin().await?;
        let mut bars = Vec::new();
        for symbol in symbols {
            let rows = sqlx::query(concat!(
                "select ",
                bar_columns!(),
                " from bars where symbol = ?1 \
                 and start > (select max(start) from bars where symbol = ?1) - ?2 order by start"
            ))
            .bind(symbol.as_str().to_owned())
            .bind(seconds)
            .fetch_all(&mut *read)
            .await?;
            for row in &rows {
                bars.push(rows::bar(row)?);
            }
        }
        bars.sort_unstable_by_key(|record| (record.bar.start, record.bar.symbol));
        bars.dedup_by_key(|record| (record.bar.start, record.bar.symbol));
        Ok(bars)
    }

    async fn last_bars(
        &self,
        wanted: &[(Symbol, Range<Second>)],
    ) -> Result<Vec<Option<BarRecord>>, StoreError> {
        let mut read = self.readers.begin().await?;
        let mut bars = Vec::with_capacity(wanted.len());
        for (symbol, range) in wanted {
            let row = sqlx::query(LAST)
                .bind(symbol.as_str().to_owned())
                .bind(range.start.unix())
                .bind(range.end.unix())
                .fetch_optional(&mut *read)
                .await?;
            bars.push(row.map(|row| rows::bar(&row)).transpose()?);
        }
        Ok(bars)
    }

    async fn statistics(&self) -> Result<Vec<Statistics>, StoreError> {
        sqlx::query(concat!("select ", statistics_columns!(), " from statistics order by symbol"))
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(rows::statistics)
            .collect()
    }

    async fn quarantined(&self) -> Result<Vec<Bar>, StoreError> {
        let rows = sqlx::query(concat!("select ", bar_columns!(), " from quarantined_bars order by symbol"))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(|row| rows::bar(row).map(|record| record.bar)).collect()
    }

    async fn splits(&self) -> Result<Vec<SplitRecord>, StoreError> {
        sqlx::query("select symbol, ex_date, new, old, from_start from splits order by ex_date, symbol")
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(rows::split)
            .collect()
    }

    async fn sequence(&self) -> Result<Sequence, StoreError> {
        let mut connection = self.readers.acquire().await?;
        Ok(Sequence(sequence(&mut connection).await?))
    }

    async fn changes(&self, after: Sequence, limit: usize) -> Result<Changes, StoreError> {
        let mut read = self.readers.begin().await?;
        let newest = sequence(&mut read).await?;
        let upto = last_whole_commit(&mut read, after.0, newest, bounded(limit.max(1))).await?;
        let bars = sqlx::query(CHANGED).bind(after.0).bind(upto).fetch_all(&mut *read).await?;
        let statistics = sqlx::query(concat!(
            "select ",
            statistics_columns!(),
            ", sequence from statistics where sequence > ? and sequence <= ? order by symbol"
        ))
        .bind(after.0)
        .bind(upto)
        .fetch_all(&mut *read)
        .await?;
        let alerts = sqlx::query(concat!(
            "select ",
            alert_columns!(),
            ", sequence from alerts a where sequence > ? and sequence <= ? order by sequence, start, id"
        ))
        .bind(after.0)
        .bind(upto)
        .fetch_all(&mut *read)
        .await?;
        Ok(Changes {
            sequence: Sequence(upto),
            bars: rows::stamped(&bars, "bars", Columns::bar)?,
            statistics: rows::stamped(&statistics, "statistics", Columns::statistics)?,
            alerts: rows::stamped(&alerts, "alerts", Columns::alert)?,
        })
    }

    async fn rows_after(
        &self,
        after: ChangeCursor,
        upto: Sequence,
        limit: usize,
        audience: Audience<'_>,
    ) -> Result<Vec<Stamped<Row>>, StoreError> {
        let commit = after.sequence.0;
        // Of a kind that comes before the place's, nothing of its commit is left.
        let next = (commit.saturating_add(1), String::new());
        let all = (commit, String::new());
        let (bars, start, statistics, alerts) = match after.key {
            Key::Bar(symbol, start) => ((commit, symbol.as_str().to_owned()), start.unix(), all.clone(), all),
            Key::Statistics(symbol) => (next, 0, (commit, symbol.as_str().to_owned()), all),
            Key::Alert(id) => (next.clone(), 0, next, (commit, id.to_string())),
            Key::End => (next.clone(), 0, next.clone(), next),
        };
        let mut read = self.readers.begin().await?;
        let bars = sqlx::query(BARS_AFTER)
            .bind(bars.0)
            .bind(bars.1)
            .bind(start)
            .bind(upto.0)
            .bind(bounded(limit))
            .fetch_all(&mut *read)
            .await?;
        let bars = rows::stamped(&bars, "bars", Columns::bar)?;
        // What comes after the last of so many bars is not part of the answer.
        let upto = bars.last().filter(|_| bars.len() >= limit).map_or(upto, |last| last.sequence);
        let statistics = sqlx::query(STATISTICS_AFTER)
            .bind(statistics.0)
            .bind(statistics.1)
            .bind(upto.0)
            .bind(bounded(limit))
            .fetch_all(&mut *read)
            .await?;
        let own = match audience {
            Audience::Everybody => &[],
            Audience::Subscriber(own) => own,
        };
        let own: Vec<_> = own
            .iter()
            .filter_map(|one| {
                let from = one.reads_from()?.unix();
                Some((one.scope.as_str().to_owned(), one.metric.as_str(), one.rule.to_string(), from))
            })
            .collect();
        let alerts = sqlx::query(ALERTS_AFTER)
            .bind(alerts.0)
            .bind(alerts.1)
            .bind(upto.0)
            .bind(Json(own))
            .bind(bounded(limit))
            .fetch_all(&mut *read)
            .await?;
        let found = Changes {
            sequence: upto,
            bars,
            statistics: rows::stamped(&statistics, "statistics", Columns::statistics)?,
            alerts: rows::stamped(&alerts, "alerts", Columns::alert)?,
        };
        let mut rows = found.into_rows();
        rows.truncate(limit);
        Ok(rows)
    }

    async fn holds_more_bars(&self, after: Sequence, count: usize) -> Result<bool, StoreError> {
        let one_more: Option<i64> = sqlx::query_scalar(MORE_BARS)
            .bind(after.0)
            .bind(bounded(count))
            .fetch_optional(&self.readers)
            .await?;
        Ok(one_more.is_some())
    }

    async fn feed_status(&self) -> Result<Option<FeedStatus>, StoreError> {
        sqlx::query(
            "select provider, label, mode, coverage, stands_in_for, stands_in_reason, clock, answered_at, \
             problem, asked_until, symbol_problems \
             from feed_status",
        )
        .fetch_optional(&self.readers)
        .await?
        .map(|row| rows::feed_status(&row))
        .transpose()
    }

    async fn prune_bars(&self, before: Second, limit: u32) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let pruned =
            sqlx::query(PRUNE).bind(before.unix()).bind(limit).execute(&mut *write).await?.rows_affected();
        self.finish(write).await?;
        Ok(pruned)
    }
}

/// Takes the next place in the history where anything changed that readers see.
async fn advance(
    connection: &mut SqliteConnection,
    current: i64,
    changed: u64,
) -> Result<Sequence, StoreError> {
    if changed == 0 {
        return Ok(Sequence(current));
    }
    sqlx::query("update history set sequence = ?").bind(current + 1).execute(connection).await?;
    Ok(Sequence(current + 1))
}

/// The newest commit after `after` up to which there are at most `limit` bars and `limit` alerts; the very
/// next one where that alone has more.
async fn last_whole_commit(
    connection: &mut SqliteConnection,
    after: i64,
    newest: i64,
    limit: i64,
) -> Result<i64, StoreError> {
    let mut upto = newest;
    for first_beyond in [
        "select sequence from bars where sequence > ? order by sequence limit 1 offset ?",
        "select sequence from alerts where sequence > ? order by sequence limit 1 offset ?",
    ] {
        let beyond: Option<i64> =
            sqlx::query_scalar(first_beyond).bind(after).bind(limit).fetch_optional(&mut *connection).await?;
        upto = beyond.map_or(upto, |beyond| upto.min((beyond - 1).max(after + 1)));
    }
    Ok(upto)
}
