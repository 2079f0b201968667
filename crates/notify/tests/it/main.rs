//! The channels from outside: what they write, and how they talk to servers that behave and that do not.

// The lint spares test functions, but not what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod channels;
mod fixture;
mod folder;
mod guard;
mod message;
mod parsed;
mod push;
mod smtp;
mod webhook;
