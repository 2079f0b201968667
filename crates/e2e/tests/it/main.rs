//! The built program, from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)] // tests

mod kill;
mod mail;
mod python;
mod recording;
mod replay;
mod secrecy;
