//! The configuration: sections with their defaults in one place, unknown keys refused, secrets also from
//! files. [`load`] brings file, environment and flags together.

mod check;
mod error;
mod feed;
mod load;
mod sections;
mod settings;
mod sources;
mod value;

pub use error::ConfigError;
pub use feed::{
    AlpacaSection, FeedConfig, FinnhubSection, IexSection, ProviderName, ReplaySection, SimSection,
    YahooSection,
};
pub use load::load;
pub use sections::{
    ArchiveConfig, EmailConfig, LogConfig, LogFormat, MarketConfig, RulesConfig, ServerConfig, StoreConfig,
    SubscriptionsConfig, WatchlistConfig, WebhooksSection,
};
pub use settings::{Config, parse_url};
pub use sources::{Origin, PREFIX, Sources};
pub use value::{Alias, Day, Network, Operator, Secret, Text};
