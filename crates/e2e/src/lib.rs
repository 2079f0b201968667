//! Drives the built program from outside: as a process, over HTTP, and through the mails it sends.
//!
//! ```text
//! tracker     a folder with settings, and the process that runs in it
//! pseudo_terminal  a terminal whose screen can be read
//! small_disk  a disk that can be filled
//! ```
//!
//! This is a harness for tests: whatever goes wrong in it is a panic that says what. Clients, servers and
//! waits are in `qqq-testkit`.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod pseudo_terminal;
mod small_disk;
mod tracker;

pub use small_disk::SmallDisk;
pub use tracker::{Tracker, binary};
