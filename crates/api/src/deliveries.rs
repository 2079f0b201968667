//! What became of messages to subscribers, as far as anybody may know: how many, and of the last that failed what kind
//! of failure it was. No address, no host, no ticker and nothing that a receiver answered gets out.

use crate::Api;
use crate::health::{STORE_PATIENCE, StoreHealth};
use crate::openapi::{ChannelWord, DeliveryKindWord, FailureWord};
use jiff::Timestamp;
use qqq_core::Minute;
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
/// Failures looked at for them: they are listed by when they came to be owed, and told by when they failed.
const LOOKED_AT: usize = 100;

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

impl Api {
    /// What the store says, at most some seconds old. One request asks it, the others wait for that.
    pub(crate) async fn store_says(&self) -> Arc<Said> {
        let mut heard = self.0.heard.0.lock().await;
        if let Some((at, said)) = &*heard
            && at.elapsed() < KEPT
        {
            return Arc::clone(said);
        }
        let health = self.store_health().await;
        let deliveries = if health.answers { self.deliveries().await } else { None };
        let said = Arc::new(Said { health, deliveries });
        *heard = Some((Instant::now(), Arc::clone(&said)));
        said
    }

    async fn deliveries(&self) -> Option<Deliveries> {
        match tokio::time::timeout(STORE_PATIENCE, read(&*self.0.store)).await {
            Ok(Ok(deliveries)) => Some(deliveries),
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not look at the deliveries");
                None
            }
            Err(_elapsed) => None,
        }
    }
}

async fn read(store: &dyn Store) -> Result<Deliveries, StoreError> {
    let summary = store.outbox().await?;
    let query = DeliveryQuery { state: DeliveryState::Pending, address: None, after: None, limit: LOOKED_AT };
    let waiting = store.deliveries(&query).await?;
    let retrying = waiting.into_iter().find(|record| record.attempts > 0 && record.reason.is_some());
    let mut failures = Vec::new();
    for state in [DeliveryState::Failed, DeliveryState::Expired] {
        let query = DeliveryQuery { state, address: None, after: None, limit: LOOKED_AT };
        failures.extend(store.deliveries(&query).await?);
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.settled_at));
    failures.truncate(FAILURES);
    Ok(Deliveries { summary, retrying, failures })
}

