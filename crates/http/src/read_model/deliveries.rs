//! What became of messages to subscribers, as far as anybody may know: how many, and of the last that failed
//! what kind of failure it was. No address, no host, no ticker and nothing that a receiver answered gets out.

use crate::dto::words::{ChannelWord, DeliveryKindWord, FailureWord, WaitsForWord};
use crate::read_model::store_health::{STORE_PATIENCE, StoreHealth, store_health};
use jiff::Timestamp;
use qqq_core::Second;
use qqq_core::delivery::{FailureKind, WaitsFor};
use qqq_store::{DeliveryQuery, DeliveryRecord, DeliveryState, OutboxSummary, Store, StoreError};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

/// How long an answer of the store does for all who ask: they cannot make it work more often.
const KEPT: Duration = Duration::from_secs(5);
/// Failures told.
const FAILURES: usize = 5;
/// Failures looked at for them: they are listed by when they were enqueued, and told by when they failed.
const LOOKED_AT: usize = 100;
/// Messages that wait, the newest, looked at for what they wait for.
const WAITING_LOOKED_AT: usize = 500;

/// What the store last said.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Option<(Instant, Arc<Said>)>>);

/// What the store says of itself and of what is owed.
pub(crate) struct Said {
    /// How it is.
    pub(crate) health: StoreHealth,
    deliveries: Option<Deliveries>,
}

struct Deliveries {
    summary: OutboxSummary,
    /// How many wait for what, in the order of [`WaitsFor::ALL`].
    waiting_for: Vec<(WaitsFor, usize)>,
    /// The newest that waits for another attempt.
    retrying: Option<DeliveryRecord>,
    /// Newest first.
    failures: Vec<DeliveryRecord>,
}

/// Messages to subscribers, but for those so old that they are forgotten.
#[derive(Serialize, ToSchema)]
#[schema(as = Deliveries)]
pub(crate) struct DeliveriesOut {
    /// Waiting for their time or under way.
    waiting: u64,
    /// For how long the oldest of these has been owed, seconds; `null` where none is.
    #[schema(required = true, minimum = 0)]
    oldest_waiting_seconds: Option<i64>,
    /// What these wait for, each once; of very many, the newest 500.
    #[schema(max_items = 5)]
    waiting_for: Vec<WaitingOut>,
    /// The newest of these that was not accepted so far, and is tried again; `null` where none is.
    #[schema(required = true)]
    retrying: Option<RetryOut>,
    /// Accepted by their receivers.
    sent: u64,
    /// Refused for good.
    failed: u64,
    /// Not accepted while they were worth sending.
    expired: u64,
    /// Of the last that failed or expired, newest first.
    #[schema(max_items = 5)]
    last_failures: Vec<FailureOut>,
}

/// Messages that wait for the same.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryWaiting)]
struct WaitingOut {
    /// What they wait for.
    #[schema(value_type = WaitsForWord)]
    reason: &'static str,
    /// How many.
    #[schema(minimum = 1, example = 12)]
    messages: usize,
}

/// A message that is tried again.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryRetry)]
struct RetryOut {
    /// How it is sent.
    #[schema(value_type = ChannelWord)]
    channel: &'static str,
    /// What it is to tell.
    #[schema(value_type = DeliveryKindWord)]
    kind: &'static str,
    /// How often it was tried.
    #[schema(minimum = 1, example = 3)]
    attempts: u32,
    /// What kind of failure the last attempt was.
    #[schema(example = "no connection")]
    reason: String,
}

/// A message that did not get through.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryFailure)]
struct FailureOut {
    /// The minute it was given up in, UTC.
    #[schema(format = DateTime, example = "2025-01-31T20:59:00Z")]
    at: String,
    /// How it was sent.
    #[schema(value_type = ChannelWord)]
    channel: &'static str,
    /// What it was to tell.
    #[schema(value_type = DeliveryKindWord)]
    kind: &'static str,
    /// How it failed.
    #[schema(value_type = FailureWord)]
    state: &'static str,
    /// What kind of failure it was.
    #[schema(example = "the receiver refused it (550)")]
    reason: String,
}

impl Heard {
    /// What the store says, at most some seconds old. One request asks it, the others wait for that.
    pub(crate) async fn store_says(&self, store: &dyn Store, now: Timestamp) -> Arc<Said> {
        let mut heard = self.0.lock().await;
        if let Some((at, said)) = &*heard
            && at.elapsed() < KEPT
        {
            return Arc::clone(said);
        }
        let health = store_health(store).await;
        let deliveries = if health.answers { deliveries(store, now).await } else { None };
        let said = Arc::new(Said { health, deliveries });
        *heard = Some((Instant::now(), Arc::clone(&said)));
        said
    }
}

async fn deliveries(store: &dyn Store, now: Timestamp) -> Option<Deliveries> {
    match tokio::time::timeout(STORE_PATIENCE, read(store, now)).await {
        Ok(Ok(deliveries)) => Some(deliveries),
        Ok(Err(error)) => {
            tracing::warn!(%error, "could not look at the deliveries");
            None
        }
        Err(_elapsed) => None,
    }
}

