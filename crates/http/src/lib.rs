//! What QQQ Tracker answers over HTTP.
//!
//! Readers are answered from memory (`read_model`): the store is read once at start and then only for what
//! was committed since, so an answer never says more than the store does, and costs it nothing.
//! Subscriptions, old alerts and what the client of a stream has missed go to the store itself. `stream`
//! sends on what is committed; `http::serve` owns the connections and their limits; `http::layer` gives every
//! answer its request id, its deadline and its headers; `handlers` read requests and answer them.

mod api;
mod config;
mod dashboard;
mod dto;
mod handlers;
mod http;
mod load;
mod lock;
mod metrics;
mod openapi;
mod page;
mod read_model;
mod routes;
mod stream;

pub use api::Api;
pub use config::{
    Admit, AdmitPush, ApiConfig, Cors, FrameAncestor, InvalidFrameAncestor, InvalidOrigin, Limits, Origin,
    Push, StreamLimits,
};
pub use dashboard::Dashboard;
pub use http::client::Rate;
pub use http::this_machine::is_loopback;
pub use ipnet::IpNet;
pub use load::LoadError;
pub use openapi::openapi;
