//! A trade.

use super::condition::{Conditions, Effect};
use jiff::Timestamp;
use qqq_core::{Price, Symbol};

/// Parts of a share that are told apart: fractional shares are traded.
pub const SHARE: i64 = 1_000_000;

/// A trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trade {
    /// Of what.
    pub symbol: Symbol,
    /// When it was made.
    pub at: Timestamp,
    /// At what price.
    pub price: Price,
    /// How much, in millionths of a share; above 0.
    pub size: i64,
    /// With which conditions.
    pub conditions: Conditions,
    /// What it may change.
    pub effect: Effect,
}

impl Trade {
    /// A billion shares in one trade: nothing real is larger, and ten million of them at the highest price do
    /// not overflow a minute's sums.
    pub const MAX_SIZE: i64 = 1_000_000_000 * SHARE;
}
