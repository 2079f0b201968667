//! All settings, and what they mean together.

use super::error::ConfigError;
use super::feed::{FeedConfig, ProviderName};
use super::sections::{
    ArchiveConfig, EmailConfig, LogConfig, MarketConfig, RulesConfig, ServerConfig, StoreConfig,
    SubscriptionsConfig, WatchlistConfig, WebhooksSection,
};
use qqq_core::market::calendar::Calendar;
use qqq_core::market::watchlist::{ConfiguredWatchlist, FormerSymbol};
use qqq_core::subscription::limits::SubscriptionLimits;
use qqq_core::{SpikeRule, Symbol, Watchlist};
use qqq_engine::active_rules::HouseRules;
use qqq_engine::archive::Archive;
use qqq_engine::watchlist::{WatchlistBasis, Watchlists};
use qqq_store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
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
    /// Where bars stay that are not kept any more.
    pub archive: ArchiveConfig,
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

impl Config {
    /// The tracked symbols.
    pub fn watchlist(&self) -> Result<Watchlist, ConfigError> {
        self.watchlist_of(self.watchlist.symbols.iter().map(|symbol| symbol.0))
    }

    /// Other symbols, with the former names that are known.
    pub fn watchlist_of(&self, symbols: impl IntoIterator<Item = Symbol>) -> Result<Watchlist, ConfigError> {
        Watchlist::new(symbols, self.former_symbols()).map_err(|error| ConfigError::value("watchlist", error))
    }

    fn former_symbols(&self) -> impl Iterator<Item = FormerSymbol> {
        self.watchlist.aliases.iter().map(|(former, alias)| FormerSymbol {
            former: former.0,
            current: alias.symbol.0,
            until: alias.until.as_ref().map(|day| day.0.0),
        })
    }

    /// Where the watchlist begins: with the configured one.
    pub fn watchlist_basis(&self) -> WatchlistBasis {
        let configured = ConfiguredWatchlist {
            symbols: self.watchlist.symbols.iter().map(|symbol| symbol.0).collect(),
            former: self.former_symbols().collect(),
        };
        let feed = self.feed.clone();
        let admit = move |list: &Watchlist| match list.symbols().len() {
            symbols if feed.names().any(|name| name == ProviderName::Finnhub) => {
                feed.finnhub.admit(symbols).map_err(|error| error.to_string())
            }
            _ => Ok(()),
        };
        WatchlistBasis { configured, admit: Arc::new(admit) }
    }

    /// The watchlist of a store, which begins with the configured one.
    pub fn watchlists(&self, store: Arc<dyn Store>) -> Watchlists {
        let config = self.clone();
        let limits = move |symbols| config.subscription_limits(symbols);
        Watchlists::new(store, self.watchlist_basis()).holding_to(Arc::new(limits))
    }

    /// The trading calendar.
    pub fn calendar(&self) -> Result<Calendar, ConfigError> {
        let section = &self.market;
        let closures = section.extra_closures.iter().map(|day| day.0.0);
        Calendar::new(section.calendar.0, section.extended_hours, closures)
            .with_cadence(section.interval.0)
            .with_metrics(section.metrics.iter().map(|metric| metric.0).collect())
            .with_early_closes(section.extra_early_closes.iter().map(|early| early.0))
            .map_err(|error| ConfigError::value("market.extra_early_closes", error))
    }

    /// The archive, where there is to be one.
    pub fn archive(&self, calendar: &Arc<Calendar>) -> Option<Archive> {
        let folder = &self.archive.folder;
        (!folder.as_os_str().is_empty()).then(|| Archive::new(folder.clone(), Arc::clone(calendar)))
    }

    /// The rule.
    pub fn rule(&self) -> SpikeRule {
        let section = &self.rules;
        // `check` has held every figure to its range.
        SpikeRule {
            ratio: section.ratio,
            window: (section.window.as_secs() / 60) as u16,
            min_bars: section.min_bars,
            cooldown_seconds: section.cooldown.as_secs(),
            max_alert_age_seconds: section.max_alert_age.as_secs(),
            max_alert_age_after_outage_seconds: section.max_alert_age_after_outage.as_secs(),
        }
    }

    /// The rule, and what else is judged on every symbol.
    pub fn house_rules(&self) -> HouseRules {
        HouseRules { spike: self.rule(), also: self.rules.also.iter().map(|watch| watch.0).collect() }
    }

    /// What subscribers may have in force, on a watchlist of so many symbols.
    pub fn subscription_limits(&self, watchlist: usize) -> SubscriptionLimits {
        let watchlist = u32::try_from(watchlist).unwrap_or(u32::MAX);
        let section = &self.subscriptions;
        SubscriptionLimits {
            per_receiver: section.max_per_receiver,
            rules_per_receiver: section.max_rules_per_receiver,
            rules: section.max_rules,
            house: self.house_rules().also,
            watchlist,
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
