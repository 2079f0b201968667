//! The configuration: sections with their defaults in one place, unknown keys refused, secrets also from
//! files. [`load`] brings file, environment and flags together.

mod load;
mod value;

pub use load::{ConfigError, Origin, PREFIX, Sources, load};
pub use value::{Alias, Day, Network, Period, Secret, Text};

use qqq_core::calendar::{Calendar, EarlyClose, Market};
use qqq_core::detector::Watch;
use qqq_core::limits::SubscriptionLimits;
use qqq_core::rule::Ratio;
use qqq_core::watchlist::{DEFAULT_SYMBOLS, FormerSymbol};
use qqq_core::{SpikeRule, Symbol, Watchlist};
use qqq_engine::active_rules::HouseRules;
use qqq_feed::FinnhubConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use url::Url;

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is tracked.
    pub watchlist: WatchlistConfig,
    /// When the market is open.
    pub market: MarketConfig,
    /// Where bars come from.
    pub feed: FeedConfig,
    /// Where everything is kept.
    pub store: StoreConfig,
    /// What is unusual.
    pub rules: RulesConfig,
    /// HTTP.
    pub server: ServerConfig,
    /// Mail.
    pub email: EmailConfig,
    /// Webhooks.
    pub webhooks: WebhooksSection,
    /// Sign-ups.
    pub subscriptions: SubscriptionsConfig,
    /// Logs.
    pub log: LogConfig,
}

/// `[watchlist]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchlistConfig {
    /// The symbols, in the order they are listed.
    pub symbols: Vec<Text<Symbol>>,
    /// Former names: `{ FB = "META" }`, or with their period, `{ FB = { symbol = "META", until = "2022-06-09" } }`.
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
            extended_hours: false,
            extra_closures: Vec::new(),
            extra_early_closes: Vec::new(),
        }
    }
}

/// Who sends bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderName {
    /// An invented market.
    Sim,
    /// Recorded bars.
    Replay,
    /// Alpaca Market Data.
    Alpaca,
    /// Yahoo Finance's chart endpoint.
    Yahoo,
    /// A server of the IEX Cloud batch form.
    Iex,
    /// Finnhub's stream of trades.
    Finnhub,
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sim => "sim",
            Self::Replay => "replay",
            Self::Alpaca => "alpaca",
            Self::Yahoo => "yahoo",
            Self::Iex => "iex",
            Self::Finnhub => "finnhub",
        })
    }
}

/// `[feed]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedConfig {
    /// `sim`, `replay`, `alpaca`, `yahoo`, `iex`, `finnhub`.
    pub provider: ProviderName,
    /// Who stands in while the provider fails, in this order.
    pub fallback: Vec<ProviderName>,
    /// How long a feed must fail before another takes over.
    pub failover_after: Period,
    /// How long a feed before the running one must be well before it is taken back.
    pub failback_after: Period,
    /// How often a provider is asked while the market is open, aligned to the minute.
    pub poll_interval: Period,
    /// How much market before now is fetched at start and after a gap.
    pub backfill: Period,
    /// `[feed.alpaca]`
    pub alpaca: AlpacaSection,
    /// `[feed.iex]`
    pub iex: IexSection,
    /// `[feed.yahoo]`
    pub yahoo: YahooSection,
    /// `[feed.finnhub]`
    pub finnhub: FinnhubSection,
    /// `[feed.replay]`
    pub replay: ReplaySection,
    /// `[feed.sim]`
    pub sim: SimSection,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            provider: ProviderName::Sim,
            fallback: Vec::new(),
            failover_after: Period::seconds(3 * 60),
            failback_after: Period::seconds(10 * 60),
            poll_interval: Period::seconds(60),
            backfill: Period::seconds(24 * 60 * 60),
            alpaca: AlpacaSection::default(),
            iex: IexSection::default(),
            yahoo: YahooSection::default(),
            finnhub: FinnhubSection::default(),
            replay: ReplaySection::default(),
            sim: SimSection::default(),
        }
    }
}

/// `[feed.alpaca]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlpacaSection {
    /// Address of the data API.
    pub base_url: String,
    /// Key id. Secret.
    pub key_id: Secret,
    /// Secret key. Secret.
    pub secret_key: Secret,
    /// `iex` (free), `sip`, `delayed_sip`.
    pub feed: String,
    /// Whether bars are streamed beside the polls.
    pub stream: bool,
    /// Address of the stream; empty: derived from `base_url`.
    pub stream_url: String,
    /// Requests a minute the plan allows.
    pub requests_per_minute: u32,
}

