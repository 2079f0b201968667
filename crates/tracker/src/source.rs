//! The configured feed, set up.

use crate::config::{Config, ConfigError, ProviderName, parse_url};
use jiff::Timestamp;
use qqq_core::{Calendar, Clock, FeedInfo, FeedLabel, Minute, Watchlist};
use qqq_feed::{
    Alpaca, AlpacaConfig, Iex, IexConfig, Provider, Replay, ReplaySpeed, Sim, SimConfig, Tape, Yahoo,
    YahooConfig,
};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest time one request to a provider may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The label of recorded bars.
const REPLAY_LABEL: &str = "replay";

/// Where bars come from.
pub enum Source {
    /// Plays by its own clock.
    Tape(Box<dyn Tape>),
    /// Is asked.
    Provider {
        /// Whom to ask.
        provider: Arc<dyn Provider>,
        /// Whether to stream beside the polls.
        stream: bool,
    },
}

impl Source {
    /// What this feed is.
    pub fn info(&self) -> &FeedInfo {
        match self {
            Self::Tape(tape) => tape.info(),
            Self::Provider { provider, .. } => provider.info(),
        }
    }

    /// Sets up the configured feed. `newest` is the store's newest simulated bar, where a simulated market
    /// goes on. Blocks on the disk for recordings.
    pub fn open(
        config: &Config,
        watchlist: &Watchlist,
        calendar: &Calendar,
        clock: Arc<dyn Clock>,
        newest: Option<Minute>,
    ) -> anyhow::Result<Self> {
        let feed = &config.feed;
        let provider = |provider: Arc<dyn Provider>, stream| Self::Provider { provider, stream };
        Ok(match feed.provider {
            ProviderName::Sim => {
                let sim = SimConfig {
                    seed: feed.sim.seed,
                    speed: sim_speed(&feed.sim.speed)?,
                    start: sim_start(&feed.sim.start)?,
                };
                Self::Tape(Box::new(Sim::new(sim, watchlist, calendar, clock.now(), newest)?))
            }
            ProviderName::Replay => {
                if feed.replay.path.as_os_str().is_empty() {
                    return Err(ConfigError::value(
                        "feed.replay.path",
                        "is empty: it must name a CSV file or a folder of them",
                    )
                    .into());
                }
                let speed: ReplaySpeed = feed
                    .replay
                    .speed
                    .parse()
                    .map_err(|error| ConfigError::value("feed.replay.speed", error))?;
                let label = FeedLabel::new(REPLAY_LABEL)?;
                Self::Tape(Box::new(Replay::open(&feed.replay.path, speed, watchlist, calendar, label)?))
            }
            ProviderName::Alpaca => {
                let section = &feed.alpaca;
                for (key, secret) in
                    [("feed.alpaca.key_id", &section.key_id), ("feed.alpaca.secret_key", &section.secret_key)]
                {
                    if secret.is_empty() {
                        let what = "is empty: a free key comes with an account at alpaca.markets (set it in the file, the environment, or KEY_file)";
                        return Err(ConfigError::value(key, what).into());
                    }
                }
                let alpaca = Alpaca::new(
                    AlpacaConfig {
                        base_url: parse_url("feed.alpaca.base_url", &section.base_url)?,
                        stream_url: stream_url(&section.stream_url)?,
                        key_id: section.key_id.expose().to_owned(),
                        secret_key: section.secret_key.expose().to_owned(),
                        feed: section.feed.clone(),
                        requests_per_minute: section.requests_per_minute,
                        timeout: REQUEST_TIMEOUT,
                        stream: section.stream,
                    },
                    clock,
                )?;
                provider(Arc::new(alpaca), section.stream)
            }
            ProviderName::Yahoo => {
                let yahoo = YahooConfig {
                    base_url: parse_url("feed.yahoo.base_url", &feed.yahoo.base_url)?,
                    requests_per_minute: feed.yahoo.requests_per_minute,
                    timeout: REQUEST_TIMEOUT,
                };
                provider(Arc::new(Yahoo::new(yahoo, clock)?), false)
            }
            ProviderName::Iex => {
                if feed.iex.base_url.is_empty() {
                    let what = "is empty: it must name a server of the IEX Cloud batch form (IEX Cloud itself is gone)";
                    return Err(ConfigError::value("feed.iex.base_url", what).into());
                }
                let iex = IexConfig {
                    base_url: parse_url("feed.iex.base_url", &feed.iex.base_url)?,
                    token: feed.iex.token.expose().to_owned(),
                    requests_per_minute: feed.iex.requests_per_minute,
                    timeout: REQUEST_TIMEOUT,
                };
                provider(Arc::new(Iex::new(iex, clock)?), false)
            }
        })
    }
}

fn sim_speed(text: &str) -> Result<u32, ConfigError> {
    text.strip_suffix('x')
        .and_then(|digits| digits.parse().ok())
        .filter(|speed| (1..=SimConfig::MAX_SPEED).contains(speed))
        .ok_or_else(|| {
            let allowed = format!("`{text}` is not a speed: it must be 1x to {}x", SimConfig::MAX_SPEED);
            ConfigError::value("feed.sim.speed", allowed)
        })
}

fn sim_start(text: &str) -> Result<Option<Timestamp>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let what = format!("`{text}` is not a time: it must look like 2025-01-27T15:00:00Z");
        ConfigError::value("feed.sim.start", what)
    })
}

fn stream_url(text: &str) -> Result<Option<Url>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") => Ok(Some(url)),
        _ => {
            let what = format!("`{text}` is not a stream's address: it must begin with wss://");
            Err(ConfigError::value("feed.alpaca.stream_url", what))
        }
    }
}
