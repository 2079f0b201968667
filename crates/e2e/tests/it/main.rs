//! The built program, from outside.

// Tests fail by panicking, and print.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod absence;
mod account;
mod admin;
mod apart;
mod archive;
mod backtest;
mod bars;
mod cli;
mod closing;
mod dashboard;
mod description;
mod disk;
mod failover;
mod files;
mod flow;
mod intervals;
mod kill;
mod machine;
mod mail;
mod metrics;
mod once;
mod operators;
mod outage;
mod places;
mod provider;
mod push;
mod recording;
mod replay;
mod seconds;
mod secrecy;
mod store_files;
mod strangers;
mod stream;
mod terminal;
mod top;
mod watchlist;
mod webhook;
