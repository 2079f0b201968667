//! A trade, and what it may change in a bar.

use crate::excerpt::excerpt;
use crate::json;
use jiff::Timestamp;
use qqq_core::decimal::{self, Excess};
use qqq_core::{Price, Second, Symbol};
use serde_json::value::RawValue;

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
    /// What it may change.
    pub effect: Effect,
    /// What its provider calls it, where it has names for trades.
    pub id: Option<TradeId>,
}

impl Trade {
    /// A billion shares in one trade: nothing real is larger, and ten million of them at the highest price do
    /// not overflow a bar's sums.
    pub const MAX_SIZE: i64 = 1_000_000_000 * SHARE;

    /// By what a later message names it. `None` where it has no id.
    pub fn name(&self) -> Option<TradeName> {
        let Self { symbol, price, size, id, .. } = *self;
        Some(TradeName { symbol, id: id?, price, size })
    }
}

/// What an exchange calls a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TradeId {
    /// The exchange's letter.
    pub exchange: char,
    /// Its number for the trade.
    pub number: u64,
}

/// By what a correction or a cancel names a trade. Price and size belong to it: several facilities report
/// under the letter of one exchange, each with numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TradeName {
    /// Of what.
    pub symbol: Symbol,
    /// What its exchange calls it.
    pub id: TradeId,
    /// At what price.
    pub price: Price,
    /// How much, in millionths of a share.
    pub size: i64,
}

/// What one trade may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Effect {
    /// First and last price.
    pub last: bool,
    /// Highest and lowest price.
    pub range: bool,
    /// Volume, average price, number of trades.
    pub volume: bool,
    /// Whether it sets prices only in bars in which no other trade does.
    pub extended: bool,
}

impl Effect {
    /// Of a regular trade.
    pub const ALL: Self = Self { last: true, range: true, volume: true, extended: false };
    /// Of one that may be the highest, but neither the first nor the last.
    pub const NOT_LAST: Self = Self { last: false, ..Self::ALL };
    /// Of one that sets no price.
    pub const VOLUME: Self = Self { range: false, ..Self::NOT_LAST };
    /// Of what is no trade, such as the repetition of one.
    pub const NONE: Self = Self { volume: false, ..Self::VOLUME };
    /// Of a trade outside the regular session.
    pub const EXTENDED: Self = Self { extended: true, ..Self::ALL };

    /// Of a trade with several conditions: what all of them allow (CTS specification). One without any is
    /// regular.
    pub fn of_all(effects: impl IntoIterator<Item = Self>) -> Self {
        effects.into_iter().fold(Self::ALL, |one, other| Self {
            last: one.last && other.last,
            range: one.range && other.range,
            volume: one.volume && other.volume,
            extended: one.extended || other.extended,
        })
    }
}

/// A time at which there can be bars.
pub(crate) fn time(at: Option<Timestamp>) -> Option<Timestamp> {
    at.filter(|at| Second::minute_of(*at) > Second::MIN)
}

/// A number of shares in millionths, without a float in between.
pub(crate) fn size(name: &str, raw: &RawValue) -> Result<i64, String> {
    json::number(name, raw)?;
    let places = SHARE.ilog10();
    match decimal::parse(raw.get(), places, Excess::Round) {
        Ok(size @ 0..=Trade::MAX_SIZE) => Ok(size),
        Ok(size) if size < 0 => Err(format!("{name} {}: negative", excerpt(raw.get()))),
        Ok(_) => Err(format!("{name} {}: above 10^9", excerpt(raw.get()))),
        Err(error) => Err(format!("{name} {}: {error}", excerpt(raw.get()))),
    }
}
