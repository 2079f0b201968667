//! The built program, from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)] // tests

mod absence;
mod admin;
mod apart;
mod backtest;
mod bars;
mod cli;
mod dashboard;
mod description;
mod disk;
mod failover;
mod files;
mod flow;
mod kill;
mod machine;
mod mail;
mod outage;
mod places;
mod provider;
mod recording;
mod replay;
mod secrecy;
mod store_files;
mod stream;
mod watchlist;
mod webhook;
