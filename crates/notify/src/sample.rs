//! Messages of every kind, made up. `qqq-tracker check` makes each of them, so that none fails for the first
//! time when it is owed to somebody.

use jiff::Timestamp;
use qqq_core::alert::Folded;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Lease};
use qqq_core::subscription::channel::Channel;
use qqq_core::subscription::quiet::QuietHours;
use qqq_core::subscription::{Scope, Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::{
    Alert, AlertId, AlertState, Evidence, FeedLabel, Metric, Price, RuleName, Second, SpikeRule, Symbol,
    U256, Visibility,
};

/// A rule of every kind, empty for the house's, with what it judges and the evidence of a bar that fired.
const RULES: [(&str, Metric, i128, Evidence); 6] = [
    ("", Metric::Volume, 151_234, Evidence::Average { sum: 60 * 21_034, bars: 60 }),
    ("spike ratio=2 window=30m", Metric::Price, 300 * D, Evidence::Average { sum: 3_000 * D, bars: 30 }),
    (
        "zscore z=2 window=30m min_bars=2",
        Metric::Volume,
        8,
        Evidence::Deviation { sum: 9, squares: U256::new(35), bars: 3 },
    ),
    (
        "move percent=2",
        Metric::Price,
        118 * D,
        Evidence::Origin { value: 120 * D, start: Second::from_minute(0) },
    ),
    ("cross above=150", Metric::Price, 151 * D, Evidence::Crossing { level: 150 * D, before: 149 * D }),
    ("time_of_day", Metric::Volume, 1_500, Evidence::Median { twice: 601, sessions: 18 }),
];
const D: i128 = Price::DOLLAR as i128;

/// As many alerts as one digest holds at most.
const BUNDLED: usize = 200;

/// A delivery of each kind to `channel`, of an alert by each kind of rule, each under an id that no other
/// `now` has.
pub(crate) fn deliveries(channel: &Channel, now: Timestamp) -> Vec<Delivery> {
    let Some((symbol, feed)) = names() else { return Vec::new() };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&now.as_microsecond().to_be_bytes());
    let subscription = Subscription {
        id: SubscriptionId::from_random(id),
        channel: channel.clone(),
        scope: symbol.into(),
        metric: Metric::Volume,
        rule: RuleName::House,
        status: SubscriptionStatus::Active,
        created_at: now,
        active_from: None,
        quiet: QuietHours::new("22:00", "07:00", "America/New_York").ok(),
        paused_until: None,
        secret_generation: 0,
        secret_rotated_at: None,
        nonce: id,
    };
    let alerts: Vec<Alert> = alerts(symbol, feed, Second::minute_of(now));
    let delivery = |id, kind, alert: Option<&Alert>| Delivery {
        id,
        kind,
        subscription: subscription.clone(),
        alert: alert.cloned(),
        digest: Vec::new(),
        asked: Vec::new(),
        attempt: 1,
        created_at: now,
        expires_at: Timestamp::MAX,
        lease: Lease(1),
    };
    let confirmation = |sequence, status| {
        let id = DeliveryId::of_confirmation(subscription.id, sequence);
        let mut confirmation = delivery(id, DeliveryKind::Confirmation, None);
        confirmation.subscription.status = status;
        confirmation
    };
    let mut of_several = confirmation(3, SubscriptionStatus::Pending);
    let whole = Subscription { scope: Scope::Watchlist, ..of_several.subscription.clone() };
    of_several.asked = vec![of_several.subscription.clone(), whole];
    let mut deliveries = vec![
        confirmation(1, SubscriptionStatus::Pending),
        confirmation(2, SubscriptionStatus::Active),
        of_several,
    ];
    for kind in [DeliveryKind::Alert, DeliveryKind::Retraction] {
        deliveries.extend(
            alerts.iter().map(|alert| {
                delivery(DeliveryId::of_alert(kind, alert.id, subscription.id), kind, Some(alert))
            }),
        );
    }
    let first = DeliveryId::of_confirmation(subscription.id, 4);
    let mut digest = delivery(DeliveryId::of_digest(first), DeliveryKind::Digest, None);
    digest.digest = alerts.into_iter().cycle().take(BUNDLED).collect();
    deliveries.push(digest);
    deliveries
}

fn names() -> Option<(Symbol, FeedLabel)> {
    "NVDA".parse().ok().zip(FeedLabel::SIMULATED.parse().ok())
}

fn alerts(symbol: Symbol, feed: FeedLabel, now: Second) -> Vec<Alert> {
    let alert = |(text, metric, value, evidence): (&str, Metric, i128, Evidence)| {
        let rule = if text.is_empty() { RuleName::House } else { RuleName::Own(text.parse().ok()?) };
        Some(Alert {
            id: AlertId::derive(rule, symbol, metric, now),
            rule: rule.whole(SpikeRule::default()),
            symbol,
            metric,
            start: now,
            value,
            evidence,
            feed,
            revision: 0,
            state: AlertState::Raised,
            raised_at: now.minute_end(),
            visibility: if text.is_empty() { Visibility::Public } else { Visibility::Private },
            occurrences: Vec::new(),
            folded: Folded::default(),
            close: Price::from_nanos(118 * Price::DOLLAR).ok(),
            previous_close: Price::from_nanos(120 * Price::DOLLAR).ok(),
        })
    };
    RULES.into_iter().filter_map(alert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_of_message_and_of_rule_is_among_them() {
        let channel = Channel::Email("ada@example.com".parse().unwrap());
        let at = |second| deliveries(&channel, Timestamp::from_second(second).unwrap());
        let samples = at(1_738_000_000);
        for kind in DeliveryKind::ALL {
            assert!(samples.iter().any(|sample| sample.kind == kind), "{kind}");
        }
        let told = samples.iter().filter(|sample| sample.kind == DeliveryKind::Alert);
        assert_eq!(told.count(), RULES.len(), "a rule that cannot be read");
        let ids: BTreeSet<_> = samples.iter().chain(&at(1_738_000_001)).map(|sample| sample.id).collect();
        assert_eq!(ids.len(), 2 * samples.len(), "who gets both would take the second for a repeat");
    }
}