impl Default for AlpacaSection {
    fn default() -> Self {
        Self {
            base_url: "https://data.alpaca.markets".to_owned(),
            key_id: Secret::default(),
            secret_key: Secret::default(),
            feed: "iex".to_owned(),
            stream: true,
            stream_url: String::new(),
            requests_per_minute: 200,
        }
    }
}

/// `[feed.iex]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IexSection {
    /// Any server of the `stock/market/batch?types=intraday-prices` form, version path included.
    pub base_url: String,
    /// Token. Secret.
    pub token: Secret,
    /// Requests a minute the server allows.
    pub requests_per_minute: u32,
}

impl Default for IexSection {
    fn default() -> Self {
        Self { base_url: String::new(), token: Secret::default(), requests_per_minute: 100 }
    }
}

/// `[feed.yahoo]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct YahooSection {
    /// Address of the chart API.
    pub base_url: String,
    /// Requests a minute, one per symbol.
    pub requests_per_minute: u32,
}

impl Default for YahooSection {
    fn default() -> Self {
        Self { base_url: "https://query1.finance.yahoo.com".to_owned(), requests_per_minute: 60 }
    }
}

/// `[feed.finnhub]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FinnhubSection {
    /// Key. Secret.
    pub token: Secret,
    /// Address of the stream.
    pub stream_url: String,
    /// Address of the REST interface.
    pub base_url: String,
    /// Symbols the plan takes on its one connection.
    pub max_symbols: usize,
}

impl Default for FinnhubSection {
    fn default() -> Self {
        Self {
            token: Secret::default(),
            stream_url: "wss://ws.finnhub.io".to_owned(),
            base_url: "https://finnhub.io/api/v1".to_owned(),
            max_symbols: FinnhubConfig::MAX_SYMBOLS,
        }
    }
}

/// `[feed.replay]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplaySection {
    /// A CSV or Parquet file, packed or not, or a folder of them.
    pub path: PathBuf,
    /// `max`, or a multiple of real time: `1x`, `60x`.
    pub speed: String,
    /// The zone of times that say none; empty: such times are refused.
    pub zone: String,
    /// What columns are called whose names are not known: `start=window_start,trades=n`.
    pub columns: String,
    /// Whether prices and volumes are in today's units already.
    pub split_adjusted: bool,
}

impl Default for ReplaySection {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            speed: "max".to_owned(),
            zone: String::new(),
            columns: String::new(),
            split_adjusted: false,
        }
    }
}

/// `[feed.sim]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimSection {
    /// The same seed, the same market.
    pub seed: u64,
    /// A multiple of real time: `60x` shows a minute every second.
    pub speed: String,
    /// Where simulated time begins (RFC 3339); empty: in the latest session.
    pub start: String,
}

