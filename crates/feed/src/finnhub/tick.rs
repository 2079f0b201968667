//! A trade as Finnhub tells it.

use super::condition::Conditions;
use crate::trades::Trade;

/// A trade, and the conditions it was told with: equal trades have equal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tick {
    /// The trade.
    pub trade: Trade,
    /// With which conditions.
    pub conditions: Conditions,
}
