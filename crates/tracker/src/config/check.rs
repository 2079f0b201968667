//! What is allowed beyond a setting's type.

use super::error::ConfigError;
use super::feed::ProviderName;
use super::settings::Config;
use super::value::Text;
use qqq_core::{Cadence, Period, SpikeRule};

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;
/// Alpaca's feeds of which it is known which trades make a bar.
const TRADED: [&str; 3] = ["iex", "sip", "delayed_sip"];

impl Config {
    /// Holds every value to what is allowed beyond its type.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let within = |key: &str, period: Period, low: u32, high: u32, allowed: &str| {
            if (low..=high).contains(&period.as_secs()) {
                Ok(())
            } else {
                Err(ConfigError::value(key, format!("`{period}` is out of range: it must be {allowed}")))
            }
        };
        self.watchlist()?;
        self.public_url()?;
        let window = self.rules.window;
        within("rules.window", window, MINUTE, 12 * HOUR, "1m to 12h")?;
        if !window.as_secs().is_multiple_of(MINUTE) {
            return Err(ConfigError::value("rules.window", format!("`{window}` must be whole minutes")));
        }
        let cadence = self.market.interval.0;
        let most = self.rules.bars_in_window(cadence);
        if !(1..=most).contains(&u32::from(self.rules.min_bars)) {
            let whose =
                if cadence == Cadence::Sixty { "minutes of rules.window" } else { "bars of rules.window" };
            let allowed =
                format!("`{}` is out of range: it must be 1 to {most}, the {whose}", self.rules.min_bars);
            return Err(ConfigError::value("rules.min_bars", allowed));
        }
        self.check_interval()?;
        within("rules.cooldown", self.rules.cooldown, 0, SpikeRule::MAX_COOLDOWN_SECONDS, "0s to 7d")?;
        let calendar = self.calendar()?;
        for Text(watch) in &self.rules.also {
            let refused = |why: String| ConfigError::value("rules.also", format!("`{watch}`: {why}"));
            watch.rule.suits_market(&calendar).map_err(|error| refused(error.to_string()))?;
            let metric = watch.metric;
            if !calendar.metrics().contains(metric) {
                return Err(refused(format!("`{metric}` is not tracked: it must be among market.metrics")));
            }
        }
        within("rules.max_alert_age", self.rules.max_alert_age, MINUTE, DAY, "1m to 1d")?;
        let after_outage = self.rules.max_alert_age_after_outage;
        within("rules.max_alert_age_after_outage", after_outage, 0, DAY, "0s to 1d")?;
        let own_alerts = self.rules.own_alerts_retention;
        within("rules.own_alerts_retention", own_alerts, DAY, 36_500 * DAY, "1d or more")?;
        self.check_fallback()?;
        let asks_alpaca = self.feed.names().any(|name| name == ProviderName::Alpaca);
        let delayed = asks_alpaca && self.feed.alpaca.feed == "delayed_sip";
        let delay = if delayed { 16 * MINUTE } else { 0 };
        let oldest = delay + self.feed.poll_interval.as_secs();
        if self.rules.max_alert_age.as_secs() < oldest {
            let what = format!(
                "`{}` is too short: with this feed and feed.poll_interval, \
                 bars are up to {} old when they come, and would alert nobody",
                self.rules.max_alert_age,
                Period::seconds(oldest)
            );
            return Err(ConfigError::value("rules.max_alert_age", what));
        }
        within("feed.poll_interval", self.feed.poll_interval, 10, HOUR, "10s to 1h")?;
        within("feed.failover_after", self.feed.failover_after, 10, HOUR, "10s to 1h")?;
        within("feed.failback_after", self.feed.failback_after, 10, DAY, "10s to 1d")?;
        within("feed.backfill", self.feed.backfill, HOUR, 45 * DAY, "1h to 45d")?;
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

    /// Holds the interval to what the feeds bring.
    fn check_interval(&self) -> Result<(), ConfigError> {
        let interval = self.market.interval.0;
        if interval == Cadence::Sixty {
            return Ok(());
        }
        for name in self.feed.names() {
            let alpaca = &self.feed.alpaca;
            let why = match name {
                ProviderName::Sim | ProviderName::Replay | ProviderName::Finnhub => continue,
                ProviderName::Yahoo | ProviderName::Iex => {
                    "has no bars shorter than a minute, and no trades".to_owned()
                }
                ProviderName::Alpaca if !alpaca.stream => {
                    "has them by its stream alone, and feed.alpaca.stream is false".to_owned()
                }
                ProviderName::Alpaca if !TRADED.contains(&alpaca.feed.as_str()) => format!(
                    "would have to make them of trades, and which of those count is not known of the feed \
                     `{}` (feed.alpaca.feed: {})",
                    alpaca.feed,
                    TRADED.join(", ")
                ),
                ProviderName::Alpaca => continue,
            };
            let what = format!(
                "`{interval}` is too short: `{name}` {why}; it must be 60s, or the feed sim, replay, alpaca \
                 or finnhub"
            );
            return Err(ConfigError::value("market.interval", what));
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
                "`{name}` cannot stand in for a provider: its bars are not the market's; \
                 it must be alpaca, yahoo, iex or finnhub"
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
