//! The configured feed, set up.

use crate::config::{Config, ConfigError, ProviderName, parse_url};
use jiff::Timestamp;
use qqq_core::{Calendar, Clock, FeedInfo, FeedLabel, Minute, Watchlist};
use qqq_feed::{
    Alpaca, AlpacaConfig, FeedError, FeedErrorKind, Iex, IexConfig, Provider, Replay, ReplaySpeed, Sim,
    SimConfig, Tape, Yahoo, YahooConfig,
};
use std::collections::HashMap;
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

    /// Sets up the configured feed. `newest` says of each feed where the store's bars end: there a simulated
    /// market or a recording goes on. Blocks on the disk for recordings.
    pub fn open(
        config: &Config,
        watchlist: &Watchlist,
        calendar: &Calendar,
        clock: Arc<dyn Clock>,
        newest: &HashMap<FeedLabel, Minute>,
    ) -> anyhow::Result<Self> {
        let feed = &config.feed;
        let provider = |provider: Arc<dyn Provider>, stream| Self::Provider { provider, stream };
        Ok(match feed.provider {
            ProviderName::Sim => {
                let simulated = FeedLabel::new(FeedLabel::SIMULATED)?;
                let sim = SimConfig {
                    seed: feed.sim.seed,
                    speed: sim_speed(&feed.sim.speed)?,
                    start: sim_start(&feed.sim.start)?,
                };
                Self::Tape(Box::new(settled(
                    "feed.sim",
                    Sim::new(sim, watchlist, calendar, clock.now(), newest.get(&simulated).copied()),
                )?))
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
                let replay = Replay::open(&feed.replay.path, speed, watchlist, calendar, label);
                let replay = settled("feed.replay.path", replay)?;
                Self::Tape(Box::new(match newest.get(&label).copied() {
                    Some(newest) => replay.resume_after(newest),
                    None => replay,
                }))
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
                );
                let alpaca = settled("feed.alpaca", alpaca)?;
                provider(Arc::new(alpaca), section.stream)
            }
            ProviderName::Yahoo => {
                let yahoo = YahooConfig {
                    base_url: parse_url("feed.yahoo.base_url", &feed.yahoo.base_url)?,
                    requests_per_minute: feed.yahoo.requests_per_minute,
                    timeout: REQUEST_TIMEOUT,
                };
                provider(Arc::new(settled("feed.yahoo", Yahoo::new(yahoo, clock))?), false)
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
                provider(Arc::new(settled("feed.iex", Iex::new(iex, clock))?), false)
            }
        })
    }
}

/// A provider's refusal for the operator: one of the key names the settings that hold it.
pub fn refusal(provider: &str, error: &FeedError) -> anyhow::Error {
    let settings = match (error.kind, provider) {
        (FeedErrorKind::Auth, "alpaca") => " (see feed.alpaca.key_id and feed.alpaca.secret_key)",
        (FeedErrorKind::Auth, "iex") => " (see feed.iex.token)",
        _ => "",
    };
    anyhow::anyhow!("{provider} refused: {error}{settings}")
}

/// A feed that cannot be set up is a setting that cannot be used.
fn settled<T>(key: &str, feed: Result<T, FeedError>) -> Result<T, ConfigError> {
    feed.map_err(|error| ConfigError::value(key, error))
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
