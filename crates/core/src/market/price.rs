//! Prices and volumes: positive integers with a ceiling, so that every window sum stays exact in `i128`.

use crate::decimal::{self, DecimalError, Excess};
use std::fmt;
use std::str::FromStr;

/// A price in 1e-9 dollars (or whatever currency the feed quotes), above 0 and at most
/// [`Price::MAX`].
///
/// The ceiling keeps `n * sum of squares` of a day of minutes below 2^127:
/// `1440^2 * (9e15)^2 = 1.7e38`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i64);

impl Price {
    /// Decimal places kept.
    pub const PLACES: u32 = 9;
    /// One dollar.
    pub const DOLLAR: i64 = 1_000_000_000;
    /// Nine million dollars: an order of magnitude above the dearest listed share.
    pub const MAX: Self = Self(9_000_000 * Self::DOLLAR);

    /// Makes a price of 1e-9 dollars.
    pub const fn from_nanos(nanos: i64) -> Result<Self, InvalidPrice> {
        if nanos <= 0 {
            Err(InvalidPrice::NotPositive)
        } else if nanos > Self::MAX.0 {
            Err(InvalidPrice::TooHigh)
        } else {
            Ok(Self(nanos))
        }
    }

    /// Parses decimal text, rounded half to even to `places` decimals (at most 9).
    pub fn parse_rounded(text: &str, places: u32) -> Result<Self, InvalidPrice> {
        let places = places.min(Self::PLACES);
        let value = decimal::parse(text, places, Excess::Round)?;
        let nanos = value.checked_mul(10_i64.pow(Self::PLACES - places)).ok_or(InvalidPrice::TooHigh)?;
        Self::from_nanos(nanos)
    }

    /// The price in 1e-9 dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// By how much it is above an earlier price: 1e-9 dollars, and per cent of that price.
    pub fn change_since(self, before: Self) -> (i64, f64) {
        let amount = self.0 - before.0;
        (amount, amount as f64 / before.0 as f64 * 100.0)
    }

    /// The nearest double, in dollars. For display and models, never for sums.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / Self::DOLLAR as f64
    }
}

impl FromStr for Price {
    type Err = InvalidPrice;

    /// Parses decimal text exactly: more than nine decimals are an error, not a rounding.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_nanos(decimal::parse(text, Self::PLACES, Excess::Refuse)?)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal::format(self.0.into(), Self::PLACES, f)
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Price({self})")
    }
}

/// Why a number is not a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrice {
    /// The text is not a decimal number that nine places can hold.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// Zero or negative.
    #[error("not above 0")]
    NotPositive,
    /// Above [`Price::MAX`].
    #[error("above 9,000,000")]
    TooHigh,
}

/// A number of shares traded, 0 to [`Volume::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Volume(i64);

impl Volume {
    /// 10^12 shares: more than the whole market trades in a day.
    pub const MAX: Self = Self(1_000_000_000_000);
    /// No shares.
    pub const ZERO: Self = Self(0);

    /// Makes a volume of `shares`.
    pub const fn from_shares(shares: i64) -> Result<Self, InvalidVolume> {
        if shares < 0 {
            Err(InvalidVolume::Negative)
        } else if shares > Self::MAX.0 {
            Err(InvalidVolume::TooHigh)
        } else {
            Ok(Self(shares))
        }
    }

    /// The number of shares.
    pub const fn shares(self) -> i64 {
        self.0
    }
}

impl FromStr for Volume {
    type Err = InvalidVolume;

    /// Parses decimal text; fractional shares (which some feeds report) round half to even.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_shares(decimal::parse(text, 0, Excess::Round)?)
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Volume({self})")
    }
}

/// Why a number is not a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVolume {
    /// The text is not a decimal number.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// Below zero.
    #[error("negative")]
    Negative,
    /// Above [`Volume::MAX`].
    #[error("above 10^12")]
    TooHigh,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_keep_every_digit() {
        for text in ["689.1", "0.000000001", "118.58", "9000000", "41.123456789"] {
            assert_eq!(text.parse::<Price>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn widened_floats_are_rounded_to_their_ticks() {
        assert_eq!(Price::parse_rounded("103.66500091552734", 4).unwrap().to_string(), "103.665");
    }

    #[test]
    fn absurd_prices_and_volumes_are_refused() {
        assert_eq!("0".parse::<Price>(), Err(InvalidPrice::NotPositive));
        assert_eq!("-1".parse::<Price>(), Err(InvalidPrice::NotPositive));
        assert_eq!("9000000.000000001".parse::<Price>(), Err(InvalidPrice::TooHigh));
        assert!("1e999".parse::<Price>().is_err());
        assert!("NaN".parse::<Price>().is_err());
        assert_eq!("-1".parse::<Volume>(), Err(InvalidVolume::Negative));
        assert_eq!("1000000000001".parse::<Volume>(), Err(InvalidVolume::TooHigh));
        assert_eq!("98012.0".parse::<Volume>().unwrap().shares(), 98_012);
    }
}
