//! The roles of a process: `ingest` and `detect` bring bars into the store, `dispatch` sends what is owed,
//! `serve` answers readers, `retain` forgets old bars.

pub mod detect;
pub mod dispatch;
pub mod failover;
pub mod ingest;
pub mod relay;
pub mod retain;
pub mod schedule;
pub mod symbol_troubles;
pub mod watches;

use qqq_store::{Store, StoreError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a busy store is asked again before the role fails, and the process with it.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// How often a store is asked again whose disk takes nothing.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);

/// Asks a store again while another process holds it, and for as long as its disk takes nothing: a role that waits for
/// room is not a broken one, and goes on by itself. The store tells readiness and the log.
async fn patiently<T, F, W>(mut ask: F) -> Result<T, StoreError>
where
    F: FnMut() -> W,
    W: Future<Output = Result<T, StoreError>>,
{
    let mut deadline = Instant::now() + BUSY_PATIENCE;
    loop {
        match ask().await {
            Err(StoreError::NoRoom(_)) => {
                tokio::time::sleep(NO_ROOM_PAUSE).await;
                deadline = Instant::now() + BUSY_PATIENCE;
            }
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                tracing::warn!(%error, "trying again");
                tokio::time::sleep(PAUSE).await;
            }
            result => return result,
        }
    }
}

/// Returns once the disk takes nothing: whoever is to end does not wait for room.
async fn without_room(store: &dyn Store) {
    while !matches!(store.writable().await, Err(StoreError::NoRoom(_))) {
        tokio::time::sleep(PAUSE).await;
    }
}
