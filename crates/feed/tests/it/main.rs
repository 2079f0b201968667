//! What the feeds promise, tested from outside.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod alpaca;
mod alpaca_stream;
mod alpaca_trades;
mod archived;
mod captured;
mod csv;
mod finnhub;
mod finnhub_stream;
mod foreign;
mod given;
mod hostile;
mod iex;
mod invesco;
mod names;
mod parquet;
mod parsers;
mod peer;
mod replay;
mod simulated_market;
mod splits;
mod trade_bars;
mod yahoo;