async fn read(store: &dyn Store, now: Timestamp) -> Result<Deliveries, StoreError> {
    let summary = store.outbox().await?;
    let state = DeliveryState::Pending;
    let query = DeliveryQuery { state, address: None, after: None, limit: WAITING_LOOKED_AT };
    let waiting = store.deliveries(&query).await?;
    let reasons: Vec<WaitsFor> = waiting.iter().filter_map(|record| record.waits_for(now)).collect();
    let how_many = |reason: WaitsFor| (reason, reasons.iter().filter(|one| **one == reason).count());
    let waiting_for = WaitsFor::ALL.map(how_many).into_iter().filter(|(_, count)| *count > 0).collect();
    let retrying = waiting.into_iter().find(|record| record.attempts > 0 && record.failure.is_some());
    let mut failures = Vec::new();
    for state in [DeliveryState::Failed, DeliveryState::Expired] {
        let query = DeliveryQuery { state, address: None, after: None, limit: LOOKED_AT };
        failures.extend(store.deliveries(&query).await?);
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.settled_at));
    failures.truncate(FAILURES);
    Ok(Deliveries { summary, waiting_for, retrying, failures })
}

impl Said {
    /// What anybody may know of the deliveries; `None` where the store did not say.
    pub(crate) fn deliveries(&self, now: Timestamp) -> Option<DeliveriesOut> {
        let Deliveries { summary, waiting_for, retrying, failures } = self.deliveries.as_ref()?;
        let age = |since: Timestamp| (now.as_second() - since.as_second()).max(0);
        Some(DeliveriesOut {
            waiting: summary.pending,
            oldest_waiting_seconds: summary.oldest_pending.map(age),
            waiting_for: waiting_for
                .iter()
                .map(|&(reason, messages)| WaitingOut { reason: reason.as_str(), messages })
                .collect(),
            retrying: retrying.as_ref().map(RetryOut::from),
            sent: summary.sent,
            failed: summary.failed,
            expired: summary.expired,
            last_failures: failures.iter().map(FailureOut::from).collect(),
        })
    }
}

impl From<&DeliveryRecord> for RetryOut {
    fn from(record: &DeliveryRecord) -> Self {
        Self {
            channel: record.subscription.channel.kind().as_str(),
            kind: record.kind.as_str(),
            attempts: record.attempts,
            reason: words(record.failure.unwrap_or(FailureKind::Other)),
        }
    }
}

impl From<&DeliveryRecord> for FailureOut {
    fn from(record: &DeliveryRecord) -> Self {
        Self {
            // Not to the second: that would tell too well of which alert somebody was to hear.
            at: Second::minute_of(record.settled_at.unwrap_or(record.created_at)).to_string(),
            channel: record.subscription.channel.kind().as_str(),
            kind: record.kind.as_str(),
            state: record.state.as_str(),
            reason: told(record.state, record.failure),
        }
    }
}

/// A failure in words of ours.
fn told(state: DeliveryState, failure: Option<FailureKind>) -> String {
    match (state, failure) {
        (DeliveryState::Expired, None | Some(FailureKind::Other)) => {
            "expired before it was accepted".to_owned()
        }
        (DeliveryState::Expired, Some(kind)) => format!("expired before it was accepted: {}", words(kind)),
        (_, kind) => words(kind.unwrap_or(FailureKind::Other)),
    }
}

fn words(kind: FailureKind) -> String {
    match kind {
        FailureKind::Refused(Some(status)) => return format!("the receiver refused it ({status})"),
        FailureKind::Refused(None) => "the receiver refused it",
        FailureKind::GreetingRefused => "the mail server refused the name that this host gives in EHLO",
        FailureKind::KeyRefused => "the push service refused the key that pushes are signed with",
        FailureKind::Unreachable => "no connection",
        FailureKind::TimedOut => "no answer in time",
        FailureKind::BrokeOff => "the connection broke off",
        FailureKind::Blocked => "the receiver's address is not allowed",
        FailureKind::Other => "it could not be sent",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_by_its_kind() {
        use DeliveryState::{Expired, Failed};
        for (state, failure, expected) in [
            (Failed, Some(FailureKind::Refused(Some(550))), "the receiver refused it (550)"),
            (Failed, Some(FailureKind::Blocked), "the receiver's address is not allowed"),
            (
                Failed,
                Some(FailureKind::KeyRefused),
                "the push service refused the key that pushes are signed with",
            ),
            (Failed, Some(FailureKind::Other), "it could not be sent"),
            (Failed, None, "it could not be sent"),
            (Expired, None, "expired before it was accepted"),
            (Expired, Some(FailureKind::Other), "expired before it was accepted"),
            (
                Expired,
                Some(FailureKind::Refused(None)),
                "expired before it was accepted: the receiver refused it",
            ),
            (Expired, Some(FailureKind::Unreachable), "expired before it was accepted: no connection"),
            (Expired, Some(FailureKind::TimedOut), "expired before it was accepted: no answer in time"),
            (
                Expired,
                Some(FailureKind::BrokeOff),
                "expired before it was accepted: the connection broke off",
            ),
            (
                Expired,
                Some(FailureKind::GreetingRefused),
                "expired before it was accepted: \
                 the mail server refused the name that this host gives in EHLO",
            ),
        ] {
            assert_eq!(told(state, failure), expected, "{failure:?}");
        }
    }
}
