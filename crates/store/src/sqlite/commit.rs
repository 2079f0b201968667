//! The writes of a step: splits, bars, statistics, alerts with what is owed for them, and the feed's state.

use super::bulk::Bulk;
use super::composite::{StoredFigures, StoredProblem};
use super::open_bars::bind_bar;
use super::rows::{bar_columns, statistics_columns};
use super::{activation, alerts, enqueue, retract, write_bars};
use crate::{AlertChange, Batch, SplitRecord, StoreError};
use jiff::Timestamp;
use qqq_core::{AlertId, Bar, FeedStatus, Figures, Second, Statistics};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteArguments;
use sqlx::types::Json;
use std::collections::HashMap;
use std::sync::LazyLock;

type Query = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;

/// What a step changed.
#[derive(Default)]
pub(super) struct Effects {
    /// Rows that readers see, new or different.
    pub(super) changed: u64,
    /// Deliveries newly owed.
    pub(super) enqueued: u64,
}

/// Writes a whole step. Rows that change are stamped with `sequence`.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    batch: &Batch,
    sequence: i64,
    now: Timestamp,
) -> Result<Effects, StoreError> {
    let mut effects = Effects::default();
    for split in &batch.splits {
        effects.changed += apply_split(connection, split, sequence).await?;
    }
    effects.changed += write_bars::store(connection, &batch.bars, sequence).await?;
    let imported = write_bars::import(connection, &batch.history, sequence).await?;
    effects.changed += imported.new + imported.revised;
    if let Some(quarantined) = &batch.quarantined {
        quarantine(connection, quarantined, sequence).await?;
    }
    effects.changed += write_statistics(connection, &batch.statistics, sequence).await?;
    if let Some(status) = &batch.feed {
        // Before the alerts: it may decide whom they concern.
        activation::begin_with_replay(connection, status).await?;
        write_feed_status(connection, status).await?;
    }
    for change in settled(&batch.alerts) {
        write_alert(connection, change, sequence, now, &mut effects).await?;
    }
    Ok(effects)
}

static QUARANTINE_BAR: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(concat!("insert into quarantined_bars (", bar_columns!(), ", sequence) values"), 13, "")
});

/// Has these bars wait to be confirmed, in place of those that waited. No reader sees them.
async fn quarantine(
    connection: &mut SqliteConnection,
    bars: &[Bar],
    sequence: i64,
) -> Result<(), StoreError> {
    sqlx::query("delete from quarantined_bars").execute(&mut *connection).await?;
    for (sql, piece) in QUARANTINE_BAR.pieces(bars) {
        let query = piece.iter().fold(sqlx::query(sql), |query, bar| bind_bar(query, bar, 0, sequence));
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Records a split and brings older bars into its units. One already known changes nothing: applying it twice
/// would be far worse than keeping terms that were mistyped.
async fn apply_split(
    connection: &mut SqliteConnection,
    record: &SplitRecord,
    sequence: i64,
) -> Result<u64, StoreError> {
    let SplitRecord { split, from } = record;
    let new = sqlx::query(
        "insert into splits (symbol, ex_date, new, old, from_start) values (?, ?, ?, ?, ?) \
         on conflict (symbol, ex_date) do nothing",
    )
    .bind(split.symbol.as_str().to_owned())
    .bind(split.ex_date.to_string())
    .bind(split.new)
    .bind(split.old)
    .bind(from.unix())
    .execute(&mut *connection)
    .await?;
    if new.rows_affected() == 0 {
        return Ok(0);
    }
    write_bars::rescale(connection, split, *from, sequence).await
}

static STORE_STATISTICS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        concat!("insert into statistics (", statistics_columns!(), ", sequence) values"),
        15,
        "on conflict (symbol) do update set \
         (start, feed, \
          price_stdev, price_relative_stdev, price_trailing_average, price_ratio, price_window_bars, \
          volume_stdev, volume_relative_stdev, volume_trailing_average, volume_ratio, volume_window_bars, \
          further, sequence) = \
         (excluded.start, excluded.feed, \
          excluded.price_stdev, excluded.price_relative_stdev, excluded.price_trailing_average, \
          excluded.price_ratio, excluded.price_window_bars, \
          excluded.volume_stdev, excluded.volume_relative_stdev, excluded.volume_trailing_average, \
          excluded.volume_ratio, excluded.volume_window_bars, excluded.further, excluded.sequence) \
         where \
         (excluded.start, excluded.feed, \
          excluded.price_stdev, excluded.price_relative_stdev, excluded.price_trailing_average, \
          excluded.price_ratio, excluded.price_window_bars, \
          excluded.volume_stdev, excluded.volume_relative_stdev, excluded.volume_trailing_average, \
          excluded.volume_ratio, excluded.volume_window_bars, excluded.further) is not \
         (start, feed, \
          price_stdev, price_relative_stdev, price_trailing_average, price_ratio, price_window_bars, \
          volume_stdev, volume_relative_stdev, volume_trailing_average, volume_ratio, volume_window_bars, \
          further)",
    )
});

