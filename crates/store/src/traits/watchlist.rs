//! What operators changed of the configured watchlist.

use crate::error::StoreError;
use crate::record::WatchlistEdits;
use async_trait::async_trait;
use qqq_core::market::watchlist::WatchlistEdit;

/// What operators changed of the configured watchlist.
#[async_trait]
pub trait WatchlistStore: Send + Sync {
    /// All of it, oldest first, and its version: 0 where nothing was ever changed.
    async fn watchlist_edits(&self) -> Result<WatchlistEdits, StoreError>;

    /// The version of what [`watchlist_edits`](Self::watchlist_edits) answers: a larger one where that has
    /// changed. Cheap: asked for every second.
    async fn watchlist_version(&self) -> Result<u64, StoreError>;

    /// Keeps these edits, in this order, instead of all there are, where nothing was changed since `version`.
    /// Answers whether it was so: otherwise the edits are to be looked at anew.
    async fn edit_watchlist(&self, edits: &[WatchlistEdit], version: u64) -> Result<bool, StoreError>;
}
