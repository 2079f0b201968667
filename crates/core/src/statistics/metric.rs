//! What of a bar is looked at.

use crate::{Price, UnknownWord};
use std::fmt;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// What of a bar a rule looks at: its close or its volume.
#[derive(Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Metric>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// `close`, in 1e-9 dollars.
    Price,
    /// `volume`, in shares.
    Volume,
}

crate::words::words!(Metric);

impl Metric {
    /// Both, in the order they are judged and listed.
    pub const ALL: [Self; 2] = [Self::Price, Self::Volume];

    /// How many of the integer's units make one dollar or one share.
    pub const fn units(self) -> i64 {
        match self {
            Self::Price => Price::DOLLAR,
            Self::Volume => 1,
        }
    }

    /// How many units of a crossing's level make one dollar or one share.
    pub const CROSSING_UNIT: i64 = 1_000_000_000;

    /// The exact decimal text of a value of this metric or of a sum of some: `689.1` dollars, `51234` shares.
    pub fn show(self, value: impl Into<i128>) -> Shown {
        Shown { metric: self, value: value.into() }
    }

    /// The exact decimal text of a square, or a sum of squares, of values of this metric.
    pub fn show_square(self, square: u128) -> String {
        let unit = u128::from(self.units().unsigned_abs());
        let (whole, part) = (square / (unit * unit), square % (unit * unit));
        let places = 2 * self.units().ilog10() as usize;
        let fraction = if part == 0 { String::new() } else { format!(".{part:0places$}") };
        format!("{whole}{}", fraction.trim_end_matches('0'))
    }
}

/// A metric's value, shown exactly. Made by [`Metric::show`].
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    metric: Metric,
    value: i128,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.metric {
            Metric::Price => crate::decimal::format(self.value, Price::PLACES, f),
            Metric::Volume => write!(f, "{}", self.value),
        }
    }
}
