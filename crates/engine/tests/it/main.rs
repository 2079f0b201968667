//! The engine over a real store, with a provider and a clock of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod archive;
mod detect;
mod dispatch;
mod ingest;
mod names;
mod relay;
mod subscribe;
mod watchlist;
mod world;
