//! HTTP from both sides: a server that answers well or badly ([`Server`]); and for tests that block, a
//! receiver of webhooks that keeps what it is sent ([`HttpSink`]) and a client ([`Http`]).

mod client;
mod server;
mod sink;

pub use client::{Http, Response};
pub use server::{Reply, Request, Server};
pub use sink::{HttpSink, Received};
