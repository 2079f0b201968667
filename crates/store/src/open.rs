//! Picks the backend.

use crate::error::StoreError;
use crate::record::StoredEdits;
use crate::sqlite::Sqlite;
use crate::traits::Store;
use std::sync::Arc;

/// Opens the store a URL names: `sqlite://data/qqq-tracker.db` (relative) or `sqlite:///var/lib/x.db`.
/// Creates it, and its folder, where there is none, and brings its schema up to date.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(Sqlite::open(sqlite_path(url)?).await?))
}

/// What operators changed of the watchlist in the store a URL names, for who only looks: nothing is made,
/// brought up to date or locked, and what an earlier version of this program wrote is read as it lies there.
pub async fn look_at_watchlist(url: &str) -> Result<StoredEdits, StoreError> {
    Sqlite::look_at_watchlist(sqlite_path(url)?).await
}

fn sqlite_path(url: &str) -> Result<&str, StoreError> {
    match url.split_once("://") {
        Some(("sqlite", path)) => Ok(path),
        Some((scheme @ ("postgres" | "postgresql" | "mongodb"), _)) => {
            Err(StoreError::NotBuiltIn(scheme.to_owned()))
        }
        _ => Err(StoreError::UnknownScheme(url.split("://").next().unwrap_or_default().to_owned())),
    }
}
