//! Stock splits: history in today's units.

use crate::decimal::divide_half_even;
use crate::{Bar, Price, Symbol, Volume};
use jiff::civil::Date;

/// A split: from `ex_date` on, `new` shares stand where `old` stood. NVDA 10:1 is `new: 10, old: 1`;
/// a reverse split 1:50 is `new: 1, old: 50`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Split {
    /// The ticker.
    pub symbol: Symbol,
    /// First trading day in the new units (New York date). Payment dates, one to three days earlier, are
    /// a common mistake of published lists.
    pub ex_date: Date,
    /// Shares after, 1 to [`Split::MAX_TERM`].
    pub new: u32,
    /// Shares before, 1 to [`Split::MAX_TERM`].
    pub old: u32,
}

impl Split {
    /// Largest numerator or denominator taken: keeps `price * term` inside `i128` and refuses nonsense.
    pub const MAX_TERM: u32 = 1_000_000;

    /// Makes a split, or says what is wrong with it.
    pub fn new(symbol: Symbol, ex_date: Date, new: u32, old: u32) -> Result<Self, InvalidSplit> {
        let ok = |term| (1..=Self::MAX_TERM).contains(&term);
        if !ok(new) || !ok(old) || new == old {
            return Err(InvalidSplit { new, old });
        }
        Ok(Self { symbol, ex_date, new, old })
    }

    /// A price from before the split in the units after it, rounded once, half to even, to 1e-9 dollars.
    /// A price that would leave the range of [`Price`] stays at its edge.
    pub fn price(&self, before: Price) -> Price {
        let nanos = divide_half_even(i128::from(before.nanos()) * i128::from(self.old), i128::from(self.new));
        let nanos = nanos.clamp(1, i128::from(Price::MAX.nanos())) as i64;
        Price::from_nanos(nanos).unwrap_or(before)
    }

    /// A volume from before the split in the units after it, rounded once, half to even, to a share.
    pub fn volume(&self, before: Volume) -> Volume {
        let shares =
            divide_half_even(i128::from(before.shares()) * i128::from(self.new), i128::from(self.old));
        Volume::from_shares(shares.clamp(0, i128::from(Volume::MAX.shares())) as i64).unwrap_or(before)
    }

    /// A bar from before the split in the units after it.
    pub fn bar(&self, before: &Bar) -> Bar {
        Bar {
            open: self.price(before.open),
            high: self.price(before.high),
            low: self.price(before.low),
            close: self.price(before.close),
            volume: self.volume(before.volume),
            vwap: before.vwap.map(|price| self.price(price)),
            ..*before
        }
    }
}

/// A split whose terms make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{new}:{old} is not a split: both terms must be 1 to 1000000, and differ")]
pub struct InvalidSplit {
    /// Shares after.
    pub new: u32,
    /// Shares before.
    pub old: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(new: u32, old: u32) -> Split {
        Split::new("NVDA".parse().unwrap(), "2024-06-10".parse().unwrap(), new, old).unwrap()
    }

    #[test]
    fn ten_for_one() {
        let price: Price = "1208.88".parse().unwrap();
        assert_eq!(split(10, 1).price(price).to_string(), "120.888");
        assert_eq!(split(10, 1).volume(Volume::from_shares(41_238).unwrap()).shares(), 412_380);
        assert_eq!(split(1, 50).price("0.1234".parse().unwrap()).to_string(), "6.17");
    }

    #[test]
    fn rounds_once_half_to_even_at_the_last_digit() {
        let nanos = |n| Price::from_nanos(n).unwrap();
        assert_eq!(split(3, 1).price(nanos(100)).nanos(), 33);
        assert_eq!(split(2, 1).price(nanos(5)).nanos(), 2);
        assert_eq!(split(2, 1).price(nanos(7)).nanos(), 4);
        assert_eq!(split(2, 3).price(nanos(1)).nanos(), 2);
        assert_eq!(split(3, 2).volume(Volume::from_shares(3).unwrap()).shares(), 4);
    }

    #[test]
    fn nonsense_is_refused() {
        let symbol = "A".parse().unwrap();
        let day: Date = "2024-06-10".parse().unwrap();
        for (new, old) in [(0, 1), (1, 0), (1, 1), (2_000_000, 1)] {
            assert!(Split::new(symbol, day, new, old).is_err());
        }
    }

    #[test]
    fn extremes_stay_prices() {
        assert_eq!(split(1, 1_000_000).price(Price::MAX), Price::MAX);
        assert_eq!(split(1_000_000, 1).price(Price::from_nanos(1).unwrap()).nanos(), 1);
        assert_eq!(split(1_000_000, 1).volume(Volume::MAX), Volume::MAX);
    }
}