impl Said {
    /// What anybody may know of the deliveries; `None` where the store did not say.
    pub(crate) fn deliveries(&self, now: Timestamp) -> Option<DeliveriesOut> {
        let Deliveries { summary, retrying, failures } = self.deliveries.as_ref()?;
        let age = |since: Timestamp| (now.as_second() - since.as_second()).max(0);
        Some(DeliveriesOut {
            waiting: summary.pending,
            oldest_waiting_seconds: summary.oldest_pending.map(age),
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
            reason: Class::of(record.reason.as_deref().unwrap_or_default()).words(),
        }
    }
}

impl From<&DeliveryRecord> for FailureOut {
    fn from(record: &DeliveryRecord) -> Self {
        Self {
            // Not to the second: that would tell too well of which alert somebody was to hear.
            at: Minute::containing(record.settled_at.unwrap_or(record.created_at)).to_string(),
            channel: record.subscription.channel.kind().as_str(),
            kind: record.kind.as_str(),
            state: record.state.as_str(),
            reason: told(record.state, record.reason.as_deref().unwrap_or_default()),
        }
    }
}

/// A failure in words of ours: nothing but a status code is taken from the stored reason, which may quote anything.
fn told(state: DeliveryState, reason: &str) -> String {
    let class = Class::of(reason);
    match state {
        DeliveryState::Expired => match class {
            Class::Unknown => "expired before it was accepted".to_owned(),
            class => format!("expired before it was accepted: {}", class.words()),
        },
        _ => class.words(),
    }
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Refused(Option<u16>),
    /// Refused for what we said in EHLO.
    Hello,
    Unreachable,
    Silent,
    BrokenOff,
    Forbidden,
    Unknown,
}

impl Class {
    /// By the words in which channels tell their failures. The first ones count: what follows may be a receiver's.
    fn of(reason: &str) -> Self {
        if reason.ends_with("see email.helo_name") {
            return Self::Hello;
        }
        let marks = [
            (" refused ", Self::Refused(None)),
            (" answered ", Self::Refused(None)),
            (" cannot be reached", Self::Unreachable),
            (" did not answer", Self::Silent),
            (" broke off", Self::BrokenOff),
            (" is not sent", Self::Forbidden),
        ];
        let found = marks.into_iter().filter_map(|(mark, class)| Some((reason.find(mark)?, class)));
        match found.min_by_key(|(place, _)| *place) {
            Some((place, Self::Refused(_))) => Self::Refused(status_code(&reason[place..])),
            Some((_, class)) => class,
            None => Self::Unknown,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Refused(Some(code)) => return format!("the receiver refused it ({code})"),
            Self::Refused(None) => "the receiver refused it",
            Self::Hello => "the mail server refused the name that this host gives in EHLO",
            Self::Unreachable => "no connection",
            Self::Silent => "no answer in time",
            Self::BrokenOff => "the connection broke off",
            Self::Forbidden => "the receiver's address is not allowed",
            Self::Unknown => "it could not be sent",
        }
        .to_owned()
    }
}

/// The first number of a text, where it is a status that refuses, of SMTP or HTTP.
fn status_code(text: &str) -> Option<u16> {
    let first = text.split(|c: char| !c.is_ascii_digit()).find(|number| !number.is_empty())?;
    first.parse().ok().filter(|code| (300..600).contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_failure_is_told_by_its_kind() {
        use DeliveryState::{Expired, Failed};
        for (state, stored, expected) in [
            (
                Expired,
                "the mail server mx.example.com:25 refused RCPT TO: 504 5.5.2 <a1b2c3>: Helo command rejected; it was \
                 told `EHLO a1b2c3`, see email.helo_name",
                "expired before it was accepted: the mail server refused the name that this host gives in EHLO",
            ),
            (
                Failed,
                "the mail server mx.example.com:25 refused RCPT TO: 550 5.1.1 <ada@example.com>: no such user",
                "the receiver refused it (550)",
            ),
            (Failed, "hooks.example.com answered 410 Gone: bye 200", "the receiver refused it (410)"),
            (
                Failed,
                "a webhook at hooks.example.com is not sent: 10.0.0.1 answered 500",
                "the receiver's address is not allowed",
            ),
            (Failed, "the subscriber's address cannot be written to", "it could not be sent"),
            (Failed, "", "it could not be sent"),
            (Expired, "not accepted in time", "expired before it was accepted"),
            (
                Expired,
                "the mail server mx.example.com:25 cannot be reached: connection refused by 192.0.2.1",
                "expired before it was accepted: no connection",
            ),
            (
                Expired,
                "hooks.example.com answered 503 Service Unavailable: ada@example.com",
                "expired before it was accepted: the receiver refused it (503)",
            ),
            (
                Expired,
                "hooks.example.com did not answer in time",
                "expired before it was accepted: no answer in time",
            ),
            (
                Expired,
                "hooks.example.com broke off: reset",
                "expired before it was accepted: the connection broke off",
            ),
            (Failed, "x refused 5551234567 550", "the receiver refused it"),
        ] {
            assert_eq!(told(state, stored), expected, "{stored}");
        }
    }

    proptest! {
        /// Whatever is stored, the words are ours.
        #[test]
        fn nothing_of_a_stored_reason_gets_out(
            before in "[A-Z]{0,8}",
            mark in prop::sample::select(vec![" refused ", " answered ", " cannot be reached", " did not answer", ""]),
            after in "[A-Z0-9@.]{0,12}",
        ) {
            for state in [DeliveryState::Failed, DeliveryState::Expired] {
                let told = told(state, &format!("{before}{mark}{after}"));
                let ours = |c: char| c.is_ascii_lowercase() || " ':()".contains(c);
                let theirs: String = told.chars().filter(|&c| !ours(c)).collect();
                prop_assert!(theirs.is_empty() || theirs.parse::<u16>().is_ok_and(|code| code < 600), "{told}");
            }
        }
    }
}
