//! Retain: deletes what is past its time, a little at a time.

use crate::archive::{Archive, ArchiveError};
use crate::retry_while_busy;
use jiff::{SignedDuration, Timestamp};
use qqq_core::{Clock, Second};
use qqq_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Rows deleted in one transaction: short enough that commits hardly wait.
const CHUNK: u32 = 5_000;
/// Alerts deleted in one transaction: each with the deliveries that tell of it.
const ALERT_CHUNK: u32 = 500;
const EVERY: Duration = Duration::from_secs(60 * 60);
const BREATH: Duration = Duration::from_millis(200);

/// How long what is kept for a while only is kept, by the feed's clock.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Bars.
    pub bars: Duration,
    /// Alerts by rules of subscribers' own. The house's are kept for good.
    pub own_alerts: Duration,
}

/// Deletes what is past its time every hour, until `stop`.
pub async fn run(
    store: Arc<dyn Store>,
    retention: Retention,
    archive: Option<Archive>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        match once(&*store, retention, archive.as_ref(), clock.now(), &stop).await {
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

/// Deletes what is past its time at `now`, and is in the archive where there is one. `now` is the wall clock;
/// bars and alerts age by the feed's: a recording of last year is not old while it plays.
pub async fn once(
    store: &dyn Store,
    retention: Retention,
    archive: Option<&Archive>,
    now: Timestamp,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let clock = store.feed_status().await?.map(|feed| feed.clock);
    let before = |age: Duration| {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        clock.and_then(|clock| clock.checked_sub(age).ok()).map(Second::minute_of)
    };
    if let Some(mut before) = before(retention.bars) {
        if let Some(archive) = archive {
            before = match archive.holds_until(store, before).await {
                Ok(upto) => upto,
                Err(ArchiveError::Store(error)) => return Err(error),
                Err(error) => {
                    warn!("{error}; bars are kept beyond their retention");
                    Second::MIN
                }
            };
        }
        let bars = in_chunks(stop, CHUNK, || store.prune_bars(before, CHUNK)).await?;
        if bars > 0 {
            info!(bars, "bars past their retention were deleted");
        }
    }
    if let Some(before) = before(retention.own_alerts) {
        let alerts = in_chunks(stop, ALERT_CHUNK, || store.prune_private_alerts(before, ALERT_CHUNK)).await?;
        if alerts > 0 {
            info!(alerts, "alerts by subscribers' own rules past their retention were deleted");
        }
    }
    let rows = in_chunks(stop, CHUNK, || store.forget(now, CHUNK)).await?;
    if rows > 0 {
        info!(rows, "subscriptions and deliveries past their time were deleted");
    }
    Ok(())
}

/// Deletes chunk by chunk until one is not full. Answers how much.
async fn in_chunks<F, W>(stop: &CancellationToken, chunk: u32, mut delete: F) -> Result<u64, StoreError>
where
    F: FnMut() -> W,
    W: Future<Output = Result<u64, StoreError>>,
{
    let mut total = 0;
    loop {
        let deleted = retry_while_busy(&mut delete).await?;
        total += deleted;
        if deleted < u64::from(chunk) || stop.is_cancelled() {
            return Ok(total);
        }
        tokio::time::sleep(BREATH).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_core::subscription::SubscriptionId;
    use qqq_core::subscription::token::{Purpose, TokenKey};
    use qqq_core::{Channel, Metric, RuleName};
    use qqq_store::{SignUp, SignUpLimits};

    #[tokio::test]
    async fn a_sign_up_that_nobody_confirmed_is_deleted_two_days_later_even_without_a_feed() {
        let folder = tempfile::tempdir().unwrap();
        let store = qqq_store::open(&format!("sqlite://{}/store.db", folder.path().display())).await.unwrap();
        let id = SubscriptionId::from_random([7; 16]);
        let sign_up = SignUp {
            id,
            channel: Channel::Email("ada@example.com".parse().unwrap()),
            scope: "TSLA".parse().unwrap(),
            metric: Metric::Price,
            rule: RuleName::House,
            quiet: None,
            nonce: [7; 16],
            hashes: TokenKey::new([1; 32]).hashes(id, &[7; 16]),
            confirm: true,
        };
        let now: Timestamp = "2025-01-27T15:00:00Z".parse().unwrap();
        let limits = SignUpLimits::default();
        store.subscribe(std::slice::from_ref(&sign_up), limits, now).await.unwrap();
        store.take_in(limits, now).await.unwrap();
        for (hours, known) in [(0, true), (47, true), (49, false)] {
            let later = now + SignedDuration::from_hours(hours);
            let hour = Duration::from_secs(3600);
            let retention = Retention { bars: hour, own_alerts: hour };
            once(&*store, retention, None, later, &CancellationToken::new()).await.unwrap();
            let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap();
            assert_eq!(found.is_some(), known, "after {hours} h");
        }
    }
}
