//! One-minute candlesticks.

use crate::{FeedLabel, Price, Second, Symbol, Volume};

/// One candlestick: what a symbol traded in the minute that begins at `start`.
///
/// A minute without trades has no bar; nobody invents one. A bar that arrives again for a known
/// (symbol, start) replaces the known one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The ticker, as listed today.
    pub symbol: Symbol,
    /// The minute, UTC.
    pub start: Second,
    /// First price, 1e-9 dollars.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price: "the price" of the bar.
    pub close: Price,
    /// Shares traded.
    pub volume: Volume,
    /// Volume-weighted average price, where the feed tells it. May lie outside low - high: odd lots count
    /// here and not there.
    pub vwap: Option<Price>,
    /// Number of trades, where the feed tells it.
    pub trades: Option<u32>,
    /// Which feed it came from.
    pub feed: FeedLabel,
}

impl Bar {
    /// Checks what must hold between the four prices: `low <= open, close <= high`.
    pub fn validate(self) -> Result<Self, InvalidBar> {
        if self.high < self.low {
            Err(InvalidBar::HighBelowLow)
        } else if self.open > self.high || self.close > self.high {
            Err(InvalidBar::AboveHigh)
        } else if self.open < self.low || self.close < self.low {
            Err(InvalidBar::BelowLow)
        } else {
            Ok(self)
        }
    }
}

/// Prices of a bar that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBar {
    /// `high < low`.
    #[error("the high is below the low")]
    HighBelowLow,
    /// `open` or `close` above `high`.
    #[error("the open or close is above the high")]
    AboveHigh,
    /// `open` or `close` below `low`.
    #[error("the open or close is below the low")]
    BelowLow,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(open: i64, high: i64, low: i64, close: i64) -> Result<Bar, InvalidBar> {
        let price = |dollars: i64| Price::from_nanos(dollars * Price::DOLLAR).unwrap();
        Bar {
            symbol: "AAPL".parse().unwrap(),
            start: Second::from_minute(0),
            open: price(open),
            high: price(high),
            low: price(low),
            close: price(close),
            volume: Volume::ZERO,
            vwap: None,
            trades: None,
            feed: "test".parse().unwrap(),
        }
        .validate()
    }

    #[test]
    fn the_four_prices_must_agree() {
        assert!(bar(2, 3, 1, 2).is_ok());
        assert!(bar(2, 2, 2, 2).is_ok());
        assert_eq!(bar(2, 1, 3, 2), Err(InvalidBar::HighBelowLow));
        assert_eq!(bar(4, 3, 1, 2), Err(InvalidBar::AboveHigh));
        assert_eq!(bar(2, 3, 1, 4), Err(InvalidBar::AboveHigh));
        assert_eq!(bar(1, 3, 2, 2), Err(InvalidBar::BelowLow));
        assert_eq!(bar(2, 3, 2, 1), Err(InvalidBar::BelowLow));
    }
}
