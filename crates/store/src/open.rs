//! Picks the backend.

use crate::error::StoreError;
use crate::sqlite::Sqlite;
use crate::traits::Store;
use std::sync::Arc;

/// Opens the store a URL names: `sqlite://data/qqq-tracker.db` (relative) or `sqlite:///var/lib/x.db`.
/// Creates it, and its folder, where there is none, and brings its schema up to date.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once("://") {
        Some(("sqlite", path)) => Ok(Arc::new(Sqlite::open(path).await?)),
        Some((scheme @ ("postgres" | "postgresql" | "mongodb"), _)) => {
            Err(StoreError::NotBuiltIn(scheme.to_owned()))
        }
        _ => Err(StoreError::UnknownScheme(url.split("://").next().unwrap_or_default().to_owned())),
    }
}
