//! Finnhub: trades by WebSocket, made into bars of any interval; the names of all symbols by REST. Needs a
//! (free) key.
//!
//! Bars by request are for paying customers, so what the stream did not bring stays missing: a bar
//! in whose time the connection came up or was lost is none, and a start has no history.
//!
//! Protocol: Finnhub's OpenAPI document and client libraries. Not confirmed by its own words, and not relied
//! on: which exchanges the free plan sees (in 2020 its maintainers named IEX alone, issue 293 of
//! finnhubio/Finnhub-API; its documentation has spoken of the whole tape since), and how many symbols it
//! takes (about 50 are reported).

mod client;
pub mod condition;
mod model;
pub mod parse;
pub mod repeats;
mod stream;
pub mod tick;

use crate::http::{self, Caller, ClientPolicy, Timeouts};
use crate::names::{NameSource, SymbolList};
use crate::websocket::{QUICK_PING, StreamEndpoint};
use crate::{FeedError, FeedErrorKind, Fetched, Provider, StreamEvent};
use async_trait::async_trait;
use client::Client;
use qqq_core::{Cadence, Clock, FeedInfo, FeedLabel, FeedMode, Second, Symbol};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

pub use crate::websocket::Pace;

/// How to reach Finnhub.
#[derive(Clone)]
pub struct FinnhubConfig {
    /// `https://finnhub.io/api/v1`.
    pub base_url: Url,
    /// `wss://ws.finnhub.io`.
    pub stream_url: Url,
    /// The key.
    pub token: String,
    /// The plan's number of symbols on one connection.
    pub max_symbols: usize,
    /// Longest time one request may take.
    pub timeout: Duration,
    /// How long bars are.
    pub cadence: Cadence,
}

impl FinnhubConfig {
    /// Symbols of the free plan, as its users report.
    pub const MAX_SYMBOLS: usize = 50;
    /// Requests per minute of the free plan, as its users report.
    const REQUESTS_PER_MINUTE: u32 = 60;
    /// A pong proves that a quiet minute was seen to its end, so silence is broken early.
    const PACE: Pace = Pace {
        handshake: Duration::from_secs(10),
        ping: Duration::from_secs(3),
        pong: Duration::from_secs(10),
        first_pause: Duration::from_millis(500),
        max_pause: Duration::from_secs(60),
        slow_pause: Duration::from_secs(30),
    };
}

impl fmt::Debug for FinnhubConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinnhubConfig")
            .field("base_url", &self.base_url.host_str())
            .field("stream_url", &self.stream_url.host_str())
            .field("token", &"[redacted]")
            .field("max_symbols", &self.max_symbols)
            .field("timeout", &self.timeout)
            .field("cadence", &self.cadence)
            .finish()
    }
}

/// Finnhub as a source of bars.
pub struct Finnhub {
    info: FeedInfo,
    client: Client,
    stream: stream::Settings,
    names: Arc<SymbolList>,
    max_symbols: usize,
}

impl Finnhub {
    /// Sets up the client; nothing is asked yet. The error names the setting that cannot be used.
    pub fn new(config: FinnhubConfig, clock: Arc<dyn Clock>) -> Result<Self, FeedError> {
        let mut pace = FinnhubConfig::PACE;
        if config.cadence != Cadence::Sixty {
            pace.ping = QUICK_PING;
        }
        Self::with_pace(config, clock, pace)
    }

