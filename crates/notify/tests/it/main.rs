//! The mail channel from outside: what it writes, and how it talks to mail servers that behave and that do not.

// The lint spares test functions, but not what they call.
#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;
mod folder;
mod message;
mod parsed;
mod server;
mod smtp;
