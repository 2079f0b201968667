//! What of a bar is looked at.
//!
//! A metric is one entry of the table below: its word, its unit, and how it is read off a bar. Everything
//! else (windows, figures, rankings, rules, alerts, backtests, endpoints, files) goes by [`Metric::ALL`] and
//! by what is said here.

use crate::decimal;
use crate::{Bar, Price, Second, UnknownWord};
use ethnum::U256;
use std::fmt;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// Makes [`Metric`] of its table.
macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident, $unit:expr, $reading:expr;)*) => {
        /// What of a bar a rule looks at.
        #[derive(Display, EnumString, IntoStaticStr, VariantNames)]
        #[strum(serialize_all = "snake_case")]
        #[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Metric>)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $($(#[$doc])* $name,)*
        }

        impl Metric {
            /// All of them, in the order they are judged and listed.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// What one of its values counts.
            pub const fn unit(self) -> Unit {
                match self {
                    $(Self::$name => $unit,)*
                }
            }

            /// How it is read off a bar.
            pub(crate) const fn reading(self) -> Reading {
                match self {
                    $(Self::$name => $reading,)*
                }
            }
        }
    };
}

metrics! {
    /// `close`, in 1e-9 dollars. Of every bar.
    Price, Unit::Dollars, Reading::Close;
    /// `volume`, in shares. Of every bar.
    Volume, Unit::Shares, Reading::Volume;
    /// Number of trades, where the feed tells it.
    Trades, Unit::Trades, Reading::Amount(|bar| bar.trades.map(i128::from));
    /// Dollars that changed hands: volume times vwap, or times the mean of high, low and close where there is
    /// no vwap. 1e-9 dollars, rounded once, half to even.
    Notional, Unit::Dollars, Reading::Amount(|bar| Some(notional(bar)));
    /// `high - low`, in 1e-9 dollars.
    Range, Unit::Dollars, Reading::Level(|bar| Some((bar.high.nanos() - bar.low.nanos()).into()));
    /// Absolute change of the close from the bar before, which began 24 h before at the most. 1e-9 dollars.
    Return, Unit::Dollars, Reading::Change;
}

crate::words::words!(Metric);

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1e-9 dollars.
    Dollars,
    /// Whole shares.
    Shares,
    /// Whole trades.
    Trades,
}

/// How a metric is read off a bar. Every value is 0 or more.
#[derive(Clone, Copy)]
pub(crate) enum Reading {
    /// It is the close, which every bar has.
    Close,
    /// It is the volume, which every bar has.
    Volume,
    /// How much of something there was: amounts of the same time of day are compared with each other. `None`
    /// where the bar does not tell.
    Amount(fn(&Bar) -> Option<i128>),
    /// How far something reached.
    Level(fn(&Bar) -> Option<i128>),
    /// By how much the close changed from the bar before.
    Change,
}

impl Metric {
    /// How many of the integer's units make one dollar, one share, one trade.
    pub const fn units(self) -> i64 {
        match self.unit() {
            Unit::Dollars => Price::DOLLAR,
            Unit::Shares | Unit::Trades => 1,
        }
    }

    /// How many units of a crossing's level make one dollar, one share, one trade.
    pub const CROSSING_UNIT: i64 = 1_000_000_000;

    /// Whether it counts how much of something a bar holds, as volume does: then the same time of earlier
    /// sessions says what is usual.
    pub const fn is_amount(self) -> bool {
        matches!(self.reading(), Reading::Volume | Reading::Amount(_))
    }

    /// Whether its values want more than 64 bits: dollars that changed hands are up to the dearest price
    /// times the largest volume, 9e27.
    pub(crate) const fn is_wide(self) -> bool {
        self.is_amount() && matches!(self.unit(), Unit::Dollars)
    }

    /// The value of a bar, by the close of the bar before where there is one. `None` where they do not tell.
    pub fn value(self, bar: &Bar, before: Option<(Second, Price)>) -> Option<i128> {
        match self.reading() {
            Reading::Close => Some(bar.close.nanos().into()),
            Reading::Volume => Some(bar.volume.shares().into()),
            Reading::Amount(of) | Reading::Level(of) => of(bar),
            Reading::Change => change(before?, (bar.start, bar.close)),
        }
    }

