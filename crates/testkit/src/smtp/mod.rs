//! Mail servers: for async tests, one that follows a script ([`script`]); for tests that block, one that
//! keeps what it accepts ([`SmtpSink`]).

pub mod script;
mod sink;

pub use sink::{Accepted, Answer, Faults, SmtpSink};
