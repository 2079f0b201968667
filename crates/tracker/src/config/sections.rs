//! The sections of the configuration but for `[feed]`, with their defaults.

use super::{Alias, Day, Network, Operator, Secret, Text, value};
use qqq_core::Period;
use qqq_core::alert::detector::Watch;
use qqq_core::market::calendar::{EarlyClose, Market};
use qqq_core::market::watchlist::DEFAULT_SYMBOLS;
use qqq_core::rule::Ratio;
use qqq_core::subscription::limits::SubscriptionLimits;
use qqq_core::{Cadence, Metric, MetricSet, SpikeRule, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[watchlist]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchlistConfig {
    /// The symbols, in the order they are listed.
    pub symbols: Vec<Text<Symbol>>,
    /// Former names: `{ FB = "META" }`, or with their period:
    /// `{ FB = { symbol = "META", until = "2022-06-09" } }`.
    pub aliases: BTreeMap<Text<Symbol>, Alias>,
}

impl Default for WatchlistConfig {
    fn default() -> Self {
        let text = |symbol: &str| symbol.parse().ok().map(Text);
        Self {
            symbols: DEFAULT_SYMBOLS.iter().filter_map(|symbol| text(symbol)).collect(),
            aliases: text("FB").zip(text("META").map(Alias::from)).into_iter().collect(),
        }
    }
}

/// `[market]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarketConfig {
    /// `XNYS`, `XNAS`, `always`.
    pub calendar: Text<Market>,
    /// How often bars come: `1s`, `5s`, `10s`, `15s`, `30s`, `60s`.
    pub interval: Text<Cadence>,
    /// What of bars is tracked: `price` and `volume` always, and of `trades`, `notional`, `range`, `return`
    /// those that are named.
    pub metrics: Vec<Text<Metric>>,
    /// Whether 04:00 - 20:00 New York counts, or only the regular session.
    pub extended_hours: bool,
    /// Further days without trading: `["2025-01-09"]`.
    pub extra_closures: Vec<Text<Day>>,
    /// Further days that close early: `["2025-07-02"]` at 13:00 New York, `["2025-07-02 14:00"]` then.
    pub extra_early_closes: Vec<Text<EarlyClose>>,
}

impl Default for MarketConfig {
    fn default() -> Self {
        Self {
            calendar: Text(Market::Xnas),
            interval: Text(Cadence::default()),
            metrics: MetricSet::ALWAYS.iter().map(Text).collect(),
            extended_hours: false,
            extra_closures: Vec::new(),
            extra_early_closes: Vec::new(),
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite://PATH`.
    pub url: String,
    /// How long bars are kept.
    #[serde(with = "value::written")]
    pub bars_retention: Period,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "sqlite://data/qqq-tracker.db".to_owned(),
            bars_retention: Period::seconds(90 * 24 * 60 * 60),
        }
    }
}

/// `[archive]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArchiveConfig {
    /// Where days that are over are written as Parquet, and read from when the store has dropped them.
    /// Empty: nowhere.
    pub folder: PathBuf,
}

/// `[rules]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// How many times its trailing average a value must reach.
    #[serde(with = "value::ratio")]
    pub ratio: Ratio,
    /// Length of the trailing window, whole minutes up to 12 h.
    #[serde(with = "value::written")]
    pub window: Period,
    /// Bars the window must hold. Left out: half of those that come in it.
    pub min_bars: u16,
    /// How long one symbol and metric stay silent after an alert; `0s`: never silent.
    #[serde(with = "value::written")]
    pub cooldown: Period,
    /// How old a bar may be to raise an alert.
    #[serde(with = "value::written")]
    pub max_alert_age: Period,
    /// How old a bar may be to raise an alert where it could not be asked for before.
    #[serde(with = "value::written")]
    pub max_alert_age_after_outage: Period,
    /// Further rules, judged on every symbol: a metric and a rule, `volume time_of_day ratio=4`.
    pub also: Vec<Text<Watch>>,
    /// How long alerts by rules of subscribers' own are kept. Those of the rules here are kept for good.
    #[serde(with = "value::written")]
    pub own_alerts_retention: Period,
}

impl RulesConfig {
    /// How many bars a full window holds.
    pub(super) fn bars_in_window(&self, cadence: Cadence) -> u32 {
        // 1 to 60.
        self.window.as_secs() / cadence.seconds() as u32
    }

    /// Half of those, one at least.
    pub(super) fn half_of_window(&self, cadence: Cadence) -> u16 {
        u16::try_from(self.bars_in_window(cadence) / 2).unwrap_or(u16::MAX).max(1)
    }
}

