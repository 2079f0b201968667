//! `[feed]`: who is asked for bars, and how.

use super::{ConfigError, Secret, value};
use qqq_core::Period;
use qqq_feed::{FinnhubConfig, SimConfig};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

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
    #[serde(with = "value::written")]
    pub failover_after: Period,
    /// How long a feed before the running one must be well before it is taken back.
    #[serde(with = "value::written")]
    pub failback_after: Period,
    /// How often a provider is asked while the market is open, aligned to the minute.
    #[serde(with = "value::written")]
    pub poll_interval: Period,
    /// How much market before now is fetched at start and after a gap: a day for the windows, a month to say
    /// at once what is usual of a symbol.
    #[serde(with = "value::written")]
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

impl FinnhubSection {
    /// Whether the plan takes so many symbols.
    pub fn admit(&self, symbols: usize) -> Result<(), ConfigError> {
        let most = self.max_symbols;
        if symbols <= most {
            return Ok(());
        }
        let what = format!(
            "is {most}, and {symbols} symbols are watched: \
             the free plan takes about {} on its one connection; \
             watch fewer, or set what your plan takes",
            FinnhubConfig::MAX_SYMBOLS
        );
        Err(ConfigError::value("feed.finnhub.max_symbols", what))
    }
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
    /// How many sessions before its own a new market comes with, 1 to 21: what is usual is said by 20 of
    /// them.
    pub sessions: u8,
}

impl Default for SimSection {
    fn default() -> Self {
        Self { seed: 1, speed: "60x".to_owned(), start: String::new(), sessions: SimConfig::MAX_SESSIONS }
    }
}

impl FeedConfig {
    /// The provider, and who stands in for it.
    pub fn names(&self) -> impl Iterator<Item = ProviderName> {
        std::iter::once(self.provider).chain(self.fallback.iter().copied())
    }
}
