//! Deliveries to send, and channels to send them over.

use jiff::Timestamp;
use qqq_core::delivery::{Delivery, DeliveryId, DeliveryKind, Lease};
use qqq_core::rule::Evidence;
use qqq_core::subscription::channel::{Channel, Webhook, WebhookFormat};
use qqq_core::subscription::token::{TokenKey, WebhookSecret};
use qqq_core::subscription::webhook_url::WebhookUrl;
use qqq_core::subscription::{Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::{Alert, AlertId, AlertState, Metric, RuleName, Second, SpikeRule, U256};
use qqq_notify::{Mail, MailConfig, Webhooks, WebhooksConfig};
use qqq_testkit::SetClock;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const ADDRESS: &str = "ada@example.com";

pub(crate) fn config() -> MailConfig {
    MailConfig {
        smtp_url: None,
        helo_name: String::new(),
        from: "QQQ Tracker <alerts@example.org>".to_owned(),
        public_url: "https://qqq.example.org/".parse().unwrap(),
        folder: PathBuf::from("unused"),
        rule: SpikeRule::default(),
    }
}

pub(crate) fn key() -> TokenKey {
    TokenKey::new([7; 32])
}

pub(crate) fn mail(config: MailConfig) -> Mail {
    let now = "2025-01-27T18:58:03Z".parse().unwrap();
    Mail::new(config, key(), Arc::new(SetClock::new(now))).unwrap()
}

pub(crate) fn alert() -> Alert {
    let symbol = "NVDA".parse().unwrap();
    let start = Second::minute_of("2025-01-27T18:57:00Z".parse().unwrap());
    Alert {
        id: AlertId::derive("spike", symbol, Metric::Volume, start),
        rule: RuleName::House.whole(SpikeRule::default()),
        symbol,
        metric: Metric::Volume,
        start,
        value: 9_637_512,
        evidence: Evidence::Average { sum: 515_888 * 60, bars: 60 },
        feed: "iex".parse().unwrap(),
        revision: 0,
        state: AlertState::Raised,
        raised_at: start.minute_end(),
        visibility: qqq_core::Visibility::Public,
        occurrences: Vec::new(),
        folded: qqq_core::alert::Folded::default(),
        close: "118.42".parse().ok(),
        previous_close: "122.7".parse().ok(),
    }
}

/// Alerts by a rule of every kind, with evidence of its own: the house rule first.
pub(crate) fn alerts_of_every_kind() -> Vec<Alert> {
    let dollars = |cents: i128| cents * 10_000_000;
    let earlier = alert().start.plus_minutes(-15);
    let own = |text: &str, metric, value, evidence| {
        let rule = RuleName::Own(text.parse().unwrap());
        let id = AlertId::derive(rule, alert().symbol, metric, alert().start);
        Alert { id, rule: rule.whole(SpikeRule::default()), metric, value, evidence, ..alert() }
    };
    let (price, volume) = (Metric::Price, Metric::Volume);
    let window = Evidence::Deviation { sum: 9, squares: U256::new(35), bars: 3 };
    let origin = Evidence::Origin { value: dollars(12_000), start: earlier };
    let level = |level, before| Evidence::Crossing { level, before };
    vec![
        alert(),
        own(
            "spike ratio=2.5 window=30m",
            price,
            dollars(30_000),
            Evidence::Average { sum: dollars(1_000_000), bars: 100 },
        ),
        own("zscore z=2 window=30m min_bars=2 direction=up session=regular", volume, 8, window),
        own(
            "zscore z=2 cooldown=0s",
            price,
            dollars(11_850),
            Evidence::Deviation {
                sum: 3_000_000_007,
                squares: U256::new(3_000_000_014_000_000_049),
                bars: 3,
            },
        ),
        own("move percent=2", price, dollars(11_850), origin),
        own("move percent=2 from=previous_close trigger=edge rearm=1", price, dollars(12_300), origin),
        own("move percent=2 from=open direction=up session=extended", price, dollars(12_300), origin),
        own("cross above=150", price, dollars(15_001), level(dollars(15_000), dollars(14_990))),
        own("cross below=1000000", volume, 999_999, level(1_000_000, 1_200_000)),
        own("time_of_day", volume, 1_500, Evidence::Median { twice: 601, sessions: 18 }),
    ]
}

/// One message for these.
pub(crate) fn digest(alerts: Vec<Alert>) -> Delivery {
    let subscription = subscription(SubscriptionStatus::Active);
    let first = DeliveryId::of_alert(DeliveryKind::Alert, alert().id, subscription.id);
    let id = DeliveryId::of_digest(first);
    Delivery { digest: alerts, ..delivery(id, DeliveryKind::Digest, subscription, None) }
}

/// So many alerts, a minute apart, of so many symbols.
pub(crate) fn many(count: i32, symbols: i32) -> Vec<Alert> {
    let one = |n| {
        let (symbol, start) = (format!("S{}", n % symbols).parse().unwrap(), alert().start.plus_minutes(n));
        Alert { id: AlertId::derive("spike", symbol, Metric::Volume, start), symbol, start, ..alert() }
    };
    (0..count).map(one).collect()
}

pub(crate) fn subscription(status: SubscriptionStatus) -> Subscription {
    Subscription {
        id: SubscriptionId::from_random([3; 16]),
        channel: Channel::Email(ADDRESS.parse().unwrap()),
        scope: "NVDA".parse().unwrap(),
        metric: Metric::Volume,
        rule: RuleName::House,
        status,
        created_at: "2025-01-27T14:00:00Z".parse().unwrap(),
        active_from: None,
        quiet: None,
        paused_until: None,
        secret_generation: 0,
        secret_rotated_at: None,
        nonce: [5; 16],
    }
}

/// The delivery of `alert`, or of its retraction.
pub(crate) fn telling(kind: DeliveryKind, alert: Alert) -> Delivery {
    let subscription = subscription(SubscriptionStatus::Active);
    delivery(DeliveryId::of_alert(kind, alert.id, subscription.id), kind, subscription, Some(alert))
}

/// The usual one.
pub(crate) fn alert_delivery() -> Delivery {
    telling(DeliveryKind::Alert, alert())
}

/// The confirmation mail of a subscription that stands at `status`.
pub(crate) fn confirmation(status: SubscriptionStatus) -> Delivery {
    let subscription = subscription(status);
    let id = DeliveryId::of_confirmation(subscription.id, 1);
    delivery(id, DeliveryKind::Confirmation, subscription, None)
}

fn delivery(
    id: DeliveryId,
    kind: DeliveryKind,
    subscription: Subscription,
    alert: Option<Alert>,
) -> Delivery {
    Delivery {
        id,
        kind,
        subscription,
        alert,
        digest: Vec::new(),
        asked: Vec::new(),
        attempt: 1,
        created_at: "2025-01-27T18:58:02Z".parse().unwrap(),
        expires_at: "2025-01-27T22:58:02Z".parse().unwrap(),
        lease: Lease(1),
    }
}

/// Webhooks that may go to these networks beside the public internet.
pub(crate) fn webhooks(allow_networks: &[&str]) -> Webhooks {
    webhooks_at(allow_networks, "2025-01-27T18:58:03Z".parse().unwrap())
}

/// The same, at a time.
pub(crate) fn webhooks_at(allow_networks: &[&str], now: Timestamp) -> Webhooks {
    webhooks_by(SpikeRule::default(), allow_networks, now)
}

/// The same, on a tracker with this house rule.
pub(crate) fn webhooks_by(rule: SpikeRule, allow_networks: &[&str], now: Timestamp) -> Webhooks {
    let config = WebhooksConfig {
        allow_networks: allow_networks.iter().map(|network| network.parse().unwrap()).collect(),
        timeout: Duration::from_secs(20),
        contact: "alerts@example.org".parse().unwrap(),
        public_url: config().public_url,
        rule,
    };
    Webhooks::new(config, key(), Arc::new(SetClock::new(now))).unwrap()
}

pub(crate) fn url_of(url: &str) -> WebhookUrl {
    url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// The same delivery, to a webhook.
pub(crate) fn by_webhook(url: &str, format: WebhookFormat, mut delivery: Delivery) -> Delivery {
    delivery.subscription.channel = Channel::Webhook(Webhook { url: url_of(url), format });
    delivery
}

/// The secrets of these generations of the fixture's subscription.
pub(crate) fn secrets(generations: impl IntoIterator<Item = u32>) -> Vec<WebhookSecret> {
    let Subscription { id, nonce, .. } = subscription(SubscriptionStatus::Active);
    generations.into_iter().map(|generation| key().webhook_secret(id, &nonce, generation)).collect()
}

/// A name server that says what it is told to.
pub(crate) struct Names(Mutex<Vec<Vec<IpAddr>>>);

impl Names {
    /// Answers one after the other, the last one for ever. The answers hold addresses separated by blanks.
    pub(crate) fn saying(answers: &[&str]) -> Arc<Self> {
        let parse =
            |answer: &&str| answer.split_whitespace().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }
}

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        // A port that nobody asked for must not matter.
        let found: Addrs = Box::new(answer.into_iter().map(|address| SocketAddr::new(address, 9)));
        Box::pin(async move { Ok(found) })
    }
}
