//! For programs: `{"type","timestamp","data"}` as Standard Webhooks recommends, an alert in the API's shape.

use super::Note;
use crate::links::Links;
use crate::news::News;
use qqq_core::delivery::Delivery;
use qqq_core::subscription::{Subscription, SubscriptionStatus};
use qqq_core::token::WebhookSecret;
use qqq_core::{Alert, Evidence, Metric};
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::Display;

/// An event.
#[derive(Serialize)]
pub(super) struct EventOut {
    r#type: &'static str,
    /// When it came to be owed, by the wall clock: the same at every attempt.
    timestamp: String,
    data: DataOut,
}

#[derive(Serialize)]
struct DataOut {
    title: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<AlertOut>,
    /// Of digests only, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<AlertOut>,
    subscription: SubscriptionOut,
    /// What the receiver needs to know of the subscription once. Of confirmations only.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    credentials: Option<CredentialsOut>,
    links: LinksOut,
}

#[derive(Serialize)]
struct SubscriptionOut {
    id: String,
    symbol: String,
    metric: &'static str,
    status: &'static str,
}

#[derive(Serialize)]
struct CredentialsOut {
    token: String,
    secret: Option<String>,
}

#[derive(Serialize)]
struct LinksOut {
    page: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<String>,
    unsubscribe: String,
    /// Ends every subscription of the same receiver. Of digests only.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsubscribe_all: Option<String>,
}

impl EventOut {
    pub(super) fn new(
        news: &News<'_>,
        note: &Note,
        delivery: &Delivery,
        links: &Links,
        secret: Option<&WebhookSecret>,
    ) -> Self {
        let (r#type, alert, alerts) = match *news {
            News::Confirmation => ("subscription.confirmation", None, &[][..]),
            News::Alert(alert) => ("alert.raised", Some(alert), &[][..]),
            News::Retraction(alert) => ("alert.retracted", Some(alert), &[][..]),
            News::Digest(alerts) => ("alert.digest", None, alerts),
        };
        let is_confirmation = matches!(news, News::Confirmation);
        let subscription @ Subscription { id, symbol, metric, status, .. } = &delivery.subscription;
        let pending = *status == SubscriptionStatus::Pending;
        let credentials = is_confirmation.then(|| CredentialsOut {
            token: links.manage_token(subscription).expose().to_owned(),
            secret: secret.map(WebhookSecret::expose),
        });
        let data = DataOut {
            title: note.title.clone(),
            text: note.paragraphs.first().cloned().unwrap_or_default(),
            alert: alert.map(AlertOut::from),
            alerts: alerts.iter().map(AlertOut::from).collect(),
            subscription: SubscriptionOut {
                id: id.to_string(),
                symbol: symbol.to_string(),
                metric: metric.as_str(),
                status: status.as_str(),
            },
            credentials,
            links: LinksOut {
                page: if alerts.is_empty() { links.symbol(symbol.as_str()) } else { links.home() },
                alert: alert.map(|alert| links.alert(alert.id)),
                confirm: (is_confirmation && pending).then(|| links.confirm(subscription)),
                unsubscribe: links.unsubscribe(subscription),
                unsubscribe_all: (!alerts.is_empty()).then(|| links.unsubscribe_all(subscription)),
            },
        };
        Self { r#type, timestamp: delivery.created_at.to_string(), data }
    }
}

/// An alert with its evidence, in the shape of `GET /v1/alerts/{id}`.
#[derive(Serialize)]
struct AlertOut {
    id: String,
    rule: String,
    kind: &'static str,
    symbol: String,
    metric: &'static str,
    start: String,
    value: Option<Box<RawValue>>,
    average: Option<f64>,
    ratio: Option<f64>,
    window_bars: u16,
    feed: String,
    revision: u32,
    state: &'static str,
    raised_at: String,
    occurrences: usize,
    peak: Option<Box<RawValue>>,
    evidence: EvidenceOut,
}

/// What the value was compared with, exact: dollars or shares, and their squares.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum EvidenceOut {
    Average {
        sum: Option<Box<RawValue>>,
        bars: u16,
    },
    Deviation {
        sum: Option<Box<RawValue>>,
        sum_of_squares: Option<Box<RawValue>>,
        bars: u16,
        stdev: Option<f64>,
    },
    Origin {
        value: Option<Box<RawValue>>,
        start: String,
    },
    Crossing {
        level: Option<Box<RawValue>>,
        before: Option<Box<RawValue>>,
    },
    Median {
        median: Option<Box<RawValue>>,
        sessions: u16,
    },
}

impl EvidenceOut {
    fn new(metric: Metric, evidence: &Evidence) -> Self {
        let shown = |value: i64| exact(metric.show(value));
        match *evidence {
            Evidence::Average { sum, bars } => Self::Average { sum: shown(sum), bars },
            Evidence::Deviation { sum, squares, bars } => Self::Deviation {
                sum: shown(sum),
                sum_of_squares: exact(metric.show_square(squares)),
                bars,
                stdev: evidence.stdev().map(|stdev| stdev / metric.units() as f64),
            },
            Evidence::Origin { value, start } => {
                Self::Origin { value: shown(value), start: start.to_string() }
            }
            Evidence::Crossing { level, before } => {
                Self::Crossing { level: shown(level), before: shown(before) }
            }
            Evidence::Median { twice, sessions } => {
                let half = if twice % 2 == 0 { "" } else { ".5" };
                Self::Median { median: exact(format_args!("{}{half}", twice / 2)), sessions }
            }
        }
    }
}

impl From<&Alert> for AlertOut {
    fn from(alert: &Alert) -> Self {
        Self {
            id: alert.id.to_string(),
            rule: alert.rule.to_string(),
            kind: alert.rule.kind(),
            symbol: alert.symbol.to_string(),
            metric: alert.metric.as_str(),
            start: alert.start.to_string(),
            value: exact(alert.metric.show(alert.value)),
            average: alert.baseline(),
            ratio: alert.ratio(),
            window_bars: alert.evidence.bars(),
            feed: alert.feed.to_string(),
            revision: alert.revision,
            state: alert.state.as_str(),
            raised_at: alert.raised_at.to_string(),
            occurrences: alert.count(),
            peak: exact(alert.metric.show(alert.peak())),
            evidence: EvidenceOut::new(alert.metric, &alert.evidence),
        }
    }
}

/// A number, digit by digit as given.
fn exact(number: impl Display) -> Option<Box<RawValue>> {
    RawValue::from_string(number.to_string()).ok()
}
