//! What goes over a wire, once: the shape of an alert in the API, the stream and webhooks, those of rules and
//! backtests, and the sentences in which alerts are told, in these as in mails and on pages.
//!
//! An alert carries its whole rule, so nothing here knows a configuration: an alert is told the same for as
//! long as it is kept.

pub mod alert;
pub mod backtest;
pub mod metric;
pub mod number;
pub mod rule;
pub mod sentence;
pub mod words;

pub use alert::{AlertOut, DayChangeOut, EvidenceOut};
pub use backtest::BacktestOut;
