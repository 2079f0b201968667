//! Properties of the domain, held against independent oracles.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]

mod aggregate;
mod calendar;
mod detector;
mod oracle;
mod outlier;
mod rules;
mod time_of_day;
mod unusual;
mod week;
mod windows;
