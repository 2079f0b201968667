//! All that the traits tell of a store, as JSON, so that another version can say whether it reads the same.

use qqq_core::alert::Visibility;
use qqq_core::rule::Evidence;
use qqq_core::subscription::Subscription;
use qqq_core::subscription::channel::Channel;
use qqq_core::{Alert, FeedStatus, Figures, Metric, Second, Statistics};
use qqq_store::{
    AlertQuery, BarRecord, DeliveryQuery, DeliveryRecord, DeliveryState, SplitRecord, Store,
    SubscriptionQuery,
};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

pub(super) type Listing = Map<String, Value>;

/// Names of notes that hold something.
pub(super) const NOTES: [&str; 2] = ["secret_key_check", "sim_seed"];

pub(super) async fn listing(store: &dyn Store) -> Listing {
    let every = Second::MIN..Second::MAX;
    let mut listing = Listing::new();
    let mut put = |what: &str, value: Value| listing.insert(what.to_owned(), value);
    put("sequence", json!(store.sequence().await.unwrap().0));
    put("feed_status", feed_status(&store.feed_status().await.unwrap().unwrap()));

    let mut bars = Vec::new();
    for symbol in ["AAPL", "BRK.B", "NVDA", "TSLA"] {
        let found = store.bars(symbol.parse().unwrap(), every.clone(), usize::MAX).await.unwrap();
        bars.extend(found.iter().map(bar));
    }
    put("bars", bars.into());
    put("statistics", store.statistics().await.unwrap().iter().map(statistics).collect());
    put("splits", store.splits().await.unwrap().iter().map(split).collect());

    let query = AlertQuery { private_too: true, limit: usize::MAX, ..AlertQuery::default() };
    put("alerts", store.alerts(query).await.unwrap().iter().map(alert).collect());

    let query = SubscriptionQuery { limit: 1_000, ..SubscriptionQuery::default() };
    put("subscriptions", store.subscriptions(&query).await.unwrap().iter().map(subscription).collect());

    let mut deliveries = Vec::new();
    for state in DeliveryState::ALL {
        let query = DeliveryQuery { state, address: None, after: None, limit: 1_000 };
        deliveries.extend(store.deliveries(&query).await.unwrap().iter().map(delivery));
    }
    put("deliveries", deliveries.into());
    let outbox = store.outbox().await.unwrap();
    put(
        "outbox",
        json!({
            "pending": outbox.pending, "sent": outbox.sent, "failed": outbox.failed,
            "expired": outbox.expired, "cancelled": outbox.cancelled, "bundled": outbox.bundled,
            "oldest_pending": text(outbox.oldest_pending),
        }),
    );
    let watched = store.watched().await.unwrap();
    let mut watches: Vec<String> =
        watched.watches.iter().map(|(symbol, metric, rule)| format!("{symbol} {metric} {rule}")).collect();
    watches.sort();
    put("watched", watches.into());
    let mut notes = Vec::new();
    for name in NOTES {
        notes.push(json!([name, store.note(name).await.unwrap()]));
    }
    put("notes", notes.into());
    listing
}

fn text(value: Option<impl ToString>) -> Value {
    value.map(|value| value.to_string()).into()
}

fn feed_status(status: &FeedStatus) -> Value {
    let problems = status
        .symbol_problems
        .iter()
        .map(|one| json!([one.symbol.as_str(), one.problem, one.since.to_string(), text(one.next_attempt)]));
    json!({
        "provider": status.provider, "label": status.label.as_str(), "mode": status.mode.as_str(),
        "coverage": status.coverage,
        "clock": status.clock.to_string(), "answered_at": text(status.answered_at),
        "problem": status.problem, "asked_until": text(status.asked_until),
        "symbol_problems": problems.collect::<Value>(),
    })
}

