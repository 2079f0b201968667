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

use qqq_store::StoreError;
use std::time::Duration;
use tokio::time::Instant;

/// How long a busy store is asked again before the role fails, and the process with it.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Asks a store again while another process holds it.
async fn patiently<T, F, W>(mut ask: F) -> Result<T, StoreError>
where
    F: FnMut() -> W,
    W: Future<Output = Result<T, StoreError>>,
{
    let deadline = Instant::now() + BUSY_PATIENCE;
    loop {
        match ask().await {
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                tracing::warn!(%error, "trying again");
                tokio::time::sleep(PAUSE).await;
            }
            result => return result,
        }
    }
}
