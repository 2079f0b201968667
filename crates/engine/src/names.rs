//! Keeps the names of symbols fresh, once a day. Nothing waits for them, and no failure of theirs ends
//! anything.

use jiff::Timestamp;
use qqq_core::Clock;
use qqq_feed::NameSource;
use qqq_store::{NameStore, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The time from the start to the first look: bars come first.
pub const FIRST: Duration = Duration::from_secs(60);
/// How old names become.
pub const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause after a failure that may pass.
pub const AGAIN: Duration = Duration::from_secs(60 * 60);

/// Asks `source` for the names whenever those of `store` are old, until `stop`.
pub async fn run(
    store: Arc<dyn NameStore>,
    source: Arc<dyn NameSource>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match look(&*store, &*source, &*clock, &stop).await {
            Ok(pause) => pause,
            Err(error) => {
                warn!(%error, "the names of symbols could not be kept; trying again in an hour");
                AGAIN
            }
        };
    }
}

/// Asks for the names where they are old. Answers when to look again.
async fn look(
    store: &dyn NameStore,
    source: &dyn NameSource,
    clock: &dyn Clock,
    stop: &CancellationToken,
) -> Result<Duration, StoreError> {
    let told = store.symbol_names_told().await?;
    if let Some(rest) = told.and_then(|told| rest(told, clock.now())) {
        return Ok(rest);
    }
    let answer = tokio::select! {
        () = stop.cancelled() => return Ok(AGAIN),
        answer = source.names() => answer,
    };
    let provider = source.provider();
    match answer {
        Ok(found) if found.names.is_empty() => {
            warn!(provider, refused = found.refused, "no symbol has a name there: names stay as they were");
            Ok(EVERY)
        }
        Ok(found) => {
            store.keep_symbol_names(&found.names, clock.now()).await?;
            info!(provider, names = found.names.len(), refused = found.refused, "symbols have their names");
            Ok(EVERY)
        }
        Err(error) => {
            warn!(provider, %error, "the names of symbols stay as they were");
            Ok(if error.is_retryable() { AGAIN } else { EVERY })
        }
    }
}

/// How long names that were told at `told` are still good; `None` where they are old. Those of tomorrow are:
/// a clock was set back.
fn rest(told: Timestamp, now: Timestamp) -> Option<Duration> {
    let age = Duration::try_from(now.duration_since(told)).ok()?;
    EVERY.checked_sub(age).filter(|rest| !rest.is_zero())
}
