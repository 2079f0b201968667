//! Retain: forgets bars older than their retention, a little at a time.

use jiff::SignedDuration;
use qqq_core::Minute;
use qqq_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Bars deleted in one transaction: short enough that commits hardly wait.
const CHUNK: u32 = 5_000;
const EVERY: Duration = Duration::from_secs(60 * 60);
const BREATH: Duration = Duration::from_millis(200);

/// Deletes old bars every hour until `stop`. Age is counted by the feed's clock: a recording of last year is
/// not old while it plays.
pub async fn run(store: Arc<dyn Store>, retention: Duration, stop: CancellationToken) -> anyhow::Result<()> {
    let age = SignedDuration::try_from(retention)?;
    loop {
        let clock = store.feed_status().await?.map(|feed| feed.clock);
        if let Some(before) = clock.and_then(|clock| clock.checked_sub(age).ok()) {
            match prune(store.as_ref(), Minute::containing(before), &stop).await {
                Ok(0) => {}
                Ok(bars) => info!(bars, "bars past their retention were deleted"),
                Err(error) if error.is_transient() => warn!(%error, "old bars stay until the next round"),
                Err(error) => return Err(error.into()),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn prune(
    store: &dyn Store,
    before: Minute,
    stop: &CancellationToken,
) -> Result<u64, qqq_store::StoreError> {
    let mut total = 0;
    loop {
        let deleted = store.prune_bars(before, CHUNK).await?;
        total += deleted;
        if deleted < u64::from(CHUNK) || stop.is_cancelled() {
            return Ok(total);
        }
        tokio::time::sleep(BREATH).await;
    }
}
