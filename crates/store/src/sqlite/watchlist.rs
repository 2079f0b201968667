//! What operators changed of the configured watchlist.

use super::rows::Columns;
use super::store::Sqlite;
use crate::{StoreError, WatchlistEdits, WatchlistStore};
use async_trait::async_trait;
use qqq_core::market::watchlist::WatchlistEdit;
use sqlx::SqliteConnection;

#[async_trait]
impl WatchlistStore for Sqlite {
    async fn watchlist_edits(&self) -> Result<WatchlistEdits, StoreError> {
        let mut connection = self.readers.acquire().await?;
        edits(&mut connection).await
    }

    async fn watchlist_version(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("select version from watchlist_version").fetch_one(&self.readers).await?;
        Columns::new(&row, "watchlist_version").take()
    }

    async fn edit_watchlist(&self, edits: &[WatchlistEdit], version: u64) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let moved = sqlx::query("update watchlist_version set version = version + 1 where version = ?")
            .bind(i64::try_from(version).unwrap_or(i64::MAX))
            .execute(&mut *write)
            .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("delete from watchlist_edits").execute(&mut *write).await?;
        for (place, edit) in (0_i64..).zip(edits) {
            sqlx::query("insert into watchlist_edits (symbol, tracked, place) values (?, ?, ?)")
                .bind(edit.symbol.to_string())
                .bind(edit.tracked)
                .bind(place)
                .execute(&mut *write)
                .await?;
        }
        self.finish(write).await?;
        Ok(true)
    }
}

pub(super) async fn edits(connection: &mut SqliteConnection) -> Result<WatchlistEdits, StoreError> {
    // One statement: the version is that of these rows.
    let rows = sqlx::query(
        "select v.version, e.symbol, e.tracked from watchlist_version v left join watchlist_edits e \
         order by e.place",
    )
    .fetch_all(connection)
    .await?;
    let mut found = WatchlistEdits::default();
    for row in &rows {
        let mut columns = Columns::new(row, "watchlist_edits");
        found.version = columns.take()?;
        if let Some(symbol) = columns.maybe()? {
            found.edits.push(WatchlistEdit { symbol, tracked: columns.take()? });
        }
    }
    Ok(found)
}
