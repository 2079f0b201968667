//! Dispatch: claims due deliveries by lease, sends them, settles them.
//!
//! Nothing is sent while a transaction is open. A kick is a hint, the scan is the truth: a lost kick costs
//! seconds.

use super::patiently;
use crate::metrics::Metrics;
use jiff::{SignedDuration, Timestamp};
use qqq_core::Clock;
use qqq_core::delivery::{Delivery, Outcome, retry_at};
use qqq_notify::{Deliver, DeliveryError};
use qqq_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Deliveries under way at once: the most that a kill can make uncertain.
pub const AT_ONCE: usize = 16;
/// How long a claim holds without a sign of life.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// How often a delivery under way shows a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often the store is scanned without a hint.
const SCAN: Duration = Duration::from_secs(1);
/// How long deliveries under way may take to finish once the process is asked to stop.
const DRAIN: Duration = Duration::from_secs(8);

/// Sends what is owed.
#[derive(Clone)]
pub struct Dispatch {
    /// Where deliveries are claimed and settled.
    pub store: Arc<dyn Store>,
    /// How they reach people.
    pub channel: Arc<dyn Deliver>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Dispatch {
    /// Sends until `stop`, then lets what is under way finish, for a while.
    pub async fn run(self, kick: Arc<Notify>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut under_way: JoinSet<Result<(), StoreError>> = JoinSet::new();
        loop {
            while under_way.len() < AT_ONCE && !stop.is_cancelled() {
                let claimed = self.claim(AT_ONCE - under_way.len()).await?;
                if claimed.is_empty() {
                    break;
                }
                for delivery in claimed {
                    under_way.spawn(self.clone().send(delivery));
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = under_way.join_next() => ended??,
                () = kick.notified() => {}
                () = tokio::time::sleep(SCAN) => {}
            }
        }
        let unfinished = tokio::time::timeout(DRAIN, async {
            while let Some(ended) = under_way.join_next().await {
                ended??;
            }
            anyhow::Ok(())
        });
        match unfinished.await {
            Ok(result) => result,
            Err(_) => {
                warn!(
                    deliveries = under_way.len(),
                    "stopped before their receivers answered; they will be tried again"
                );
                under_way.shutdown().await;
                Ok(())
            }
        }
    }

    /// Sends everything that is due now, and what becomes due by it, once.
    pub async fn run_once(&self) -> anyhow::Result<usize> {
        let mut sent = 0;
        loop {
            let mut under_way = JoinSet::new();
            for delivery in self.claim(AT_ONCE).await? {
                under_way.spawn(self.clone().send(delivery));
            }
            if under_way.is_empty() {
                return Ok(sent);
            }
            while let Some(ended) = under_way.join_next().await {
                ended??;
                sent += 1;
            }
        }
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        let now = self.clock.now();
        patiently(|| self.store.claim(now, later(now, LEASE), limit)).await
    }

    /// One attempt, with its lease kept alive, to its settling.
    async fn send(self, delivery: Delivery) -> Result<(), StoreError> {
        let attempt = self.channel.deliver(&delivery);
        tokio::pin!(attempt);
        let mut beat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let result = loop {
            tokio::select! {
                result = &mut attempt => break result,
                _ = beat.tick() => {
                    let until = later(self.clock.now(), LEASE);
                    match self.store.renew(delivery.id, delivery.lease, until).await {
                        Ok(true) => {}
                        // Somebody else took over while this process slept: to go on would send it twice.
                        Ok(false) => {
                            warn!(delivery.id = %delivery.id, "lease lost; the attempt is abandoned");
                            return Ok(());
                        }
                        Err(error) => warn!(delivery.id = %delivery.id, %error, "lease not renewed"),
                    }
                }
            }
        };
        let now = self.clock.now();
        let outcome = match result {
            Ok(()) => Outcome::Sent,
            Err(DeliveryError::Retry(reason)) => {
                Outcome::RetryAt(retry_at(delivery.id, delivery.attempt, now), reason)
            }
            Err(DeliveryError::GiveUp(reason)) => Outcome::Failed(reason),
        };
        let settled = patiently(|| self.store.settle(delivery.id, delivery.lease, &outcome, now)).await?;
        self.metrics.delivery(delivery.kind, &outcome);
        let (id, kind, attempt) = (delivery.id, delivery.kind, delivery.attempt);
        match outcome {
            Outcome::Sent => debug!(delivery.id = %id, %kind, attempt, "sent"),
            Outcome::RetryAt(at, reason) => {
                warn!(delivery.id = %id, %kind, attempt, next = %at, reason, "not accepted; trying again later");
            }
            Outcome::Failed(reason) => {
                warn!(delivery.id = %id, %kind, attempt, reason, "refused for good");
            }
        }
        if !settled {
            info!(delivery.id = %id, "settled by somebody else meanwhile");
        }
        Ok(())
    }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
