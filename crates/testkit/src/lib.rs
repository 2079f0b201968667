//! What the tests of several crates share. A dependency of tests alone.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod clock;
pub mod python;
pub mod wait;

pub use clock::SetClock;
pub use wait::until;