async fn write_statistics(
    connection: &mut SqliteConnection,
    statistics: &[Statistics],
    sequence: i64,
) -> Result<u64, StoreError> {
    let bind_figures = |query: Query, figures: Figures| {
        query
            .bind(figures.stdev)
            .bind(figures.relative_stdev)
            .bind(figures.trailing_average)
            .bind(figures.ratio)
            .bind(figures.window_bars)
    };
    let mut changed = 0;
    for (sql, piece) in STORE_STATISTICS.pieces(statistics) {
        let query = piece.iter().fold(sqlx::query(sql), |query, one| {
            let query = query
                .bind(one.symbol.as_str().to_owned())
                .bind(one.start.unix())
                .bind(one.feed.as_str().to_owned());
            bind_figures(bind_figures(query, one.price), one.volume)
                .bind(StoredFigures::of(&one.further).map(Json))
                .bind(sequence)
        });
        changed += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(changed)
}

/// The changes without the counts that a later change of the same alert replaces. Written one after the
/// other, a replayed batch would go through states long past and change rows on its way back to where they
/// stand.
fn settled(changes: &[AlertChange]) -> impl Iterator<Item = &AlertChange> {
    let last: HashMap<AlertId, usize> =
        changes.iter().enumerate().map(|(index, change)| (change.alert().id, index)).collect();
    changes.iter().enumerate().filter_map(move |(index, change)| {
        let replaced = matches!(change, AlertChange::Counted(alert) if last.get(&alert.id) != Some(&index));
        (!replaced).then_some(change)
    })
}

async fn write_alert(
    connection: &mut SqliteConnection,
    change: &AlertChange,
    sequence: i64,
    now: Timestamp,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    match change {
        AlertChange::Raised(alert) => {
            if alerts::insert(connection, alert, sequence).await? {
                effects.changed += 1;
                effects.enqueued += enqueue::enqueue_alert(connection, alert, now).await?;
            }
        }
        AlertChange::Counted(alert) => effects.changed += alerts::count(connection, alert, sequence).await?,
        AlertChange::Retracted(alert) => {
            if let Some(stored) = alerts::retract(connection, alert, sequence).await? {
                effects.changed += 1;
                effects.enqueued += retract::retract(connection, stored, now).await?;
            } else {
                effects.changed += alerts::count(connection, alert, sequence).await?;
            }
        }
    }
    Ok(())
}

async fn write_feed_status(connection: &mut SqliteConnection, status: &FeedStatus) -> Result<(), StoreError> {
    sqlx::query(
        "insert into feed_status \
         (one, provider, label, mode, coverage, stands_in_for, stands_in_reason, clock, answered_at, \
          problem, asked_until, symbol_problems) \
         values (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         on conflict (one) do update set \
         (provider, label, mode, coverage, stands_in_for, stands_in_reason, clock, answered_at, \
          problem, asked_until, symbol_problems) = \
         (excluded.provider, excluded.label, excluded.mode, excluded.coverage, excluded.stands_in_for, \
          excluded.stands_in_reason, excluded.clock, excluded.answered_at, \
          excluded.problem, excluded.asked_until, excluded.symbol_problems) \
         where (excluded.provider, excluded.label, excluded.mode, excluded.coverage, excluded.stands_in_for, \
          excluded.stands_in_reason, excluded.clock, excluded.answered_at, \
          excluded.problem, excluded.asked_until, excluded.symbol_problems) is not \
         (provider, label, mode, coverage, stands_in_for, stands_in_reason, clock, answered_at, \
          problem, asked_until, symbol_problems)",
    )
    .bind(status.provider.clone())
    .bind(status.label.as_str().to_owned())
    .bind(status.mode.as_str())
    .bind(status.coverage.clone())
    .bind(status.stands_in_for.as_ref().map(|first| first.provider.clone()))
    .bind(status.stands_in_for.as_ref().and_then(|first| first.reason.clone()))
    .bind(status.clock.as_microsecond())
    .bind(status.answered_at.map(|at| at.as_microsecond()))
    .bind(status.problem.clone())
    .bind(status.asked_until.map(Second::unix))
    .bind(Json(status.symbol_problems.iter().cloned().map(StoredProblem).collect::<Vec<_>>()))
    .execute(connection)
    .await?;
    Ok(())
}
