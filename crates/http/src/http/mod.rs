//! The server around the answers: connections and their limits, what surrounds every request, how answers and
//! problems are written.

pub(crate) mod accept;
pub(crate) mod answer;
pub(crate) mod backtest_limiter;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod coding;
pub(crate) mod connections;
pub(crate) mod cors;
pub(crate) mod error_page;
pub(crate) mod fields;
pub(crate) mod form;
pub(crate) mod gate;
pub(crate) mod layer;
pub(crate) mod lifetime;
pub(crate) mod linger;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod serve;
pub(crate) mod this_machine;
