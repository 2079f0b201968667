//! What trades add up to: exact, and the same in whatever order they are added.

use super::trade::{Effect, SHARE};
use jiff::Timestamp;
use qqq_core::decimal::divide_half_even;
use qqq_core::{Bar, FeedLabel, Price, Second, Symbol, Volume};

/// When a trade was made, and as which it arrived: open and close are the first and the last by this.
pub(super) type Order = (Timestamp, u64);

/// The sums of some trades of one symbol.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    regular: Prices,
    extended: Prices,
    /// Millionths of shares.
    size: i128,
    /// 1e-9 dollars times millionths of shares.
    notional: i128,
    trades: u32,
}

#[derive(Debug, Clone, Default)]
struct Prices {
    open: Option<(Order, Price)>,
    close: Option<(Order, Price)>,
    low: Option<Price>,
    high: Option<Price>,
}

impl Prices {
    fn merge(&mut self, other: &Self) {
        self.open = either(self.open, other.open, Ord::min);
        self.close = either(self.close, other.close, Ord::max);
        self.low = either(self.low, other.low, Ord::min);
        self.high = either(self.high, other.high, Ord::max);
    }
}

fn either<T>(one: Option<T>, other: Option<T>, choose: fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(choose(one, other)),
        (one, other) => one.or(other),
    }
}

impl Sums {
    /// Adds a trade of `size` millionths of a share.
    pub(super) fn add(&mut self, order: Order, price: Price, size: i64, effect: Effect) {
        if !effect.volume {
            return;
        }
        let one = Some((order, price));
        let last = if effect.last { one } else { None };
        let range = if effect.range { Some(price) } else { None };
        let prices = if effect.extended { &mut self.extended } else { &mut self.regular };
        prices.merge(&Prices { open: last, close: last, low: range, high: range });
        let size = i128::from(size);
        self.size = self.size.saturating_add(size);
        self.notional = self.notional.saturating_add(size * i128::from(price.nanos()));
        self.trades = self.trades.saturating_add(1);
    }

    /// Adds the trades of another.
    pub(super) fn merge(&mut self, other: &Self) {
        self.regular.merge(&other.regular);
        self.extended.merge(&other.extended);
        self.size = self.size.saturating_add(other.size);
        self.notional = self.notional.saturating_add(other.notional);
        self.trades = self.trades.saturating_add(other.trades);
    }

    /// The last price, where the trades make a bar.
    pub(super) fn close(&self) -> Option<Price> {
        Some(self.pricing().close?.1)
    }

    fn pricing(&self) -> &Prices {
        if self.regular.open.is_some() { &self.regular } else { &self.extended }
    }

    /// The bar of the trades. `None` where no trade may set a first and last price. An error says what is out
    /// of range. The average is rounded half to even to 1e-9 dollars, the volume so to whole shares.
    pub(super) fn bar(&self, symbol: Symbol, start: Second, feed: FeedLabel) -> Option<Result<Bar, String>> {
        let prices = self.pricing();
        let (open, close) = (prices.open?.1, prices.close?.1);
        let (low, high) = (prices.low?, prices.high?);
        let bar = || {
            let shares = i64::try_from(divide_half_even(self.size, SHARE.into()))
                .map_err(|_| "a volume out of range".to_owned())?;
            // A trade's size is above 0, and an average lies between what it averages.
            let vwap = i64::try_from(divide_half_even(self.notional, self.size.max(1))).ok();
            let vwap = vwap.and_then(|nanos| Price::from_nanos(nanos).ok());
            let bar = Bar {
                symbol,
                start,
                open,
                high,
                low,
                close,
                volume: Volume::from_shares(shares).map_err(|error| format!("volume {shares}: {error}"))?,
                vwap,
                trades: Some(self.trades),
                feed,
            };
            bar.validate().map_err(|error| error.to_string())
        };
        Some(bar())
    }
}
