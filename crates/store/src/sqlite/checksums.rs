//! The checks of rows that earlier versions wrote without.

use super::open_bars::{self, CHECK_BARS};
use super::rows::{self, bar_columns};
use super::sql::bounded;
use super::store::Sqlite;
use crate::{BarRecord, Housekeeping as _, StoreError};
use sqlx::SqliteConnection;

/// Set once every row has its check.
const NOTE: &str = "checksums";

/// Rows that get their check in one transaction.
const PIECE: usize = 5_000;

/// Gives the rows of earlier versions their check, once. On a full disk the rest waits for the next start.
pub(super) async fn complete(store: &Sqlite) -> Result<(), StoreError> {
    if store.note(NOTE).await?.is_some() {
        return Ok(());
    }
    let mut after = (i64::MIN, String::new());
    loop {
        let mut write = store.begin().await?;
        let rows = sqlx::query(concat!(
            "select ",
            bar_columns!(),
            " from bars where (start, symbol) > (?, ?) order by start, symbol limit ?"
        ))
        .bind(after.0)
        .bind(after.1.clone())
        .bind(bounded(PIECE))
        .fetch_all(&mut *write)
        .await?;
        let records = rows.iter().map(rows::bar).collect::<Result<Vec<_>, _>>()?;
        write_checks(&mut write, &records).await?;
        store.finish(write).await?;
        match records.last() {
            Some(last) if records.len() == PIECE => {
                after = (last.bar.start.unix(), last.bar.symbol.as_str().to_owned());
            }
            _ => return store.set_note(NOTE, "every bar has one").await,
        }
    }
}

async fn write_checks(connection: &mut SqliteConnection, records: &[BarRecord]) -> Result<(), StoreError> {
    for (sql, piece) in CHECK_BARS.pieces(records) {
        let query = piece.iter().fold(sqlx::query(sql), |query, record| {
            open_bars::bind_bar(query, &record.bar, record.revision, 0)
        });
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
