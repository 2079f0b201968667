//! Retain: deletes what is past its time, a little at a time.

use jiff::{SignedDuration, Timestamp};
use qqq_core::{Clock, Minute};
use qqq_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Rows deleted in one transaction: short enough that commits hardly wait.
const CHUNK: u32 = 5_000;
const EVERY: Duration = Duration::from_secs(60 * 60);
const BREATH: Duration = Duration::from_millis(200);

/// Deletes what is past its time every hour, until `stop`.
pub async fn run(
    store: Arc<dyn Store>,
    retention: Duration,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        match once(&*store, retention, clock.now(), &stop).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => warn!(%error, "what is old stays until the next round"),
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Deletes what is past its time at `now`, the wall clock. Bars age by the feed's clock: a recording of last
/// year is not old while it plays.
pub async fn once(
    store: &dyn Store,
    retention: Duration,
    _now: Timestamp,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let age = SignedDuration::try_from(retention).unwrap_or(SignedDuration::MAX);
    let clock = store.feed_status().await?.map(|feed| feed.clock);
    if let Some(before) = clock.and_then(|clock| clock.checked_sub(age).ok()) {
        let before = Minute::containing(before);
        let bars = in_chunks(stop, || store.prune_bars(before, CHUNK)).await?;
        if bars > 0 {
            info!(bars, "bars past their retention were deleted");
        }
    }
    Ok(())
}

/// Deletes chunk by chunk until one is not full. Answers how much.
async fn in_chunks<F, W>(stop: &CancellationToken, mut delete: F) -> Result<u64, StoreError>
where
    F: FnMut() -> W,
    W: Future<Output = Result<u64, StoreError>>,
{
    let mut total = 0;
    loop {
        let deleted = delete().await?;
        total += deleted;
        if deleted < u64::from(CHUNK) || stop.is_cancelled() {
            return Ok(total);
        }
        tokio::time::sleep(BREATH).await;
    }
}
