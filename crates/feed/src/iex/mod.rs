//! Any server that answers in the form of IEX Cloud's `stock/market/batch?types=intraday-prices`.
//!
//! IEX Cloud itself shut down on 2024-08-31; this is for servers that speak its language. Protocol: the
//! archived client libraries.

mod client;
mod model;
pub mod parse;

use crate::http::{self, Caller, ClientPolicy, Timeouts};
use crate::parts::Parts;
use crate::{FeedError, FeedErrorKind, Fetched, Provider};
use async_trait::async_trait;
use client::Client;
use qqq_core::{Clock, FeedInfo, FeedLabel, FeedMode, Second, Symbol};
use reqwest::Url;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Hosts that are gone for good: asking them would only hide the reason.
const DEAD_HOSTS: [&str; 4] =
    ["cloud.iexapis.com", "sandbox.iexapis.com", "cloud-sse.iexapis.com", "api.iextrading.com"];

/// How to reach a server of the IEX form.
#[derive(Clone)]
pub struct IexConfig {
    /// With the version: `https://host/stable`.
    pub base_url: Url,
    /// Sent as `token`; empty where the server wants none.
    pub token: String,
    /// 100 by default.
    pub requests_per_minute: u32,
    /// Longest time one request may take.
    pub timeout: Duration,
}

impl IexConfig {
    /// A pace that suits most servers; one request asks for a hundred symbols.
    pub const REQUESTS_PER_MINUTE: u32 = 100;
}

impl fmt::Debug for IexConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IexConfig")
            .field("base_url", &self.base_url.host_str())
            .field("token", &"[redacted]")
            .field("requests_per_minute", &self.requests_per_minute)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A server of the IEX form as a source of bars.
pub struct Iex {
    info: FeedInfo,
    client: Client,
}

impl Iex {
    /// Sets up the client; nothing is asked yet. The error names the setting that cannot be used.
    pub fn new(config: IexConfig, clock: Arc<dyn Clock>) -> Result<Self, FeedError> {
        http::check_base("feed.iex.base_url", &config.base_url)?;
        if config.base_url.host_str().is_some_and(|host| DEAD_HOSTS.contains(&host)) {
            let message = "feed.iex.base_url: IEX Cloud shut down on 2024-08-31; \
                           it must be a server that speaks its language, or use another provider";
            return Err(FeedError::new(FeedErrorKind::BadRequest, message));
        }
        if !config.token.is_empty() {
            http::warn_if_exposed("iex", &config.base_url);
        }
        let label = FeedLabel::new("iex")
            .map_err(|error| FeedError::new(FeedErrorKind::BadRequest, error.to_string()))?;
        let encoded = url::form_urlencoded::byte_serialize(config.token.as_bytes()).collect();
        let policy = ClientPolicy {
            provider: "iex",
            timeouts: Timeouts::total(config.timeout),
            requests_per_minute: config.requests_per_minute,
            burst: config.requests_per_minute / 10,
            retry_rate_limited: true,
            max_body: http::MAX_BODY,
            pause: Duration::from_secs(15),
            max_pause: Duration::from_secs(300),
            redaction: http::redaction([config.token.clone(), encoded]),
            classify: client::classify,
        };
        let info = FeedInfo {
            provider: "iex",
            label,
            mode: FeedMode::Live,
            coverage: "IEX only: about 2.5 % of US volume".to_owned(),
            split_adjusted: false,
            delay_minutes: 0,
        };
        let caller = Caller::new(policy, &config.base_url, clock.clone())?;
        let parts = Parts::default();
        let client = Client { caller, base: config.base_url, token: config.token, feed: label, clock, parts };
        Ok(Self { info, client })
    }
}

#[async_trait]
impl Provider for Iex {
    fn info(&self) -> &FeedInfo {
        &self.info
    }

    async fn bars(&self, symbols: &[Symbol], minutes: Range<Second>) -> Result<Fetched, FeedError> {
        if symbols.is_empty() || minutes.is_empty() {
            return Ok(Fetched::default());
        }
        self.client.bars(symbols, minutes).await
    }

    async fn check(&self, symbol: Symbol) -> Result<String, FeedError> {
        let fetched = self.client.newest(symbol).await?;
        if let Some((_, error)) = fetched.failed.into_iter().next() {
            return Err(error);
        }
        Ok(match fetched.bars.last() {
            Some(bar) => format!("iex: the server answers, newest bar of {symbol} is {}", bar.start),
            None => format!("iex: the server answers, but has no bar of {symbol} now"),
        })
    }
}
