//! Readers and alerts for tests.

use super::{DeliveryId, DeliveryKind, Transition};
use crate::alert::{Alert, AlertId, AlertState, Folded, Visibility};
use crate::subscription::channel::{Channel, Webhook, WebhookFormat};
use crate::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use crate::{Evidence, Metric, RuleName, Second, SpikeRule};
use jiff::Timestamp;

/// Receivers and their quiet hours; the first two are one recipient.
pub(super) const READERS: [(&str, Option<&str>); 4] = [
    ("ada@example.com", Some("22:00-07:00 Europe/Berlin")),
    ("Ada@example.com", None),
    ("https://example.com/hook", None),
    ("bob@example.org", Some("01:30-02:00 UTC")),
];

/// 2025-01-30T21:00:00Z, 22:00 in Berlin, and so many seconds.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_738_270_800 + seconds).unwrap()
}

/// The n-th reader, who listens to TSLA.
pub(super) fn reader(n: usize) -> Subscription {
    let (receiver, quiet) = READERS[n];
    let channel = match receiver.parse() {
        Ok(address) => Channel::Email(address),
        Err(_) => {
            let (url, format) = (receiver.parse().unwrap(), WebhookFormat::Standard);
            Channel::Webhook(Webhook { url, format })
        }
    };
    Subscription {
        id: SubscriptionId::from_random([n as u8; 16]),
        channel,
        scope: "TSLA".parse().unwrap(),
        metric: Metric::Volume,
        rule: RuleName::House,
        status: SubscriptionStatus::Active,
        created_at: at(0),
        active_from: Some(Second::from_minute(0)),
        quiet: quiet.map(|quiet| quiet.parse().unwrap()),
        paused_until: None,
        secret_generation: 0,
        secret_rotated_at: None,
        nonce: [0; 16],
    }
}

/// The delivery that tells the n-th reader of an alert.
pub(super) fn delivery(n: u8) -> DeliveryId {
    let alert = AlertId::derive("spike", "AAPL".parse().unwrap(), Metric::Price, Second::from_minute(0));
    DeliveryId::of_alert(DeliveryKind::Alert, alert, SubscriptionId::from_random([n; 16]))
}

/// The n-th alert, by its minute.
pub(super) fn raised(n: usize) -> Alert {
    let (symbol, start) = ("TSLA".parse().unwrap(), Second::from_minute(1000 + n as i32));
    Alert {
        id: AlertId::derive("spike", symbol, Metric::Volume, start),
        rule: RuleName::House.whole(SpikeRule::default()),
        symbol,
        metric: Metric::Volume,
        start,
        value: 1,
        evidence: Evidence::Average { sum: 60, bars: 60 },
        feed: "test".parse().unwrap(),
        revision: 0,
        state: AlertState::Raised,
        raised_at: at(0),
        visibility: Visibility::Public,
        occurrences: Vec::new(),
        folded: Folded::default(),
        close: None,
        previous_close: None,
    }
}

/// Transitions in few words, times in seconds since [`at`]`(0)`.
pub(super) fn outline(transitions: &[Transition]) -> String {
    let seconds = |time: &Timestamp| time.duration_since(at(0)).as_secs();
    let one = |transition: &Transition| match transition {
        Transition::HandOut { delivery, .. } => match delivery.digest.len() {
            0 => format!("hand out {} for the {}. time", delivery.kind, delivery.attempt),
            alerts => format!("hand out digest of {alerts} for the {}. time", delivery.attempt),
        },
        Transition::GiveBack(_) => "give back".to_owned(),
        Transition::End { state, why: None, .. } => state.to_string(),
        Transition::End { state, why: Some(why), .. } => format!("{state}: {}", why.text()),
        Transition::Retry { due_at, why, .. } => format!("retry at {}: {}", seconds(due_at), why.text()),
        Transition::Reschedule { due_at, expires_at, .. } => {
            format!("wait until {}, good until {}", seconds(due_at), seconds(expires_at))
        }
        Transition::Defer { only, due_at, expires_at, .. } => {
            let whose = if only.is_some() { "subscription" } else { "recipient" };
            format!("defer {whose} until {}, good until {}", seconds(due_at), seconds(expires_at))
        }
        Transition::Bundle { members, .. } => format!("bundle {}", members.len()),
        Transition::EnqueueRetraction { to, .. } => format!("retraction to {}", to.len()),
        Transition::CancelWaiting(cancel) => format!("cancel waiting: {}", cancel.why.as_str()),
        Transition::Suppress { why, .. } => format!("suppress: {}", why.as_str()),
        Transition::EndSubscription { status, .. } => format!("subscription {}", status.as_str()),
    };
    transitions.iter().map(one).collect::<Vec<_>>().join("; ")
}