impl Default for RulesConfig {
    fn default() -> Self {
        let rule = SpikeRule::default();
        Self {
            ratio: rule.ratio,
            window: Period::seconds(u32::from(rule.window) * 60),
            min_bars: rule.min_bars,
            cooldown: Period::seconds(rule.cooldown_seconds),
            max_alert_age: Period::seconds(rule.max_alert_age_seconds),
            max_alert_age_after_outage: Period::seconds(rule.max_alert_age_after_outage_seconds),
            also: Vec::new(),
            own_alerts_retention: Period::seconds(90 * 24 * 60 * 60),
        }
    }
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port to listen on.
    #[serde(deserialize_with = "value::socket_address")]
    pub listen: SocketAddr,
    /// Address and port of a listener of their own for health, readiness and metrics, which then are not at
    /// `listen`. Empty: none.
    #[serde(with = "value::optional_socket_address")]
    pub metrics_listen: Option<SocketAddr>,
    /// How browsers and mail readers reach it: links in mails begin with it. Where only `listen` is set,
    /// that.
    pub public_url: String,
    /// Addresses or networks of reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Text<Network>>,
    /// Origins whose pages may call the API from a browser: `["https://example.org"]`, or `["*"]`.
    pub cors_origins: Vec<Text<qqq_http::Origin>>,
    /// Origins whose pages may show the dashboard in a frame: `["https://example.org"]`. Pages that links in
    /// messages lead to are in nobody's.
    pub frame_ancestors: Vec<Text<qqq_http::FrameAncestor>>,
    /// Mail addresses whose owners, signed in by a link, do what operators do: `["ops@example.org"]`.
    pub operators: Vec<Text<Operator>>,
    /// Connections at once; fewer where the limit of open files leaves room for no more.
    pub max_connections: usize,
    /// Connections at once from one address.
    pub max_connections_per_client: usize,
    /// Of these, streams of events (`/v1/stream`).
    pub max_streams: usize,
    /// Streams of events at once from one address.
    pub max_streams_per_client: usize,
    /// 32 bytes in base64 that mail tokens are derived with. Secret. Empty: made at first start and kept in
    /// `secret.key` beside the store.
    pub secret_key: Secret,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            metrics_listen: None,
            public_url: "http://127.0.0.1:8080".to_owned(),
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            frame_ancestors: Vec::new(),
            operators: Vec::new(),
            max_connections: 4096,
            max_connections_per_client: 64,
            max_streams: 1000,
            max_streams_per_client: 20,
            secret_key: Secret::default(),
        }
    }
}

/// `[email]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmailConfig {
    /// `smtp://user:password@host:587?tls=required` or `smtps://...`. Secret. Empty: mails become files.
    pub smtp_url: Secret,
    /// What a mail server is told in EHLO: a qualified host name or an address in brackets. Empty: the host's
    /// name where it is qualified, else the address of the connection.
    pub helo_name: String,
    /// Sender.
    pub from: String,
    /// Where mails become files when there is no `smtp_url`.
    pub folder: PathBuf,
}

impl Default for EmailConfig {
    fn default() -> Self {
        Self {
            smtp_url: Secret::default(),
            helo_name: String::new(),
            from: "QQQ Tracker <alerts@localhost>".to_owned(),
            folder: PathBuf::from("data/mail"),
        }
    }
}

/// `[webhooks]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksSection {
    /// Addresses or networks that webhooks may go to beside the public internet, with `http://` and on any
    /// port too.
    pub allow_networks: Vec<Text<Network>>,
    /// The longest an attempt takes.
    #[serde(with = "value::written")]
    pub timeout: Period,
}

impl Default for WebhooksSection {
    fn default() -> Self {
        Self { allow_networks: Vec::new(), timeout: Period::seconds(20) }
    }
}

/// `[subscriptions]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubscriptionsConfig {
    /// Whether a receiver must confirm before it is told anything (double opt-in).
    pub confirm: bool,
    /// Messages one receiver is sent in an hour at the most. What is more comes as one digest when there is
    /// room again.
    pub messages_per_hour: u32,
    /// Active subscriptions of one receiver.
    pub max_per_receiver: u32,
    /// Different rules of its own among these.
    pub max_rules_per_receiver: u32,
    /// Own rules judged for all receivers together: each once for every metric of a symbol.
    pub max_rules: u32,
}

impl Default for SubscriptionsConfig {
    fn default() -> Self {
        let limits = SubscriptionLimits::default();
        Self {
            confirm: true,
            messages_per_hour: 30,
            max_per_receiver: limits.per_receiver,
            max_rules_per_receiver: limits.rules_per_receiver,
            max_rules: limits.rules,
        }
    }
}

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// On a terminal in short (all of it as text where `log.filter` is another than by default), JSON
    /// otherwise.
    #[default]
    Auto,
    /// Alerts and warnings alone, a short line each.
    Brief,
    /// Everything, for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,qqq_feed=debug`.
    pub filter: String,
    /// `auto`, `brief`, `text`, `json`.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}
