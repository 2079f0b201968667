//! The API from outside: over its router where only answers matter, over sockets where connections do. The
//! store is the real SQLite one, in a folder of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)] // tests

mod backtests;
mod bars;
mod caching;
mod contract;
mod cors;
mod dashboard;
mod description;
mod errors;
mod faulty;
mod follow;
mod limits;
mod me;
mod operators;
mod pages;
mod privacy;
mod readiness;
mod rules;
mod secrecy;
mod sessions;
mod sockets;
mod sparklines;
mod status;
mod stream;
mod subscribe;
mod subscriptions;
mod unusual;
mod visits;
mod world;
