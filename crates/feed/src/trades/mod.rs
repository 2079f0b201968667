//! Bars out of trades, for providers that stream trades: Alpaca below a minute, Finnhub always.
//!
//! What a trade is and may change is here once; which of a provider's condition codes mean what is with the
//! provider.

pub mod aggregate;
mod sums;
mod trade;

pub use aggregate::{Aggregator, Correction};
pub use trade::{Effect, SHARE, Trade, TradeId, TradeName};

pub(crate) use trade::{size, time};
