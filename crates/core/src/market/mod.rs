//! What is traded, and when: symbols, exact prices, bars and longer ones, what of a bar is looked at, splits,
//! the exchange's calendar, watchlists, and where bars come from.

pub mod aggregate;
pub mod bar;
pub mod cadence;
pub mod calendar;
pub mod label;
pub mod metric;
pub mod moment;
pub mod names;
pub mod price;
pub mod source;
pub mod split;
pub mod symbol;
pub mod time;
pub mod watchlist;