fn bar(BarRecord { bar, revision }: &BarRecord) -> Value {
    json!({
        "symbol": bar.symbol.as_str(), "start": bar.start.to_string(), "open": bar.open.nanos(),
        "high": bar.high.nanos(), "low": bar.low.nanos(), "close": bar.close.nanos(),
        "volume": bar.volume.shares(), "vwap": bar.vwap.map(|price| price.nanos()), "trades": bar.trades,
        "feed": bar.feed.as_str(), "revision": revision,
    })
}

fn statistics(one: &Statistics) -> Value {
    // Bit for bit.
    let figures = |figures: &Figures| {
        let bits = [figures.stdev, figures.relative_stdev, figures.trailing_average, figures.ratio];
        json!([bits.map(|figure| figure.map(f64::to_bits)), figures.window_bars])
    };
    json!({
        "symbol": one.symbol.as_str(), "start": one.start.to_string(), "feed": one.feed.as_str(),
        "price": figures(&one.of(Metric::Price).unwrap()),
        "volume": figures(&one.of(Metric::Volume).unwrap()),
    })
}

fn split(SplitRecord { split, from }: &SplitRecord) -> Value {
    json!([split.symbol.as_str(), split.ex_date.to_string(), split.new, split.old, from.to_string()])
}

fn alert(alert: &Alert) -> Value {
    let (kind, numbers) = match alert.evidence {
        Evidence::Average { sum, bars } => ("average", vec![sum.to_string(), bars.to_string()]),
        Evidence::Deviation { sum, squares, bars } => {
            ("deviation", vec![sum.to_string(), squares.to_string(), bars.to_string()])
        }
        Evidence::Origin { value, start } => ("origin", vec![value.to_string(), start.to_string()]),
        Evidence::Crossing { level, before } => ("crossing", vec![level.to_string(), before.to_string()]),
        Evidence::Median { twice, sessions } => ("median", vec![twice.to_string(), sessions.to_string()]),
    };
    let occurrences = alert.occurrences.iter().map(|one| json!([one.start.to_string(), one.value]));
    json!({
        "id": alert.id.to_string(), "rule": alert.rule.to_string(), "symbol": alert.symbol.as_str(),
        "metric": alert.metric.as_str(), "start": alert.start.to_string(), "value": alert.value,
        "evidence_kind": kind, "evidence": numbers, "feed": alert.feed.as_str(), "revision": alert.revision,
        "state": alert.state.as_str(), "raised_at": alert.raised_at.to_string(),
        "visibility": if alert.visibility == Visibility::Public { "public" } else { "private" },
        "occurrences": occurrences.collect::<Value>(),
        "folded": [json!(alert.folded.count), json!(alert.folded.peak), text(alert.folded.until)],
    })
}

fn subscription(one: &Subscription) -> Value {
    let (receiver, format) = match &one.channel {
        Channel::Email(address) => (address.expose().to_owned(), None),
        Channel::Webhook(webhook) => (webhook.url.url().to_string(), Some(webhook.format.as_str())),
        Channel::Push(receiver) => (receiver.expose(), None),
    };
    let nonce = one.nonce.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    json!({
        "id": one.id.to_string(), "channel": one.channel.kind().as_str(),
        "receiver": receiver, "format": format,
        "symbol": one.scope.as_str(), "metric": one.metric.as_str(), "rule": one.rule.to_string(),
        "status": one.status.as_str(), "created_at": one.created_at.to_string(),
        "active_from": text(one.active_from), "quiet": text(one.quiet.as_ref()),
        "paused_until": text(one.paused_until), "secret_generation": one.secret_generation,
        "secret_rotated_at": text(one.secret_rotated_at), "nonce": nonce,
    })
}

fn delivery(one: &DeliveryRecord) -> Value {
    json!({
        "id": one.id.to_string(), "kind": one.kind.as_str(), "state": one.state.as_str(),
        "subscription": one.subscription.id.to_string(), "alert": text(one.alert),
        "created_at": one.created_at.to_string(), "expires_at": one.expires_at.to_string(),
        "attempts": one.attempts, "settled_at": text(one.settled_at), "reason": one.reason,
        "digest": text(one.digest),
    })
}
