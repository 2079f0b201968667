//! What keeps a store in order.

use crate::error::StoreError;
use async_trait::async_trait;
use jiff::Timestamp;
use std::time::Duration;

/// Held while a process is the store's only worker; released when dropped or when the process dies.
pub trait WorkerLock: Send + Sync {}

/// What keeps a store in order.
#[async_trait]
pub trait Housekeeping: Send + Sync {
    /// Becomes the store's worker. Fails with [`StoreError::WorkerRunning`] while another process is.
    async fn lock_worker(&self) -> Result<Box<dyn WorkerLock>, StoreError>;

    /// A small named text kept with the data.
    async fn note(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Keeps a small named text with the data.
    async fn set_note(&self, name: &str, text: &str) -> Result<(), StoreError>;

    /// Deletes what is of no use any more, at most `limit` rows, and answers how many; fewer than `limit`
    /// mean that nothing is left to delete. `now` is the wall clock. Of no use: subscriptions whose
    /// confirmation deadline passed more than 24 hours ago or that ended more than 30 days ago, with all
    /// their deliveries; deliveries settled more than 90 days ago; suppressions that no longer hold;
    /// sessions that have ended; requests for a link to sign in of more than two days ago.
    async fn forget(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Which backend it is: `sqlite`. Anybody may know.
    fn kind(&self) -> &'static str;

    /// One line for the operator: backend, version, place. No secrets.
    fn describe(&self) -> String;

    /// Looks through everything, whether it is sound. Takes as long as reading all of it.
    async fn check(&self) -> Result<(), StoreError>;

    /// The same without looking at indexes, for so long at most. False where it was not enough to look
    /// through everything, and nothing was found so far.
    async fn quick_check(&self, within: Duration) -> Result<bool, StoreError>;

    /// Whether the store is still the one that was opened, and may be written to: its files lie under their
    /// names, and no sync has failed. Where not, nothing is written any more until it is opened anew. Cheap.
    fn intact(&self) -> Result<(), StoreError>;

    /// Whether a write would be taken now: what the latest write found, where that was within the last ten
    /// seconds, else by writing what is there already. [`StoreError::NoRoom`] where the disk takes nothing.
    async fn writable(&self) -> Result<(), StoreError>;

    /// Bytes of what is written and has not found its place yet. Grows for as long as somebody reads on and
    /// on.
    fn log_bytes(&self) -> u64;

    /// Waits for writes under way and closes, leaving no write-ahead log behind where possible.
    async fn close(&self);
}
