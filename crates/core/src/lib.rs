//! The domain of QQQ Tracker, pure: symbols, exact prices, bars, the market calendar, time-windowed
//! statistics, rules with their cool-down, backtests, subscriptions and delivery schedules.
//!
//! Nothing here reads a clock, a file or a socket, and nothing is a float while at rest: prices are
//! integers of 1e-9 dollars, volumes integers of shares, window sums `i128`. Time arrives inside the data.

pub mod alert;
pub mod clock;
pub mod decimal;
pub mod delivery;
pub mod market;
pub mod period;
pub mod redaction;
pub mod retry;
pub mod rule;
pub mod statistics;
pub mod subscription;
pub mod words;

/// Sums of squares of what wants more than 64 bits.
pub use ethnum::U256;

pub use alert::detector::Detector;
pub use alert::{Alert, AlertChange, AlertId, AlertState, Visibility};
pub use clock::Clock;
pub use market::aggregate::{Candle, Interval};
pub use market::bar::Bar;
pub use market::cadence::Cadence;
pub use market::calendar::{Calendar, Phase};
pub use market::label::FeedLabel;
pub use market::metric::{Metric, MetricSet};
pub use market::moment::Moment;
pub use market::price::{Price, Volume};
pub use market::source::{FeedInfo, FeedMode, FeedStatus, StandIn, SymbolProblem};
pub use market::split::{Split, Splits};
pub use market::symbol::Symbol;
pub use market::time::Second;
pub use market::watchlist::Watchlist;
pub use period::Period;
pub use rule::{AlertRule, Evidence, Rule, RuleName, SpikeRule};
pub use statistics::{Figures, Statistics};
pub use subscription::channel::{Carrier, Channel, ChannelKind};
pub use words::UnknownWord;
