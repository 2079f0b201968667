//! The store from outside, as the other crates see it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod sqlite;
