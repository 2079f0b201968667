//! Alpaca Market Data v2: minute bars by REST and by WebSocket, shorter ones out of the WebSocket's trades,
//! splits by REST; of the trading API the names of all symbols. Needs a (free) key.
//!
//! Below a minute there is nothing to ask for: what the stream did not bring stays missing.
//!
//! Protocol: the published OpenAPI documents of the Market Data API 1.1 and of the Trading API, the
//! market-data FAQ and the pages on real-time stock data and on assets (docs.alpaca.markets, "Working with
//! /assets"), and Alpaca's own Go and Python clients.

pub mod check;
mod client;
pub mod condition;
mod model;
pub mod parse;
mod stream;
pub mod tape;
mod trade_bars;

use crate::http::{self, Caller, ClientPolicy, Timeouts};
use crate::names::{NameSource, SymbolList};
use crate::parts::Parts;
use crate::websocket::{QUICK_PING, StreamEndpoint};
use crate::{FeedError, FeedErrorKind, Fetched, Provider, StreamEvent};
use async_trait::async_trait;
use client::Client;
use jiff::SignedDuration;
use jiff::civil::Date;
use qqq_core::{Cadence, Clock, FeedInfo, FeedLabel, FeedMode, Second, Split, Symbol};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

pub use crate::websocket::Pace;

/// How to reach Alpaca.
#[derive(Clone)]
pub struct AlpacaConfig {
    /// `https://data.alpaca.markets`.
    pub base_url: Url,
    /// The stream's address. `None`: derived from `base_url` and `feed`.
    pub stream_url: Option<Url>,
    /// The key's id.
    pub key_id: String,
    /// The key's secret.
    pub secret_key: String,
    /// `iex`, `sip`, `delayed_sip`, ...: which exchanges the bars count. Becomes their label.
    pub feed: String,
    /// The plan's budget. 200 on the free plan.
    pub requests_per_minute: u32,
    /// Longest time one request may take.
    pub timeout: Duration,
    /// Whether to stream bars besides asking for them. Bars of less than a minute come by the stream alone.
    pub stream: bool,
    /// How long bars are.
    pub cadence: Cadence,
}

impl AlpacaConfig {
    /// Requests per minute of the free plan.
    pub const REQUESTS_PER_MINUTE: u32 = 200;

    /// Where the stream is: as configured, at Alpaca's stream host for Alpaca's data host, else at the same
    /// host as the REST interface.
    fn stream_address(&self) -> Result<Url, FeedError> {
        let derived = match &self.stream_url {
            Some(url) => Some(url.clone()),
            None => self.derived_stream_address(),
        };
        derived.filter(|url| matches!(url.scheme(), "ws" | "wss") && url.has_host()).ok_or_else(|| {
            let message = "feed.alpaca.stream_url must be a ws:// or wss:// address";
            FeedError::new(FeedErrorKind::BadRequest, message)
        })
    }

    fn derived_stream_address(&self) -> Option<Url> {
        let mut url = http::endpoint(&self.base_url, &["v2", &self.feed]);
        url.set_scheme(if self.base_url.scheme() == "http" { "ws" } else { "wss" }).ok()?;
        let version = if matches!(self.feed.as_str(), "boats" | "overnight") { "v1beta1" } else { "v2" };
        for sandbox in ["", "sandbox."] {
            if self.base_url.host_str() == Some(&format!("data.{sandbox}alpaca.markets")) {
                let official = format!("wss://stream.data.{sandbox}alpaca.markets/{version}/{}", self.feed);
                return official.parse().ok();
            }
        }
        Some(url)
    }
}

/// Where the trading API lists its assets. A key is one of real money or one for practice, and is refused
/// where it is not; both see the same list. Behind another address than Alpaca's own, all lies there; the
/// sandbox is for brokers, who are asked otherwise.
fn asset_lists(base: &Url) -> Vec<Url> {
    let hosts = match base.host_str() {
        Some("data.alpaca.markets") => &["https://api.alpaca.markets", "https://paper-api.alpaca.markets"],
        Some("data.sandbox.alpaca.markets") => &[][..],
        _ => &[base.as_str()],
    };
    let list = |host: &&str| {
        let mut url = http::endpoint(&host.parse().ok()?, &["v2", "assets"]);
        url.query_pairs_mut().append_pair("status", "active").append_pair("asset_class", "us_equity");
        Some(url)
    };
    hosts.iter().filter_map(list).collect()
}

