//! For programs: `{"type","timestamp","data"}` as Standard Webhooks recommends, an alert in the API's shape.

use super::note::Note;
use crate::links::Links;
use crate::news::News;
use qqq_contract::AlertOut;
use qqq_core::delivery::Delivery;
use qqq_core::subscription::token::WebhookSecret;
use qqq_core::subscription::{Subscription, SubscriptionStatus};
use serde::Serialize;

/// An event.
#[derive(Serialize)]
pub(super) struct EventOut {
    r#type: &'static str,
    /// When it was enqueued, by the wall clock: the same at every attempt.
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
    /// `*`: the watchlist.
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
        let subscription @ Subscription { id, scope, metric, status, .. } = &delivery.subscription;
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
                symbol: scope.to_string(),
                metric: metric.as_str(),
                status: status.as_str(),
            },
            credentials,
            links: LinksOut {
                page: alert.and_then(|alert| links.alert_page(alert)).unwrap_or_else(|| {
                    match alert.map(|alert| alert.symbol).or(scope.symbol()) {
                        Some(symbol) if alerts.is_empty() => links.symbol(symbol.as_str()),
                        _ => links.home(),
                    }
                }),
                alert: alert.map(|alert| links.alert(alert.id)),
                confirm: (is_confirmation && pending).then(|| links.confirm(subscription)),
                unsubscribe: links.unsubscribe(subscription),
                unsubscribe_all: (!alerts.is_empty()).then(|| links.unsubscribe_all(subscription)),
            },
        };
        Self { r#type, timestamp: delivery.created_at.to_string(), data }
    }
}
