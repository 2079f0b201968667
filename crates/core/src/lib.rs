//! The domain of QQQ Tracker, pure: symbols, exact prices, bars, the market calendar, time-windowed
//! statistics, rules with their cool-down, backtests, subscriptions and delivery schedules.
//!
//! Nothing here reads a clock, a file or a socket, and nothing is a float while at rest: prices are
//! integers of 1e-9 dollars, volumes integers of shares, window sums `i128`. Time arrives inside the data.

pub mod aggregate;
pub mod alert;
pub mod backtest;
pub mod bar;
pub mod calendar;
pub mod channel;
pub mod clock;
pub mod confirmation;
pub mod decimal;
pub mod delivery;
pub mod detector;
mod docket;
pub mod label;
pub mod limits;
pub mod mailbox;
pub mod moment;
pub mod outlier;
pub mod price;
pub mod quiet;
pub mod redaction;
pub mod retention;
pub mod rule;
pub mod sentence;
pub mod sessions;
pub mod signup;
pub mod source;
pub mod split;
pub mod statistics;
pub mod subscription;
pub mod symbol;
pub mod time;
pub mod token;
pub mod watchlist;
pub mod window;

pub use aggregate::{Candle, Interval};
pub use alert::{Alert, AlertChange, AlertId, AlertState, Metric, Visibility};
pub use bar::Bar;
pub use calendar::{Calendar, Phase};
pub use channel::{Channel, ChannelKind};
pub use clock::Clock;
pub use detector::Detector;
pub use label::FeedLabel;
pub use moment::Moment;
pub use price::{Price, Volume};
pub use rule::{Evidence, Rule, RuleName, SpikeRule};
pub use source::{FeedInfo, FeedMode, FeedStatus, StandIn, SymbolProblem};
pub use split::{Split, Splits};
pub use statistics::{Figures, Statistics};
pub use symbol::Symbol;
pub use time::Minute;
pub use watchlist::Watchlist;
