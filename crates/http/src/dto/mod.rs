//! The shapes of answers and requests.

pub(crate) mod account;
pub(crate) mod feed;
pub(crate) mod market;
pub(crate) mod subscription;
pub(crate) mod words;
