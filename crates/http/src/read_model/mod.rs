//! What readers are answered from: held in memory, built from the store at start, then told of every commit.

pub(crate) mod deliveries;
pub(crate) mod doubts;
pub(crate) mod model;
pub(crate) mod ranking;
pub(crate) mod session_filter;
pub(crate) mod snapshot;
pub(crate) mod store_health;
pub(crate) mod ticker;
