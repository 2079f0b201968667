//! The configuration: sections with their defaults in one place, unknown keys refused, secrets also from
//! files. [`load`] brings file, environment and flags together.

mod check;
mod feed;
mod load;
mod sections;
mod value;

pub use feed::{
    AlpacaSection, FeedConfig, FinnhubSection, IexSection, ProviderName, ReplaySection, SimSection,
    YahooSection,
};
pub use load::{ConfigError, Origin, PREFIX, Sources, load};
pub use sections::{
    EmailConfig, LogConfig, LogFormat, MarketConfig, RulesConfig, ServerConfig, StoreConfig,
    SubscriptionsConfig, WatchlistConfig, WebhooksSection,
};
pub use value::{Alias, Day, Network, Period, Secret, Text};

use qqq_core::calendar::Calendar;
use qqq_core::limits::SubscriptionLimits;
use qqq_core::watchlist::FormerSymbol;
use qqq_core::{SpikeRule, Symbol, Watchlist};
use qqq_engine::active_rules::HouseRules;
use serde::{Deserialize, Serialize};
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
        let aliases = self.watchlist.aliases.iter().map(|(former, alias)| FormerSymbol {
            former: former.0,
            current: alias.symbol.0,
            until: alias.until.as_ref().map(|day| day.0.0),
        });
        Watchlist::new(symbols, aliases).map_err(|error| ConfigError::value("watchlist", error))
    }

    /// The trading calendar.
    pub fn calendar(&self) -> Result<Calendar, ConfigError> {
        let section = &self.market;
        let closures = section.extra_closures.iter().map(|day| day.0.0);
        Calendar::new(section.calendar.0, section.extended_hours, closures)
            .with_early_closes(section.extra_early_closes.iter().map(|early| early.0))
            .map_err(|error| ConfigError::value("market.extra_early_closes", error))
    }

    /// The rule.
    pub fn rule(&self) -> SpikeRule {
        let section = &self.rules;
        // `check` has held every figure to its range.
        SpikeRule {
            ratio: section.ratio,
            window: (section.window.as_secs() / 60) as u16,
            min_bars: section.min_bars,
            cooldown_seconds: section.cooldown.as_secs() as u32,
            max_alert_age_seconds: section.max_alert_age.as_secs() as u32,
            max_alert_age_after_outage_seconds: section.max_alert_age_after_outage.as_secs() as u32,
        }
    }

    /// The rule, and what else is judged on every symbol.
    pub fn house_rules(&self) -> HouseRules {
        HouseRules { spike: self.rule(), also: self.rules.also.iter().map(|watch| watch.0).collect() }
    }

    /// What subscribers may have in force.
    pub fn subscription_limits(&self) -> SubscriptionLimits {
        let section = &self.subscriptions;
        SubscriptionLimits {
            per_receiver: section.max_per_receiver,
            rules_per_receiver: section.max_rules_per_receiver,
            rules: section.max_rules,
            house: self.house_rules().also,
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
