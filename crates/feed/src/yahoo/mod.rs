//! Yahoo's chart endpoint: minute bars of the last 30 days, without a key.
//!
//! Undocumented, and Yahoo owes nobody an answer: the budget is modest and a refusal is respected for
//! minutes. Prices are split-adjusted, volume looks consolidated. Protocol: recorded answers and the widely
//! used open clients.

mod client;
mod model;
pub mod parse;

use crate::http::{self, Caller, ClientPolicy, Timeouts};
use crate::{FeedError, FeedErrorKind, Fetched, Provider, answer::Answer};
use async_trait::async_trait;
use client::Client;
use futures_util::StreamExt as _;
use jiff::civil::Date;
use qqq_core::{Clock, FeedInfo, FeedLabel, FeedMode, Second, Split, Symbol};
use reqwest::Url;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

/// Requests under way at once.
const CONCURRENCY: usize = 2;

/// How to reach Yahoo.
#[derive(Debug, Clone)]
pub struct YahooConfig {
    /// `https://query1.finance.yahoo.com`.
    pub base_url: Url,
    /// One symbol takes one request. 60 by default.
    pub requests_per_minute: u32,
    /// Longest time one request may take.
    pub timeout: Duration,
}

impl YahooConfig {
    /// A modest pace: ten symbols once a minute need ten.
    pub const REQUESTS_PER_MINUTE: u32 = 60;
}

/// Yahoo as a source of bars.
pub struct Yahoo {
    info: FeedInfo,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl Yahoo {
    /// Sets up the client; nothing is asked yet. The error names the setting that cannot be used.
    pub fn new(config: YahooConfig, clock: Arc<dyn Clock>) -> Result<Self, FeedError> {
        http::check_base("feed.yahoo.base_url", &config.base_url)?;
        let label = FeedLabel::new("yahoo")
            .map_err(|error| FeedError::new(FeedErrorKind::BadRequest, error.to_string()))?;
        let policy = ClientPolicy {
            provider: "yahoo",
            timeouts: Timeouts::total(config.timeout),
            requests_per_minute: config.requests_per_minute,
            burst: 2,
            retry_rate_limited: false,
            max_body: http::MAX_BODY,
            pause: Duration::from_secs(120),
            max_pause: Duration::from_secs(1800),
            redaction: http::redaction([]),
            classify: client::classify,
        };
        let info = FeedInfo {
            provider: "yahoo",
            label,
            mode: FeedMode::Live,
            coverage: "Yahoo: US exchanges, undocumented and without warranty".to_owned(),
            split_adjusted: true,
            delay_minutes: 0,
        };
        let caller = Caller::new(policy, &config.base_url, clock.clone())?;
        Ok(Self { info, client: Client { caller, base: config.base_url, feed: label }, clock })
    }
}

#[async_trait]
impl Provider for Yahoo {
    fn info(&self) -> &FeedInfo {
        &self.info
    }

    async fn bars(&self, symbols: &[Symbol], minutes: Range<Second>) -> Result<Fetched, FeedError> {
        let minutes = client::available(minutes, self.clock.now());
        if symbols.is_empty() || minutes.is_empty() {
            return Ok(Fetched::default());
        }
        let unique: BTreeSet<Symbol> = symbols.iter().copied().collect();
        let count = unique.len();
        let asking = unique.into_iter().map(|symbol| {
            let minutes = minutes.clone();
            async move { (symbol, self.client.bars(symbol, minutes).await) }
        });
        let mut answers = futures_util::stream::iter(asking).buffer_unordered(CONCURRENCY);
        let mut answer = Answer::default();
        let mut unanswered = 0;
        let mut worst: Option<FeedError> = None;
        while let Some((symbol, outcome)) = answers.next().await {
            match outcome {
                Ok(fetched) => answer.extend(fetched),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    if error.is_retryable() {
                        unanswered += 1;
                        worst.get_or_insert_with(|| error.clone());
                    }
                    answer.fail(symbol, error);
                }
            }
        }
        match worst {
            Some(error) if unanswered == count => Err(error),
            _ => Ok(answer.finish()),
        }
    }

    async fn splits(&self, symbols: &[Symbol], days: RangeInclusive<Date>) -> Result<Vec<Split>, FeedError> {
        let mut found = Vec::new();
        if days.is_empty() {
            return Ok(found);
        }
        let (mut answered, mut refusal) = (symbols.is_empty(), None);
        for symbol in symbols.iter().copied().collect::<BTreeSet<_>>() {
            match self.client.splits(symbol, &days).await {
                Ok(splits) => {
                    answered = true;
                    found.extend(splits);
                }
                // The others' splits matter no less.
                Err(error) if error.may_concern_one() => {
                    tracing::debug!(%symbol, %error, "splits of this symbol are not known");
                    answered |= error.kind == FeedErrorKind::NotFound;
                    refusal.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match refusal {
            Some(error) if !answered => Err(error),
            _ => Ok(found),
        }
    }

    async fn check(&self, symbol: Symbol) -> Result<String, FeedError> {
        Ok(match self.client.last_trade(symbol).await? {
            Some(at) => format!("yahoo: answers without a key, newest trade of {symbol} is {at}"),
            None => format!("yahoo: answers without a key, and knows {symbol}"),
        })
    }
}