impl fmt::Debug for AlpacaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlpacaConfig")
            .field("base_url", &self.base_url.host_str())
            .field("stream_url", &self.stream_url.as_ref().map(Url::host_str))
            .field("key_id", &"[redacted]")
            .field("secret_key", &"[redacted]")
            .field("feed", &self.feed)
            .field("requests_per_minute", &self.requests_per_minute)
            .field("timeout", &self.timeout)
            .field("stream", &self.stream)
            .field("cadence", &self.cadence)
            .finish()
    }
}

/// Alpaca as a source of bars.
pub struct Alpaca {
    info: FeedInfo,
    client: Client,
    stream: Option<stream::Settings>,
    names: Option<Arc<SymbolList>>,
    cadence: Cadence,
    clock: Arc<dyn Clock>,
}

impl Alpaca {
    /// Sets up the client; nothing is asked yet. The error names the setting that cannot be used.
    pub fn new(config: AlpacaConfig, clock: Arc<dyn Clock>) -> Result<Self, FeedError> {
        let mut pace = Pace::default();
        if config.cadence != Cadence::Sixty {
            pace.ping = QUICK_PING;
        }
        Self::with_pace(config, clock, pace)
    }

    /// As [`new`](Self::new), with other time-outs for the stream.
    #[doc(hidden)]
    pub fn with_pace(config: AlpacaConfig, clock: Arc<dyn Clock>, pace: Pace) -> Result<Self, FeedError> {
        http::check_base("feed.alpaca.base_url", &config.base_url)?;
        let cadence = config.cadence;
        let label = FeedLabel::new(&config.feed).map_err(|error| {
            FeedError::new(FeedErrorKind::BadRequest, format!("feed.alpaca.feed: {error}"))
        })?;
        let stream_url = config.stream_address()?;
        http::warn_if_exposed("alpaca", &config.base_url);
        let mut headers = HeaderMap::new();
        headers.insert("apca-api-key-id", credential("feed.alpaca.key_id", &config.key_id)?);
        headers.insert("apca-api-secret-key", credential("feed.alpaca.secret_key", &config.secret_key)?);
        let redaction = http::redaction([config.key_id.clone(), config.secret_key.clone()]);
        let policy = ClientPolicy {
            provider: "alpaca",
            timeouts: Timeouts::total(config.timeout),
            requests_per_minute: config.requests_per_minute,
            burst: config.requests_per_minute / 10,
            retry_rate_limited: true,
            max_body: http::MAX_BODY,
            pause: Duration::from_secs(15),
            max_pause: Duration::from_secs(300),
            redaction: redaction.clone(),
            classify: client::classify,
        };
        let assets = asset_lists(&config.base_url);
        let names = (!assets.is_empty()).then(|| {
            let (base, headers) = (config.base_url.clone(), headers.clone());
            let policy = policy.clone();
            Arc::new(SymbolList::new(policy, base, assets, headers, parse::assets, clock.clone()))
        });
        let caller = Caller::new(policy, &config.base_url, clock.clone())?;
        let stream = config.stream.then(|| stream::Settings {
            line: StreamEndpoint { provider: "alpaca", url: stream_url, pace, redaction },
            key_id: config.key_id,
            secret_key: config.secret_key,
            feed: label,
            cadence: config.cadence,
            delay: SignedDuration::from_mins(client::delay_minutes(label).into()),
            clock: clock.clone(),
        });
        let info = FeedInfo {
            provider: "alpaca",
            label,
            mode: FeedMode::Live,
            coverage: coverage(label.as_str(), config.cadence),
            split_adjusted: false,
            delay_minutes: client::delay_minutes(label),
        };
        let parts = Parts::default();
        let client = Client { caller, base: config.base_url, headers, feed: label, parts };
        Ok(Self { info, client, stream, names, cadence, clock })
    }
}

#[async_trait]
impl Provider for Alpaca {
    fn info(&self) -> &FeedInfo {
        &self.info
    }

    /// There are minutes alone to ask for.
    fn has_history(&self) -> bool {
        self.cadence == Cadence::Sixty
    }

    async fn bars(&self, symbols: &[Symbol], minutes: Range<Second>) -> Result<Fetched, FeedError> {
        if !self.has_history() {
            return Ok(Fetched::default());
        }
        let minutes = client::available(minutes, self.info.label, self.clock.now());
        if symbols.is_empty() || minutes.is_empty() {
            return Ok(Fetched::default());
        }
        self.client.bars(symbols, minutes).await
    }

