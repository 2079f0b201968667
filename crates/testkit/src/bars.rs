//! Bars by hand.

use qqq_core::{Bar, Price, Second, Volume};

/// A price in cents.
pub fn cents(cents: i64) -> Price {
    Price::from_nanos(cents * (Price::DOLLAR / 100)).expect("a price")
}

/// A bar of the feed `test` that traded at one price.
pub fn flat(symbol: &str, start: Second, price: Price, shares: i64) -> Bar {
    Bar {
        symbol: symbol.parse().expect("a symbol"),
        start,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Volume::from_shares(shares).expect("a volume"),
        vwap: None,
        trades: None,
        feed: "test".parse().expect("a label"),
    }
}

/// A bar of the feed `test`: open, high, low and close in dollars.
pub fn ohlc(symbol: &str, start: &str, prices: [&str; 4], shares: i64) -> Bar {
    let [open, high, low, close] = prices.map(|text| text.parse().expect("a price"));
    let start = Second::minute_of(start.parse().expect("a time"));
    Bar { open, high, low, ..flat(symbol, start, close, shares) }
}
