//! Bars and statistics, and what of them readers have not seen.

use super::open_bars::{self, PRUNE};
use super::rows::{self, Columns, alert_columns, bar_columns, statistics_columns};
use super::sql::bounded;
use super::store::{Sqlite, sequence};
use super::{blocks, cadence, closing, commit, read_bars, write_bars};
use crate::{
    Audience, BarRecord, BarStore, Batch, ChangeCursor, Changes, Closed, ClosedExtent, Committed, Imported,
    Key, Row, Sequence, SessionBars, SplitRecord, Stamped, StoreError,
};
use async_trait::async_trait;
use jiff::Timestamp;
use qqq_core::{Bar, Cadence, FeedStatus, Second, Statistics, Symbol};
use sqlx::SqliteConnection;
use sqlx::types::Json;
use std::ops::Range;

// In the order of places, which is the order of the indexes: they end with the primary key.
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
        let imported = write_bars::import(&mut write, bars, current + 1).await?;
        advance(&mut write, current, imported.new + imported.revised).await?;
        self.finish(write).await?;
        Ok(imported)
    }

    async fn import_sessions(
        &self,
        sessions: &[SessionBars],
        others: &[Bar],
    ) -> Result<Imported, StoreError> {
        let mut write = self.begin().await?;
        let current = sequence(&mut write).await?;
        let imported = write_bars::import_sessions(&mut write, sessions, current + 1).await?
            + write_bars::import(&mut write, others, current + 1).await?;
        advance(&mut write, current, imported.new + imported.revised).await?;
        self.finish(write).await?;
        Ok(imported)
    }

    async fn oldest_open(&self) -> Result<Option<Second>, StoreError> {
        let ends = open_bars::ends(&mut *self.readers.acquire().await?).await?;
        Ok(ends.map(|ends| *ends.start()))
    }

    async fn close_bars(&self, range: Range<Second>, after: Option<Symbol>) -> Result<Closed, StoreError> {
        let mut write = self.begin().await?;
        let closed = closing::close(&mut write, &range, after).await?;
        self.finish(write).await?;
        Ok(closed)
    }

    async fn closed_from(&self, from: Second) -> Result<Option<Second>, StoreError> {
        blocks::first_end(&mut *self.readers.acquire().await?, from).await
    }

    async fn closed_extent(&self, range: Range<Second>) -> Result<ClosedExtent, StoreError> {
        blocks::extent(&mut *self.readers.acquire().await?, &range).await
    }

    async fn closed_symbols(&self, range: Range<Second>) -> Result<Vec<Symbol>, StoreError> {
        blocks::symbols(&mut *self.readers.acquire().await?, &range).await
    }

    async fn bars(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<BarRecord>, StoreError> {
        let mut read = self.readers.begin().await?;
        let bars = read_bars::of_symbol(&mut read, symbol, &range, limit).await?;
        Ok(bars.into_iter().map(|one| one.row).collect())
    }

    async fn history(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<Bar>, StoreError> {
        let mut read = self.readers.begin().await?;
        let bars = read_bars::of_symbol(&mut read, symbol, &range, limit).await?;
        Ok(bars.into_iter().map(|one| one.row.bar).collect())
    }

    async fn recent_bars(&self, symbols: &[Symbol], seconds: i64) -> Result<Vec<BarRecord>, StoreError> {
        let mut read = self.readers.begin().await?;
        let bars = read_bars::recent(&mut read, symbols, seconds).await?;
        Ok(bars.into_iter().map(|one| one.row).collect())
    }

    async fn last_bars(
        &self,
        wanted: &[(Symbol, Range<Second>)],
    ) -> Result<Vec<Option<BarRecord>>, StoreError> {
        let mut read = self.readers.begin().await?;
        let bars = read_bars::last(&mut read, wanted).await?;
        Ok(bars.into_iter().map(|one| one.map(|one| one.row)).collect())
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
        let upto = last_whole_commit(&mut read, after.0, newest, limit.max(1)).await?;
        let place = ChangeCursor::end_of(after);
        let mut bars = read_bars::after(&mut read, place, Sequence(upto), usize::MAX).await?;
        bars.sort_unstable_by_key(|one| (one.row.bar.start, one.row.bar.symbol));
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
            bars,
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
        let (statistics, alerts) = match after.key {
            Key::Bar(..) => (all.clone(), all),
            Key::Statistics(symbol) => ((commit, symbol.as_str().to_owned()), all),
            Key::Alert(id) => (next, (commit, id.to_string())),
            Key::End => (next.clone(), next),
        };
        let mut read = self.readers.begin().await?;
        let bars = read_bars::after(&mut read, after, upto, limit).await?;
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
        let mut read = self.readers.begin().await?;
        read_bars::are_more(&mut read, after, count).await
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
        let rows =
            sqlx::query(PRUNE).bind(before.unix()).bind(limit).execute(&mut *write).await?.rows_affected();
        let left = u64::from(limit).saturating_sub(rows);
        let pruned = rows + blocks::prune(&mut write, before, left).await?;
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
    limit: usize,
) -> Result<i64, StoreError> {
    let counts = read_bars::by_commit(connection, Sequence(after), limit.saturating_add(1)).await?;
    let mut bars = 0_usize;
    let beyond_bars = counts.into_iter().find_map(|(commit, count)| {
        bars = bars.saturating_add(count);
        (bars > limit).then_some(commit.0)
    });
    let beyond_alerts: Option<i64> = sqlx::query_scalar(
        "select sequence from alerts where sequence > ? order by sequence limit 1 offset ?",
    )
    .bind(after)
    .bind(bounded(limit))
    .fetch_optional(connection)
    .await?;
    let before = |beyond: i64| (beyond - 1).max(after + 1);
    Ok([beyond_bars, beyond_alerts].into_iter().flatten().map(before).fold(newest, i64::min))
}