    async fn splits(&self, symbols: &[Symbol], days: RangeInclusive<Date>) -> Result<Vec<Split>, FeedError> {
        if symbols.is_empty() || days.is_empty() {
            return Ok(Vec::new());
        }
        self.client.splits(symbols, &days).await
    }

    /// Needs a running tokio runtime; answers `None` without one.
    fn stream(&self, symbols: &[Symbol]) -> Option<mpsc::Receiver<StreamEvent>> {
        stream::start(self.stream.as_ref()?, symbols)
    }

    fn name_source(&self) -> Option<Arc<dyn NameSource>> {
        self.names.clone().map(|names| names as Arc<dyn NameSource>)
    }

    async fn check(&self, symbol: Symbol) -> Result<String, FeedError> {
        let feed = self.info.label;
        Ok(match self.client.latest(symbol).await? {
            Some(start) => {
                format!("alpaca: key accepted, feed {feed} answers, newest bar of {symbol} is {start}")
            }
            None => format!("alpaca: key accepted, feed {feed} answers, but has no bar of {symbol}"),
        })
    }
}

fn credential(setting: &str, text: &str) -> Result<HeaderValue, FeedError> {
    let refuse = |what: &str| Err(FeedError::new(FeedErrorKind::Auth, format!("{setting} {what}")));
    if text.trim().is_empty() {
        return refuse("is empty: a key from Alpaca's dashboard is needed (free)");
    }
    match HeaderValue::from_str(text) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Ok(value)
        }
        Err(_) => refuse("holds characters that no key has, such as a line break"),
    }
}

fn coverage(feed: &str, cadence: Cadence) -> String {
    let exchanges = match feed {
        "iex" => "IEX only: about 2.5 % of US volume".to_owned(),
        "sip" => "all US exchanges".to_owned(),
        "delayed_sip" => "all US exchanges, 15 minutes late".to_owned(),
        "otc" => "over-the-counter trades only".to_owned(),
        "boats" | "overnight" => "overnight trading only (Blue Ocean ATS)".to_owned(),
        other => format!("Alpaca's feed {other}"),
    };
    match cadence {
        Cadence::Sixty => exchanges,
        _ => format!("{exchanges}; bars are made of its trades"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(base_url: &str, feed: &str) -> AlpacaConfig {
        AlpacaConfig {
            base_url: base_url.parse().expect("an address"),
            stream_url: None,
            key_id: "KEY".to_owned(),
            secret_key: "SECRET".to_owned(),
            feed: feed.to_owned(),
            requests_per_minute: 200,
            timeout: Duration::from_secs(20),
            stream: true,
            cadence: Cadence::Sixty,
        }
    }

    #[test]
    fn the_stream_address_follows_the_base_address() {
        for (base, feed, stream) in [
            ("https://data.alpaca.markets", "iex", "wss://stream.data.alpaca.markets/v2/iex"),
            (
                "https://data.sandbox.alpaca.markets/",
                "sip",
                "wss://stream.data.sandbox.alpaca.markets/v2/sip",
            ),
            ("https://data.alpaca.markets", "boats", "wss://stream.data.alpaca.markets/v1beta1/boats"),
            ("http://127.0.0.1:8080", "iex", "ws://127.0.0.1:8080/v2/iex"),
            ("https://example.org/alpaca/", "iex", "wss://example.org/alpaca/v2/iex"),
        ] {
            assert_eq!(config(base, feed).stream_address().expect(base).as_str(), stream);
        }
    }

    #[test]
    fn assets_are_listed_at_the_hosts_that_keys_belong_to_and_no_key_goes_elsewhere() {
        let query = "status=active&asset_class=us_equity";
        for (base, hosts) in [
            (
                "https://data.alpaca.markets/",
                &["https://api.alpaca.markets", "https://paper-api.alpaca.markets"][..],
            ),
            ("https://data.sandbox.alpaca.markets", &[]),
            ("http://127.0.0.1:8080", &["http://127.0.0.1:8080"]),
            ("https://example.org/alpaca/?a=b", &["https://example.org/alpaca"]),
        ] {
            let expected: Vec<String> =
                hosts.iter().map(|host| format!("{host}/v2/assets?{query}")).collect();
            let lists = asset_lists(&base.parse().expect("an address"));
            assert_eq!(lists.iter().map(Url::as_str).collect::<Vec<_>>(), expected, "{base}");
        }
    }

    #[test]
    fn the_debug_form_holds_no_secret() {
        let shown = format!("{:?}", config("https://user:pass@example.org", "iex"));
        assert!(!shown.contains("KEY") && !shown.contains("SECRET") && !shown.contains("pass"), "{shown}");
    }
}
