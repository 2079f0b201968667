//! What the tests of several crates share. A dependency of tests alone.
//!
//! ```text
//! address  addresses to listen on again and again
//! bars     bars by hand
//! browser  a browser that is pushed to
//! clock    time that tests set
//! http     a web server that answers well or badly, a receiver of webhooks, a client that blocks
//! mail     what a mail says
//! python   programs that are not ours
//! smtp     a mail server that follows a script, a mail server that keeps what it accepts
//! wait     for what is to come
//! ```

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod address;
pub mod bars;
pub mod browser;
pub mod clock;
pub mod http;
pub mod mail;
pub mod python;
pub mod smtp;
pub mod wait;

pub use clock::SetClock;
pub use mail::Mail;
pub use wait::{in_time, until, wait_for, wait_until};