impl Default for SimSection {
    fn default() -> Self {
        Self { seed: 1, speed: "60x".to_owned(), start: String::new() }
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite://PATH`.
    pub url: String,
    /// How long bars are kept.
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

/// `[rules]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// How many times its trailing average a value must reach.
    #[serde(with = "value::ratio")]
    pub ratio: Ratio,
    /// Length of the trailing window, whole minutes up to 12 h.
    pub window: Period,
    /// Bars the window must hold.
    pub min_bars: u16,
    /// How long one symbol and metric stay silent after an alert; `0s`: never silent.
    pub cooldown: Period,
    /// How old a bar may be to raise an alert.
    pub max_alert_age: Period,
    /// How old a bar may be to raise an alert where it could not be asked for before.
    pub max_alert_age_after_outage: Period,
    /// Further rules, judged on every symbol: a metric and a rule, `volume time_of_day ratio=4`.
    pub also: Vec<Text<Watch>>,
    /// How long alerts by rules of subscribers' own are kept. Those of the rules here are kept for good.
    pub own_alerts_retention: Period,
}

impl Default for RulesConfig {
    fn default() -> Self {
        let rule = SpikeRule::default();
        Self {
            ratio: rule.ratio,
            window: Period::seconds(u64::from(rule.window) * 60),
            min_bars: rule.min_bars,
            cooldown: Period::seconds(rule.cooldown_seconds.into()),
            max_alert_age: Period::seconds(rule.max_alert_age_seconds.into()),
            max_alert_age_after_outage: Period::seconds(rule.max_alert_age_after_outage_seconds.into()),
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
    /// Address and port of a listener of their own for health, readiness and metrics, which then are not at `listen`.
    /// Empty: none.
    #[serde(with = "value::optional_socket_address")]
    pub metrics_listen: Option<SocketAddr>,
    /// How browsers and mail readers reach it: links in mails begin with it. Where only `listen` is set, that.
    pub public_url: String,
    /// Addresses or networks of reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Text<Network>>,
    /// Origins whose pages may call the API from a browser: `["https://example.org"]`, or `["*"]`.
    pub cors_origins: Vec<Text<qqq_api::Origin>>,
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
    /// What a mail server is told in EHLO: a qualified host name or an address in brackets. Empty: the host's name where
    /// it is qualified, else the address of the connection.
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
    /// Addresses or networks that webhooks may go to beside the public internet, with `http://` and on any port too.
    pub allow_networks: Vec<Text<Network>>,
    /// The longest an attempt takes.
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
    /// Messages one receiver is sent in an hour at the most. What is more comes as one digest when there is room again.
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
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
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
    /// `auto`, `text`, `json`.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl Config {
    /// The tracked symbols.
    pub fn watchlist(&self) -> Result<Watchlist, ConfigError> {
        self.watchlist_of(self.watchlist.symbols.iter().map(|symbol| symbol.0))
    }

    /// Other symbols, with the former names that are known.
    pub fn watchlist_of(&self, symbols: impl IntoIterator<Item = Symbol>) -> Result<Watchlist, ConfigError> {
        let aliases = self.watchlist.aliases.iter().map(|(former, alias)| FormerSymbol {
            former: former.0,
            current: alias.symbol.0,
            until: alias.until.as_ref().map(|day| day.0.0),
        });
        Watchlist::new(symbols, aliases).map_err(|error| ConfigError::value("watchlist", error))
    }

    /// The trading calendar.
    pub fn calendar(&self) -> Result<Calendar, ConfigError> {
        let section = &self.market;
        let closures = section.extra_closures.iter().map(|day| day.0.0);
        Calendar::new(section.calendar.0, section.extended_hours, closures)
            .with_early_closes(section.extra_early_closes.iter().map(|early| early.0))
            .map_err(|error| ConfigError::value("market.extra_early_closes", error))
    }

    /// The rule.
    pub fn rule(&self) -> SpikeRule {
        let section = &self.rules;
        // `check` has held every figure to its range.
        SpikeRule {
            ratio: section.ratio,
            window: (section.window.as_secs() / 60) as u16,
            min_bars: section.min_bars,
            cooldown_seconds: section.cooldown.as_secs() as u32,
            max_alert_age_seconds: section.max_alert_age.as_secs() as u32,
            max_alert_age_after_outage_seconds: section.max_alert_age_after_outage.as_secs() as u32,
        }
    }

    /// The rule, and what else is judged on every symbol.
    pub fn house_rules(&self) -> HouseRules {
        HouseRules { spike: self.rule(), also: self.rules.also.iter().map(|watch| watch.0).collect() }
    }

    /// What subscribers may have in force.
    pub fn subscription_limits(&self) -> SubscriptionLimits {
        let section = &self.subscriptions;
        SubscriptionLimits {
            per_receiver: section.max_per_receiver,
            rules_per_receiver: section.max_rules_per_receiver,
            rules: section.max_rules,
            house: self.house_rules().also,
        }
    }

    /// How the world reaches the server. Where only `server.listen` was set, it is where the server listens.
    pub fn public_url(&self) -> Result<Url, ConfigError> {
        let (defaults, section) = (ServerConfig::default(), &self.server);
        if section.public_url != defaults.public_url || section.listen == defaults.listen {
            return parse_url("server.public_url", &section.public_url);
        }
        let mut address = section.listen;
        if address.ip().is_unspecified() {
            address.set_ip(defaults.listen.ip());
        }
        parse_url("server.listen", &format!("http://{address}"))
    }

    /// Holds every value to what is allowed beyond its type.
    fn check(&self) -> Result<(), ConfigError> {
        let within = |key: &str, period: Period, low: u64, high: u64, allowed: &str| {
            if (low..=high).contains(&period.as_secs()) {
                Ok(())
            } else {
                Err(ConfigError::value(key, format!("`{period}` is out of range: it must be {allowed}")))
            }
        };
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        self.watchlist()?;
        self.public_url()?;
        let window = self.rules.window;
        within("rules.window", window, MINUTE, 12 * HOUR, "1m to 12h")?;
        if !window.as_secs().is_multiple_of(MINUTE) {
            return Err(ConfigError::value("rules.window", format!("`{window}` must be whole minutes")));
        }
        let minutes = window.as_secs() / MINUTE;
        if !(1..=minutes).contains(&u64::from(self.rules.min_bars)) {
            let allowed = format!(
                "`{}` is out of range: it must be 1 to {minutes}, the minutes of rules.window",
                self.rules.min_bars
            );
            return Err(ConfigError::value("rules.min_bars", allowed));
        }
        within("rules.cooldown", self.rules.cooldown, 0, SpikeRule::MAX_COOLDOWN_SECONDS.into(), "0s to 7d")?;
        let calendar = self.calendar()?;
        for Text(watch) in &self.rules.also {
            watch
                .rule
                .suits_hours(calendar.tracks_extended_hours())
                .map_err(|error| ConfigError::value("rules.also", format!("`{watch}`: {error}")))?;
        }
        within("rules.max_alert_age", self.rules.max_alert_age, MINUTE, DAY, "1m to 1d")?;
        let after_outage = self.rules.max_alert_age_after_outage;
        within("rules.max_alert_age_after_outage", after_outage, 0, DAY, "0s to 1d")?;
        self.check_fallback()?;
        let asks_alpaca = self.feed.names().any(|name| name == ProviderName::Alpaca);
        let delayed = asks_alpaca && self.feed.alpaca.feed == "delayed_sip";
        let delay = if delayed { 16 * MINUTE } else { 0 };
        let oldest = delay + self.feed.poll_interval.as_secs();
        if self.rules.max_alert_age.as_secs() < oldest {
            let what = format!(
                "`{}` is too short: with this feed and feed.poll_interval, bars are up to {} old when they come, and \
                 would alert nobody",
                self.rules.max_alert_age,
                Period::seconds(oldest)
            );
            return Err(ConfigError::value("rules.max_alert_age", what));
        }
        within("feed.poll_interval", self.feed.poll_interval, 10, HOUR, "10s to 1h")?;
        within("feed.failover_after", self.feed.failover_after, 10, HOUR, "10s to 1h")?;
        within("feed.failback_after", self.feed.failback_after, 10, DAY, "10s to 1d")?;
        within("feed.backfill", self.feed.backfill, HOUR, 7 * DAY, "1h to 7d")?;
        within("store.bars_retention", self.store.bars_retention, 2 * DAY, 36_500 * DAY, "2d or more")?;
        within("webhooks.timeout", self.webhooks.timeout, 1, MINUTE, "1s to 1m")?;
        if self.subscriptions.max_per_receiver == 0 {
            let allowed = "`0` is out of range: it must be 1 or more".to_owned();
            return Err(ConfigError::value("subscriptions.max_per_receiver", allowed));
        }
        let messages = self.subscriptions.messages_per_hour;
        if !(1..=1_000_000).contains(&messages) {
            let allowed = format!("`{messages}` is out of range: it must be 1 to 1000000");
            return Err(ConfigError::value("subscriptions.messages_per_hour", allowed));
        }
        for (key, rate) in [
            ("feed.alpaca.requests_per_minute", self.feed.alpaca.requests_per_minute),
            ("feed.iex.requests_per_minute", self.feed.iex.requests_per_minute),
            ("feed.yahoo.requests_per_minute", self.feed.yahoo.requests_per_minute),
        ] {
            if !(1..=100_000).contains(&rate) {
                return Err(ConfigError::value(
                    key,
                    format!("`{rate}` is out of range: it must be 1 to 100000"),
                ));
            }
        }
        Ok(())
    }

    /// Holds the fallbacks to providers of the real market, each once.
    fn check_fallback(&self) -> Result<(), ConfigError> {
        let refuse = |what: String| Err(ConfigError::value("feed.fallback", what));
        let plays = |name: ProviderName| matches!(name, ProviderName::Sim | ProviderName::Replay);
        let section = &self.feed;
        if let Some(name) = section.fallback.iter().find(|&&name| plays(name)) {
            return refuse(format!(
                "`{name}` cannot stand in for a provider: its bars are not the market's; it must be alpaca, yahoo, \
                 iex or finnhub"
            ));
        }
        if plays(section.provider) && !section.fallback.is_empty() {
            return refuse(format!("nobody stands in for `{}`: it does not fail", section.provider));
        }
        let names: Vec<ProviderName> = section.names().collect();
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return refuse(format!("`{name}` is there twice, feed.provider included"));
            }
        }
        Ok(())
    }
}

impl FeedConfig {
    /// The provider, and who stands in for it.
    pub fn names(&self) -> impl Iterator<Item = ProviderName> {
        std::iter::once(self.provider).chain(self.fallback.iter().copied())
    }
}

/// Parses a URL of a setting; the error names the key.
pub fn parse_url(key: &str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).map_err(|error| {
        ConfigError::value(
            key,
            format!("`{text}` is not a URL ({error}): it must look like https://example.com"),
        )
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(ConfigError::value(key, format!("`{text}` must begin with http:// or https://")));
    }
    Ok(url)
}
