//! Stock splits: history in today's units.

use crate::decimal::divide_half_even;
use crate::{Bar, Calendar, Price, Symbol, Volume};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

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

    /// Brings those bars of its symbol into the units after it that are from before.
    pub fn rescale<'a>(&self, bars: impl IntoIterator<Item = &'a mut Bar>, calendar: &Calendar) {
        let from = calendar.midnight(self.ex_date);
        for bar in bars.into_iter().filter(|bar| bar.symbol == self.symbol && bar.start < from) {
            *bar = self.bar(bar);
        }
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

impl fmt::Display for Split {
    /// `10:1@2024-06-10`: the terms, and the first day in the new units.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}@{}", self.new, self.old, self.ex_date)
    }
}

/// The splits of any number of symbols: at most one a day of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splits(BTreeMap<(Symbol, Date), Split>);

impl Splits {
    /// Lets a split in: true where it was not known. Of two with other terms on one day the first stays, and
    /// is the error.
    pub fn insert(&mut self, split: Split) -> Result<bool, Split> {
        match self.0.entry((split.symbol, split.ex_date)) {
            Entry::Vacant(entry) => {
                entry.insert(split);
                Ok(true)
            }
            Entry::Occupied(known) if *known.get() == split => Ok(false),
            Entry::Occupied(known) => Err(*known.get()),
        }
    }

    /// Whether there is one of the same symbol and day, on whatever terms.
    pub fn knows(&self, split: &Split) -> bool {
        self.0.contains_key(&(split.symbol, split.ex_date))
    }

    /// Those of a symbol that came after a day, oldest first: bars of the day are in the units before them.
    pub fn since(&self, symbol: Symbol, day: Date) -> impl Iterator<Item = &Split> {
        let later = self.0.range((symbol, day)..=(symbol, Date::MAX));
        later.map(|(_, split)| split).filter(move |split| split.ex_date > day)
    }

    /// All of them, by symbol and day.
    pub fn iter(&self) -> impl Iterator<Item = &Split> {
        self.0.values()
    }

    /// A bar of `day` (New York) brought over every split since, but for those it was brought over before.
    pub fn adjust(&self, bar: &Bar, day: Date, before: &[Split]) -> Bar {
        let missing = self.since(bar.symbol, day).filter(|split| !before.contains(split));
        missing.fold(*bar, |bar, split| split.bar(&bar))
    }
}

impl FromIterator<Split> for Splits {
    /// Of two of one day, the first counts.
    fn from_iter<T: IntoIterator<Item = Split>>(splits: T) -> Self {
        let mut all = Self::default();
        for split in splits {
            let _ = all.insert(split);
        }
        all
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
    fn a_bar_is_brought_over_the_splits_since_its_day_and_over_none_twice() {
        let on = |day: &str, new| Split::new("NVDA".parse().unwrap(), day.parse().unwrap(), new, 1).unwrap();
        let (first, second) = (on("2021-07-20", 4), on("2024-06-10", 10));
        let mut splits: Splits = [second, first].into_iter().collect();
        assert_eq!(splits.insert(first), Ok(false));
        assert_eq!(splits.insert(on("2021-07-20", 5)), Err(first));
        let bar = bar("400", 7);
        let close = |day: &str, before: &[Split]| {
            let bar = splits.adjust(&bar, day.parse().unwrap(), before);
            (bar.close.to_string(), bar.volume.shares())
        };
        assert_eq!(close("2021-07-19", &[]), ("10".to_owned(), 280));
        assert_eq!(close("2021-07-20", &[]), ("40".to_owned(), 70));
        assert_eq!(close("2021-07-19", &[first]), ("40".to_owned(), 70));
        assert_eq!(close("2021-07-19", &[second]), ("100".to_owned(), 28));
        assert_eq!(close("2021-07-19", &[first, second]), ("400".to_owned(), 7));
        assert_eq!(close("2024-06-10", &[]), ("400".to_owned(), 7));
        let other = Bar { symbol: "AAPL".parse().unwrap(), ..bar };
        assert_eq!(splits.adjust(&other, "2021-07-19".parse().unwrap(), &[]), other);
    }

    fn bar(price: &str, shares: i64) -> Bar {
        let price: Price = price.parse().unwrap();
        Bar {
            symbol: "NVDA".parse().unwrap(),
            start: crate::Second::from_minute(0),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Volume::from_shares(shares).unwrap(),
            vwap: None,
            trades: None,
            feed: "test".parse().unwrap(),
        }
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
