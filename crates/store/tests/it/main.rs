//! The store from outside, as the other crates see it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod model;
mod policy;
mod schedule;
mod sqlite;
mod upgrade;
