//! How often bars come in this file: one cadence for all of them.

use super::read_bars;
use super::rows::Columns;
use super::store::Sqlite;
use crate::StoreError;
use qqq_core::Cadence;
use sqlx::SqliteConnection;

/// The cadence of the bars here.
pub(super) async fn of(connection: &mut SqliteConnection) -> Result<Cadence, StoreError> {
    let row = sqlx::query("select cadence from history").fetch_one(connection).await?;
    Columns::new(&row, "history").parse()
}

/// Takes on a cadence, where no bar of another is kept.
pub(super) async fn settle(store: &Sqlite, cadence: Cadence) -> Result<(), StoreError> {
    if of(&mut *store.readers.acquire().await?).await? == cadence {
        return Ok(());
    }
    let mut write = store.begin().await?;
    if read_bars::is_any(&mut write).await? {
        let kept = of(&mut write).await?;
        return if kept == cadence { Ok(()) } else { Err(StoreError::OtherCadence { kept, asked: cadence }) };
    }
    sqlx::query("update history set cadence = ?").bind(cadence.as_str()).execute(&mut *write).await?;
    store.finish(write).await
}
