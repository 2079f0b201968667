//! Looking at a file without opening it as a store: nothing is made, migrated or locked.

use super::connections::options;
use super::open::file_of;
use super::store::Sqlite;
use super::{names, schema, watchlist};
use crate::{StoreError, StoredEdits, WatchlistEdits};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::collections::BTreeMap;

impl Sqlite {
    pub(crate) async fn look_at_watchlist(path: &str) -> Result<StoredEdits, StoreError> {
        let options = options(&file_of(path)?).read_only(true).pragma("query_only", "on");
        let refused = |reason: String| StoreError::Open { place: path.to_owned(), reason };
        let mut connection = options.connect().await.map_err(|error| refused(error.to_string()))?;
        let found = edits(&mut connection).await.map_err(|error| match error {
            StoreError::Backend(reason) | StoreError::Corrupt { reason, .. } => refused(reason),
            other => other,
        })?;
        connection.close().await?;
        Ok(found)
    }
}

/// One snapshot of the schema's version and what lies under it.
async fn edits(connection: &mut SqliteConnection) -> Result<StoredEdits, StoreError> {
    let mut read = connection.begin().await?;
    let schema = schema::version_of(&mut read).await?;
    let edits = match is_kept(&mut read, "watchlist_edits").await? {
        true => watchlist::edits(&mut read).await?,
        false => WatchlistEdits::default(),
    };
    let names = match is_kept(&mut read, "symbol_names").await? {
        true => names::all(&mut read).await?.names,
        false => BTreeMap::new(),
    };
    Ok(StoredEdits { edits, names, schema, newest_schema: schema::NEWEST })
}

/// Whether the schema has a table already.
async fn is_kept(connection: &mut SqliteConnection, table: &str) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query_scalar("select exists (select 1 from sqlite_schema where name = ?1)");
    asked.bind(table).fetch_one(connection).await
}
