//! Subscriptions and deliveries, as tables and as JSON.

use crate::table::aligned;
use jiff::Timestamp;
use qqq_core::Channel;
use qqq_core::subscription::Subscription;
use qqq_store::DeliveryRecord;
use serde_json::{Value, json};

/// What stands where there is nothing.
const NONE: &str = "-";

pub(super) fn subscriptions(found: &[Subscription], as_json: bool) -> anyhow::Result<String> {
    if as_json {
        return items(found.iter().map(subscription_json).collect());
    }
    let mut rows =
        vec![["id", "status", "address", "symbol", "metric", "rule", "since", "paused"].map(str::to_owned)];
    rows.extend(found.iter().map(|one| {
        [
            one.id.to_string(),
            one.status.as_str().to_owned(),
            address(&one.channel),
            one.scope.to_string(),
            one.metric.to_string(),
            one.rule.to_string(),
            one.active_from.map_or_else(|| NONE.to_owned(), |from| from.to_string()),
            one.paused_until.map_or_else(|| NONE.to_owned(), until),
        ]
    }));
    Ok(aligned(&rows))
}

pub(super) fn deliveries(found: &[DeliveryRecord], as_json: bool) -> anyhow::Result<String> {
    if as_json {
        return items(found.iter().map(delivery_json).collect());
    }
    let titles = ["id", "state", "kind", "address", "symbol", "metric", "owed", "attempts", "reason"];
    let mut rows = vec![titles.map(str::to_owned)];
    rows.extend(found.iter().map(|one| {
        let to = &one.subscription;
        [
            one.id.to_string(),
            one.state.to_string(),
            one.kind.to_string(),
            address(&to.channel),
            to.scope.to_string(),
            to.metric.to_string(),
            second(one.created_at),
            one.attempts.to_string(),
            one.reason.clone().unwrap_or_else(|| NONE.to_owned()),
        ]
    }));
    Ok(aligned(&rows))
}

fn subscription_json(one: &Subscription) -> Value {
    let (email, url, format) = match &one.channel {
        Channel::Email(address) => (Some(address.expose()), None, None),
        Channel::Webhook(webhook) => (None, Some(webhook.url.expose()), Some(webhook.format.as_str())),
        Channel::Push(receiver) => (None, Some(receiver.endpoint.expose()), None),
    };
    json!({
        "id": one.id.to_string(),
        "status": one.status.as_str(),
        "channel": one.channel.kind().as_str(),
        "email": email,
        "url": url,
        "format": format,
        "ticker": one.scope.as_str(),
        "metric": one.metric.as_str(),
        "rule_text": one.rule.to_string(),
        "quiet_hours": one.quiet.as_ref().map(|quiet| {
            json!({ "from": quiet.from(), "to": quiet.to(), "zone": quiet.zone() })
        }),
        "paused_until": one.paused_until.map(|until| {
            // As the API tells it.
            if until == Timestamp::MAX { "resumed".to_owned() } else { until.to_string() }
        }),
        "created_at": one.created_at.to_string(),
        "active_from": one.active_from.map(|from| from.to_string()),
    })
}

fn delivery_json(one: &DeliveryRecord) -> Value {
    json!({
        "id": one.id.to_string(),
        "kind": one.kind.as_str(),
        "state": one.state.as_str(),
        "alert": one.alert.map(|alert| alert.to_string()),
        "created_at": one.created_at.to_string(),
        "expires_at": one.expires_at.to_string(),
        "attempts": one.attempts,
        "settled_at": one.settled_at.map(|at| at.to_string()),
        "reason": one.reason,
        "subscription": subscription_json(&one.subscription),
    })
}

fn items(items: Vec<Value>) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&json!({ "items": items }))? + "\n")
}

/// For the operator's eyes only.
fn address(channel: &Channel) -> String {
    match channel {
        Channel::Email(address) => address.expose().to_owned(),
        Channel::Webhook(_) | Channel::Push(_) => channel.key(),
    }
}

fn until(until: Timestamp) -> String {
    if until == Timestamp::MAX { "until resumed".to_owned() } else { second(until) }
}

/// To the second, UTC.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
