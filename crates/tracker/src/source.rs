//! The configured feeds, set up.

use crate::config::{Config, ConfigError, ProviderName, parse_url};
use jiff::Timestamp;
use qqq_core::{Calendar, Clock, FeedInfo, FeedLabel, Second, Splits, Symbol, Watchlist};
use qqq_engine::feed::Feed;
use qqq_feed::bar_file::{ReadOptions, Units};
use qqq_feed::{
    Alpaca, AlpacaConfig, FeedError, Finnhub, FinnhubConfig, Iex, IexConfig, NameSource, Provider, Replay,
    ReplaySource, ReplaySpeed, Sim, SimConfig, Yahoo, YahooConfig,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest time one request to a provider may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The label of recorded bars.
const REPLAY_LABEL: &str = "replay";

/// Where the bars end that are known, by feed and symbol.
pub type Known = HashMap<FeedLabel, HashMap<Symbol, Second>>;

/// Where bars come from.
pub enum Source {
    /// Plays by its own clock.
    Replay(Box<dyn ReplaySource>),
    /// Are asked: the first, and those that stand in for it, in their order. Never empty.
    Feeds(Vec<Feed>),
}

impl Source {
    /// What this feed is: the first one.
    pub fn info(&self) -> &FeedInfo {
        match self {
            Self::Replay(replay) => replay.info(),
            Self::Feeds(feeds) => feeds[0].provider.info(),
        }
    }

    /// What tells the names of all symbols: the first feed that can.
    pub fn names(&self) -> Option<Arc<dyn NameSource>> {
        match self {
            Self::Replay(_) => None,
            Self::Feeds(feeds) => feeds.iter().find_map(|feed| feed.provider.name_source()),
        }
    }

    /// Sets up the configured feeds. `known` says of each feed where the store's bars of each symbol end:
    /// there a simulated market or a recording goes on. `splits` are those the store knows: recorded bars are
    /// brought over them. Blocks on the disk for recordings.
    pub fn open(
        config: &Config,
        watchlist: &Watchlist,
        calendar: &Calendar,
        clock: Arc<dyn Clock>,
        known: &Known,
        splits: Splits,
    ) -> anyhow::Result<Self> {
        let feed = &config.feed;
        Ok(match feed.provider {
            ProviderName::Sim => {
                let simulated = FeedLabel::new(FeedLabel::SIMULATED)?;
                let sim = SimConfig {
                    seed: feed.sim.seed,
                    speed: sim_speed(&feed.sim.speed)?,
                    start: sim_start(&feed.sim.start)?,
                    sessions: sim_sessions(feed.sim.sessions)?,
                };
                let known = known.get(&simulated);
                let newest = known.and_then(|known| known.values().max().copied());
                let market = Sim::new(sim, watchlist, calendar, clock.now(), newest);
                let market = settled("feed.sim", market)?;
                Self::Replay(Box::new(match known {
                    Some(known) => market.caught_up(known),
                    None => market,
                }))
            }
            ProviderName::Replay => {
                if feed.replay.path.as_os_str().is_empty() {
                    return Err(ConfigError::value(
                        "feed.replay.path",
                        "is empty: it must name a CSV or Parquet file, or a folder of them",
                    )
                    .into());
                }
                let speed: ReplaySpeed = feed
                    .replay
                    .speed
                    .parse()
                    .map_err(|error| ConfigError::value("feed.replay.speed", error))?;
                let label = FeedLabel::new(REPLAY_LABEL)?;
                let replay = Replay::open(
                    &feed.replay.path,
                    speed,
                    watchlist,
                    calendar,
                    replay_options(config, label, splits)?,
                );
                let replay = settled("feed.replay.path", replay)?;
                let newest = known.get(&label).and_then(|known| known.values().max().copied());
                Self::Replay(Box::new(match newest {
                    Some(newest) => replay.resume_after(newest),
                    None => replay,
                }))
            }
            _ => {
                let feeds = feed.names().map(|name| open_feed(name, config, watchlist, Arc::clone(&clock)));
                Self::Feeds(feeds.collect::<Result<_, _>>()?)
            }
        })
    }
}

/// How the files of a recording are read.
fn replay_options(config: &Config, label: FeedLabel, splits: Splits) -> Result<ReadOptions, ConfigError> {
    let section = &config.feed.replay;
    let zone = match section.zone.as_str() {
        "" => None,
        zone => Some(zone.parse().map_err(|error| ConfigError::value("feed.replay.zone", error))?),
    };
    let columns =
        section.columns.parse().map_err(|error| ConfigError::value("feed.replay.columns", error))?;
    let units = Units { splits, split_adjusted: section.split_adjusted };
    Ok(ReadOptions { labels: label.into(), zone, columns, units })
}

fn asked(provider: impl Provider + 'static, stream: bool, key_settings: &'static str) -> Feed {
    Feed { provider: Arc::new(provider), stream, key_settings }
}

/// Sets up one provider.
fn open_feed(
    name: ProviderName,
    config: &Config,
    watchlist: &Watchlist,
    clock: Arc<dyn Clock>,
) -> Result<Feed, ConfigError> {
    let feed = &config.feed;
    match name {
        ProviderName::Sim | ProviderName::Replay => {
            Err(ConfigError::value("feed.fallback", format!("`{name}` is no provider that can be asked")))
        }
        ProviderName::Alpaca => {
            let section = &feed.alpaca;
            for (key, secret) in
                [("feed.alpaca.key_id", &section.key_id), ("feed.alpaca.secret_key", &section.secret_key)]
            {
                if secret.is_empty() {
                    let what = "is empty: a free key comes with an account at alpaca.markets \
                                (set it in the file, the environment, or KEY_file)";
                    return Err(ConfigError::value(key, what));
                }
            }
            let alpaca = AlpacaConfig {
                base_url: parse_url("feed.alpaca.base_url", &section.base_url)?,
                stream_url: match section.stream_url.as_str() {
                    "" => None,
                    text => Some(stream_url("feed.alpaca.stream_url", text)?),
                },
                key_id: section.key_id.expose().to_owned(),
                secret_key: section.secret_key.expose().to_owned(),
                feed: section.feed.clone(),
                requests_per_minute: section.requests_per_minute,
                timeout: REQUEST_TIMEOUT,
                stream: section.stream,
                cadence: config.market.interval.0,
            };
            Ok(asked(
                settled("feed.alpaca", Alpaca::new(alpaca, clock))?,
                section.stream,
                "feed.alpaca.key_id and feed.alpaca.secret_key",
            ))
        }
        ProviderName::Finnhub => {
            let section = &feed.finnhub;
            if section.token.is_empty() {
                let what = "is empty: a free key comes with an account at finnhub.io \
                            (set it in the file, the environment, or token_file)";
                return Err(ConfigError::value("feed.finnhub.token", what));
            }
            section.admit(watchlist.symbols().len())?;
            let finnhub = FinnhubConfig {
                base_url: parse_url("feed.finnhub.base_url", &section.base_url)?,
                stream_url: stream_url("feed.finnhub.stream_url", &section.stream_url)?,
                token: section.token.expose().to_owned(),
                max_symbols: section.max_symbols,
                timeout: REQUEST_TIMEOUT,
                cadence: config.market.interval.0,
            };
            Ok(asked(settled("feed.finnhub", Finnhub::new(finnhub, clock))?, true, "feed.finnhub.token"))
        }
        ProviderName::Yahoo => {
            let yahoo = YahooConfig {
                base_url: parse_url("feed.yahoo.base_url", &feed.yahoo.base_url)?,
                requests_per_minute: feed.yahoo.requests_per_minute,
                timeout: REQUEST_TIMEOUT,
            };
            Ok(asked(settled("feed.yahoo", Yahoo::new(yahoo, clock))?, false, ""))
        }
        ProviderName::Iex => {
            if feed.iex.base_url.is_empty() {
                let what =
                    "is empty: it must name a server of the IEX Cloud batch form (IEX Cloud itself is gone)";
                return Err(ConfigError::value("feed.iex.base_url", what));
            }
            let iex = IexConfig {
                base_url: parse_url("feed.iex.base_url", &feed.iex.base_url)?,
                token: feed.iex.token.expose().to_owned(),
                requests_per_minute: feed.iex.requests_per_minute,
                timeout: REQUEST_TIMEOUT,
            };
            Ok(asked(settled("feed.iex", Iex::new(iex, clock))?, false, "feed.iex.token"))
        }
    }
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

fn sim_sessions(sessions: u8) -> Result<u8, ConfigError> {
    let allowed = 1..=SimConfig::MAX_SESSIONS;
    let what = || format!("is {sessions}; it must be 1 to {}", SimConfig::MAX_SESSIONS);
    allowed
        .contains(&sessions)
        .then_some(sessions)
        .ok_or_else(|| ConfigError::value("feed.sim.sessions", what()))
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

fn stream_url(key: &str, text: &str) -> Result<Url, ConfigError> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") => Ok(url),
        _ => {
            let what = format!("`{text}` is not a stream's address: it must begin with wss://");
            Err(ConfigError::value(key, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::config::{Sources, load};

    fn open(settings: &[(&str, &str)]) -> anyhow::Result<Source> {
        let flags = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = load(&Sources { flags, ..Sources::default() })?;
        let (watchlist, calendar) = (config.watchlist()?, config.calendar()?);
        Source::open(
            &config,
            &watchlist,
            &calendar,
            Arc::new(SystemClock::new()),
            &HashMap::new(),
            Splits::default(),
        )
    }

    fn refused(settings: &[(&str, &str)]) -> String {
        open(settings).err().unwrap().to_string()
    }

    #[test]
    fn the_provider_comes_first_and_then_who_stands_in_for_it() {
        let key = [("feed.alpaca.key_id", "K"), ("feed.alpaca.secret_key", "S"), ("feed.finnhub.token", "T")];
        let named = [("feed.provider", "alpaca"), ("feed.fallback", "yahoo,finnhub")];
        let Source::Feeds(feeds) = open(&[&key[..], &named].concat()).unwrap() else { panic!("feeds") };
        let names: Vec<_> =
            feeds.iter().map(|feed| (feed.provider.info().label.to_string(), feed.stream)).collect();
        let expected = [("iex", true), ("yahoo", false), ("finnhub", true)];
        assert_eq!(names, expected.map(|(label, stream)| (label.to_owned(), stream)));
    }

    #[test]
    fn what_a_feed_cannot_do_is_refused_by_the_name_of_its_setting() {
        let finnhub = ("feed.provider", "finnhub");
        let error = refused(&[finnhub]);
        assert!(error.starts_with("feed.finnhub.token: is empty"), "{error}");
        let symbols: Vec<String> = (0..51).map(|number| format!("S{number}")).collect();
        let many = ("watchlist.symbols", symbols.join(","));
        let token = ("feed.finnhub.token", "T");
        let error = refused(&[finnhub, token, (many.0, &many.1), ("watchlist.aliases", "{}")]);
        for part in ["feed.finnhub.max_symbols", "is 50", "51 symbols", "free plan"] {
            assert!(error.contains(part), "{error}");
        }
        let plan = ("feed.finnhub.max_symbols", "51");
        assert!(open(&[finnhub, token, plan, (many.0, &many.1), ("watchlist.aliases", "{}")]).is_ok());
        let error = refused(&[finnhub, token, ("feed.finnhub.stream_url", "https://x")]);
        assert!(error.starts_with("feed.finnhub.stream_url: `https://x`"), "{error}");
        assert!(open(&[finnhub, token]).unwrap().names().is_some());
        assert!(open(&[("feed.provider", "yahoo")]).unwrap().names().is_none());
        // Who stands in must be able to, before he is needed.
        let error = refused(&[("feed.provider", "yahoo"), ("feed.fallback", "alpaca")]);
        assert!(error.starts_with("feed.alpaca.key_id: is empty"), "{error}");
    }
}