    /// As [`new`](Self::new), with other time-outs for the stream.
    #[doc(hidden)]
    pub fn with_pace(config: FinnhubConfig, clock: Arc<dyn Clock>, pace: Pace) -> Result<Self, FeedError> {
        http::check_base("feed.finnhub.base_url", &config.base_url)?;
        let refuse = |message: String| Err(FeedError::new(FeedErrorKind::BadRequest, message));
        if !matches!(config.stream_url.scheme(), "ws" | "wss") || !config.stream_url.has_host() {
            return refuse("feed.finnhub.stream_url must be a ws:// or wss:// address".to_owned());
        }
        if config.token.trim().is_empty() {
            let message = "feed.finnhub.token is empty: a key comes with a (free) account at finnhub.io";
            return Err(FeedError::new(FeedErrorKind::Auth, message));
        }
        let Ok(mut token) = HeaderValue::from_str(&config.token) else {
            let message = "feed.finnhub.token holds characters that no key has, such as a line break";
            return Err(FeedError::new(FeedErrorKind::Auth, message));
        };
        token.set_sensitive(true);
        let label = FeedLabel::new("finnhub")
            .map_err(|error| FeedError::new(FeedErrorKind::BadRequest, error.to_string()))?;
        http::warn_if_exposed("finnhub", &config.base_url);
        http::warn_if_exposed("finnhub", &config.stream_url);
        let encoded: String = url::form_urlencoded::byte_serialize(config.token.as_bytes()).collect();
        let redaction = http::redaction([config.token.clone(), encoded]);
        let policy = ClientPolicy {
            provider: "finnhub",
            timeouts: Timeouts::total(config.timeout),
            requests_per_minute: FinnhubConfig::REQUESTS_PER_MINUTE,
            burst: 5,
            retry_rate_limited: true,
            max_body: http::MAX_BODY,
            pause: Duration::from_secs(15),
            max_pause: Duration::from_secs(300),
            redaction: redaction.clone(),
            classify: client::classify,
        };
        let headers = HeaderMap::from_iter([(TOKEN_HEADER, token)]);
        let mut stocks = http::endpoint(&config.base_url, &["stock", "symbol"]);
        stocks.query_pairs_mut().append_pair("exchange", "US");
        let names = Arc::new(SymbolList::new(
            policy.clone(),
            config.base_url.clone(),
            vec![stocks],
            headers.clone(),
            parse::stocks,
            clock.clone(),
        ));
        let caller = Caller::new(policy, &config.base_url, clock.clone())?;
        let client = Client { caller, base: config.base_url, headers };
        let mut url = config.stream_url;
        url.query_pairs_mut().append_pair("token", &config.token);
        let line = StreamEndpoint { provider: "finnhub", url, pace, redaction };
        let info = FeedInfo {
            provider: "finnhub",
            label,
            mode: FeedMode::Live,
            coverage:
                "trades of Finnhub's stream: it is not confirmed that the free plan sees all US exchanges"
                    .to_owned(),
            split_adjusted: false,
            delay_minutes: 0,
        };
        let stream = stream::Settings { line, feed: label, cadence: config.cadence, clock };
        Ok(Self { info, client, stream, names, max_symbols: config.max_symbols })
    }
}

const TOKEN_HEADER: reqwest::header::HeaderName = reqwest::header::HeaderName::from_static("x-finnhub-token");

#[async_trait]
impl Provider for Finnhub {
    fn info(&self) -> &FeedInfo {
        &self.info
    }

    fn has_history(&self) -> bool {
        false
    }

    /// Answers none: bars by request are for paying customers.
    async fn bars(&self, _symbols: &[Symbol], _minutes: Range<Second>) -> Result<Fetched, FeedError> {
        Ok(Fetched::default())
    }

    /// Needs a running tokio runtime; answers `None` without one. Symbols beyond the plan's number are not
    /// subscribed.
    fn stream(&self, symbols: &[Symbol]) -> Option<mpsc::Receiver<StreamEvent>> {
        stream::start(&self.stream, &symbols[..symbols.len().min(self.max_symbols)])
    }

    fn name_source(&self) -> Option<Arc<dyn NameSource>> {
        Some(Arc::clone(&self.names) as Arc<dyn NameSource>)
    }

    async fn check(&self, symbol: Symbol) -> Result<String, FeedError> {
        Ok(match self.client.last_trade(symbol).await? {
            Some(at) => format!("finnhub: key accepted, {symbol} was last traded at {at}"),
            None => format!("finnhub: key accepted, but {symbol} is not known there"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_form_holds_no_secret() {
        let config = FinnhubConfig {
            base_url: "https://finnhub.io/api/v1".parse().expect("an address"),
            stream_url: "wss://ws.finnhub.io".parse().expect("an address"),
            token: "SECRET".to_owned(),
            max_symbols: 50,
            timeout: Duration::from_secs(20),
            cadence: Cadence::Sixty,
        };
        assert!(!format!("{config:?}").contains("SECRET"));
    }
}
