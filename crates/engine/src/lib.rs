//! What the program does, against the traits of feeds, store and channels alone: so it is tested without a
//! binary, a socket or a configuration.
//!
//! ```text
//! ingest    asks one feed for bars, by polls and by stream         schedule, symbol_troubles
//! relay     picks the feed that runs, of several                   failover
//! detect    judges bars and commits what comes of them             active_rules
//! dispatch  sends what is enqueued
//! closing   brings the bars of sessions that are over into the form in which they stay
//! archive   writes days that are over to files, and reads what retention has dropped
//! retain    deletes what is past its time
//! subscribe takes sign-ups, confirmations, changes and ends of subscriptions
//! names     keeps what symbols are called fresh
//! watchlist takes what operators change of the configured list
//! account   signs receivers in, and shows them what is theirs
//! backtest  tells what a rule would have told, of stored bars
//! ```

pub mod account;
pub mod active_rules;
pub mod archive;
pub mod backtest;
pub mod closing;
pub mod detect;
pub mod dispatch;
pub mod failover;
pub mod feed;
pub mod ingest;
pub mod metrics;
pub mod names;
pub mod poller;
pub mod relay;
pub mod retain;
pub mod schedule;
pub mod subscribe;
pub mod symbol_troubles;
pub mod watchlist;

use backon::{ConstantBuilder, Retryable as _};
use qqq_store::{Store, StoreError};
use std::time::Duration;
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(100);
/// How often a store is asked again whose disk takes nothing.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);
/// How often it is told that a store is still busy.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Asks a store again for as long as others hold it, and for as long as its disk takes nothing: a role that
/// waits its turn or for room is not a broken one, and goes on by itself. What it was to write waits with it,
/// and so does whoever hands it more. Of a full disk the store tells readiness and the log.
async fn retry_while_busy<T, F, W>(ask: F) -> Result<T, StoreError>
where
    F: FnMut() -> W,
    W: Future<Output = Result<T, StoreError>>,
{
    let mut told: Option<Instant> = None;
    ask.retry(ConstantBuilder::new().with_delay(PAUSE).without_max_times())
        .sleep(tokio::time::sleep)
        .when(|error| matches!(error, StoreError::NoRoom(_)) || error.is_transient())
        .adjust(
            |error, pause| if matches!(error, StoreError::NoRoom(_)) { Some(NO_ROOM_PAUSE) } else { pause },
        )
        .notify(|error, _| {
            let is_news = told.is_none_or(|at| at.elapsed() >= TOLD_EVERY);
            if is_news && !matches!(error, StoreError::NoRoom(_)) {
                told = Some(Instant::now());
                tracing::warn!(%error, "trying again until it is not");
            }
        })
        .await
}

/// Returns once the disk takes nothing: whoever is to end does not wait for room.
async fn without_room(store: &dyn Store) {
    while !matches!(store.writable().await, Err(StoreError::NoRoom(_))) {
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_busy_store_is_waited_for_as_long_as_it_takes_and_a_broken_one_is_not() {
        let mut asked = 0;
        let answer = retry_while_busy(|| {
            asked += 1;
            let busy = asked < 36_000;
            async move { if busy { Err(StoreError::Busy) } else { Ok(7) } }
        });
        assert_eq!(answer.await.unwrap(), 7);
        assert_eq!(asked, 36_000, "an hour");
        let broken = || async { Err::<(), _>(StoreError::Backend("no disk".to_owned())) };
        assert!(retry_while_busy(broken).await.is_err());
    }
}