    /// Whether a bar's value depends on the bar before.
    pub const fn looks_back(self) -> bool {
        matches!(self.reading(), Reading::Change)
    }

    /// The exact decimal text of a value of this metric or of a sum of some: `689.1` dollars, `51234` shares.
    pub fn show(self, value: impl Into<i128>) -> Shown {
        Shown { metric: self, value: value.into() }
    }

    /// The exact decimal text of half of a value: of a median between two.
    pub fn show_half(self, twice: i128) -> String {
        decimal::plain(twice * 5, self.units().ilog10() + 1)
    }

    /// The exact decimal text of a square, or a sum of squares, of values of this metric.
    pub fn show_square(self, square: U256) -> String {
        let units = U256::from(self.units().unsigned_abs());
        let (whole, part) = (square / (units * units), square % (units * units));
        let places = 2 * self.units().ilog10() as usize;
        let fraction = if part == 0 { String::new() } else { format!(".{part:0>places$}") };
        format!("{whole}{}", fraction.trim_end_matches('0'))
    }
}

/// By how much a close changed from that of the bar before, 1e-9 dollars: the value of [`Metric::Return`].
/// `None` where that began more than a day before.
pub fn change((before, from): (Second, Price), (start, to): (Second, Price)) -> Option<i128> {
    change_of((before.unix(), from.nanos()), (start.unix(), to.nanos()))
}

/// The same of seconds and 1e-9 dollars.
#[inline]
pub(crate) fn change_of((before, from): (i64, i64), (at, to): (i64, i64)) -> Option<i128> {
    (at - before <= Second::PER_DAY).then(|| to.abs_diff(from).into())
}

/// `volume * vwap`, or `volume * (high + low + close) / 3`: at most 9e27.
fn notional(bar: &Bar) -> i128 {
    let shares = i128::from(bar.volume.shares());
    match bar.vwap {
        Some(vwap) => shares * i128::from(vwap.nanos()),
        None => {
            let three = [bar.high, bar.low, bar.close].map(|price| i128::from(price.nanos()));
            third(shares * (three[0] + three[1] + three[2]))
        }
    }
}

/// A third, rounded: never half-way between two integers.
fn third(value: i128) -> i128 {
    // Most are short, and long division takes its time.
    u64::try_from(value).map_or_else(|_| (value + 1) / 3, |short| (short.saturating_add(1) / 3).into())
}

/// The metrics a tracker keeps up: price and volume, and whichever it was told to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricSet(u64);

impl MetricSet {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// What is always tracked.
    pub const ALWAYS: Self = Self(1 << Metric::Price as u32 | 1 << Metric::Volume as u32);

    /// Whether one is among them.
    #[inline]
    pub const fn contains(self, metric: Metric) -> bool {
        self.0 & 1 << metric as u32 != 0
    }

    /// These and one more.
    #[must_use]
    #[inline]
    pub const fn with(self, metric: Metric) -> Self {
        Self(self.0 | 1 << metric as u32)
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How far before a symbol's newest bar its bars must be known for all figures and values of a day, in
    /// seconds.
    pub fn reach(self) -> i64 {
        if self.iter().any(Metric::looks_back) { 2 * Second::PER_DAY } else { Second::PER_DAY }
    }

    /// The one of that name, where it is among them.
    pub fn named(self, name: &str) -> Result<Metric, UnknownWord> {
        let found = self.iter().find(|metric| metric.as_str() == name);
        found.ok_or_else(|| UnknownWord::among(name, self.iter().map(Metric::as_str)))
    }

    /// They, in the order of [`Metric::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Metric> + Clone {
        Metric::ALL.into_iter().filter(move |&metric| self.contains(metric))
    }
}

impl FromIterator<Metric> for MetricSet {
    fn from_iter<T: IntoIterator<Item = Metric>>(metrics: T) -> Self {
        metrics.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for MetricSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
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
        match self.metric.unit() {
            Unit::Dollars => decimal::format(self.value, Price::PLACES, f),
            Unit::Shares | Unit::Trades => write!(f, "{}", self.value),
        }
    }
}
