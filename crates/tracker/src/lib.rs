//! QQQ Tracker, put together: configuration, roles, lifecycle and commands of the binary `qqq-tracker`.

pub mod admin;
pub mod app;
pub mod backtest;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod descriptors;
pub mod export;
pub mod import;
pub mod key;
pub mod manual;
pub mod pipeline;
pub mod progress;
pub mod source;
pub mod splits;
pub mod store;
pub mod summary;
pub mod table;
pub mod telemetry;
pub mod watchlist;
