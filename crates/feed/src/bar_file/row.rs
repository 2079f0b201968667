//! A row, and the bar it comes to.

use super::column::Column;
use super::number::{self, Mark};
use super::options::{Labels, ReadOptions};
use super::refusal::Refusal;
use super::time::Zone;
use crate::Reject;
use jiff::Timestamp;
use qqq_core::decimal::Excess;
use qqq_core::market::calendar::FIRST_DAY;
use qqq_core::market::watchlist::Unresolved;
use qqq_core::{Bar, Cadence, Calendar, FeedLabel, Price, Split, Symbol, Volume, Watchlist};

/// What a row of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A valid bar; of a tracked symbol, in the units after all splits that are known.
    Bar(Bar),
    /// A split that the file tells of, and nobody had. Bars of its symbol from before it, told before, are
    /// not in the units after it yet; those told from now on are.
    Split(Split),
    /// A bar of a symbol that is not on the watchlist: nothing wrong with it. Its prices were not looked at.
    NotTracked(Symbol),
    /// No valid bar.
    Rejected(RejectedRow),
}

/// A row that is no valid bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// `FILE:line N`, or `FILE:row N` in a Parquet file; both count from 1.
    pub place: String,
    /// What rows with this fault have in common: `column close: is not a decimal number`.
    pub kind: String,
    /// What is wrong, with the value and what is allowed.
    pub reason: String,
}

impl From<RejectedRow> for Reject {
    fn from(row: RejectedRow) -> Self {
        Self { place: row.place, reason: row.reason }
    }
}

/// One row as its file has it. What cannot be used is told by column, value, and what is allowed.
pub(super) trait Cells {
    /// Whether there is no such column, or nothing in it.
    fn is_empty(&self, column: Column) -> bool;
    fn symbol(&self) -> Result<Symbol, Refusal>;
    fn start(&self, zone: Zone<'_>) -> Result<Timestamp, Refusal>;
    fn price(&self, column: Column) -> Result<Price, Refusal>;
    fn volume(&self) -> Result<Volume, Refusal>;
    fn trades(&self) -> Result<u32, Refusal>;
    fn feed(&self) -> Result<FeedLabel, Refusal>;
    /// What the prices were brought over.
    fn splits(&self) -> Result<&str, Refusal>;
}

/// What a row comes to.
pub(super) struct Told {
    /// Splits that it tells of and nobody had.
    pub(super) splits: Vec<Split>,
    pub(super) row: Row,
}

impl From<Row> for Told {
    fn from(row: Row) -> Self {
        Self { splits: Vec::new(), row }
    }
}

/// Makes a bar of a row, or says why there is none.
pub(super) fn row(
    cells: &impl Cells,
    options: &mut ReadOptions,
    tracked: Option<(Option<&Watchlist>, &Calendar)>,
) -> Result<Told, Refusal> {
    let label = cells.symbol()?;
    let at = cells.start(options.zone.as_ref().map(|zone| &zone.0))?;
    let cadence = tracked.map(|(_, calendar)| calendar.cadence()).unwrap_or_default();
    let start = cadence.starting_at(at).ok_or_else(|| {
        let what = match cadence {
            Cadence::Sixty => "is not the start of a minute that can be stored".to_owned(),
            _ => format!("is not the start of a bar of {cadence} that can be stored"),
        };
        Refusal::of_cell(Column::Start, &at.to_string(), what)
    })?;
    let symbol = match tracked {
        None | Some((None, _)) => label,
        Some((Some(watchlist), calendar)) => match watchlist.resolve_on(label, calendar.date_of(start)) {
            Ok(_) if !calendar.knows(calendar.date_of(start)) => {
                let kind = format!("before {FIRST_DAY}, where the calendar begins");
                return Err(Refusal::of_column(
                    Column::Start,
                    &kind,
                    format_args!("{start} lies before {FIRST_DAY}, where the calendar begins"),
                ));
            }
            Ok(symbol) => symbol,
            Err(Unresolved::NotTracked(symbol)) => return Ok(Row::NotTracked(symbol).into()),
            Err(other) => {
                let kind = format!("{label} meant somebody else on that day");
                return Err(Refusal::of_column(Column::Symbol, &kind, other));
            }
        },
    };
    let feed = match options.labels {
        Labels::All(label) => label,
        Labels::Own { otherwise } | Labels::Any { otherwise } if cells.is_empty(Column::Feed) => otherwise,
        Labels::Any { .. } => cells.feed()?,
        Labels::Own { .. } => {
            let label = cells.feed()?;
            if label.is_simulated() {
                let what = format!("{label} bars are invented, and not taken for real ones");
                return Err(Refusal::of_column(Column::Feed, &what, &what));
            }
            label
        }
    };
    let bar = Bar {
        symbol,
        start,
        open: cells.price(Column::Open)?,
        high: cells.price(Column::High)?,
        low: cells.price(Column::Low)?,
        close: cells.price(Column::Close)?,
        volume: cells.volume()?,
        vwap: if cells.is_empty(Column::Vwap) { None } else { Some(cells.price(Column::Vwap)?) },
        trades: if cells.is_empty(Column::Trades) { None } else { Some(cells.trades()?) },
        feed,
    };
    let bar = bar.validate().map_err(|error| {
        let Bar { open, high, low, close, .. } = bar;
        let reason = format!("{error} (open {open}, high {high}, low {low}, close {close})");
        Refusal { kind: error.to_string(), reason }
    })?;
    match tracked {
        None => Ok(Told::from(Row::Bar(bar))),
        Some((_, calendar)) => {
            let (splits, bar) = options.units.take(bar, calendar.date_of(start), cells.splits()?)?;
            Ok(Told { splits, row: Row::Bar(bar) })
        }
    }
}

pub(super) fn symbol(text: &str) -> Result<Symbol, Refusal> {
    text.parse().map_err(|error| Refusal::of_column(Column::Symbol, "is not a ticker", error))
}

/// More than nine decimals are rounded half to even.
pub(super) fn price(column: Column, text: &str, mark: Mark) -> Result<Price, Refusal> {
    let nanos = number::number(text, mark, Price::PLACES);
    nanos
        .map_err(Into::into)
        .and_then(Price::from_nanos)
        .map_err(|error| Refusal::of_cell(column, text, format_args!("is {error}")))
}

/// Fractions of shares are rounded half to even.
pub(super) fn volume(text: &str, mark: Mark) -> Result<Volume, Refusal> {
    number::count(text, mark, Excess::Round)
        .map_err(Into::into)
        .and_then(Volume::from_shares)
        .map_err(|error| Refusal::of_cell(Column::Volume, text, format_args!("is {error}")))
}

/// A whole number; `12.0`, as data frames with gaps write it, is one too.
pub(super) fn trades(text: &str, mark: Mark) -> Result<u32, Refusal> {
    let trades = number::count(text, mark, Excess::Refuse).ok();
    trades
        .and_then(|trades| u32::try_from(trades).ok())
        .ok_or_else(|| Refusal::of_cell(Column::Trades, text, "is not a count"))
}

pub(super) fn feed(text: &str) -> Result<FeedLabel, Refusal> {
    FeedLabel::new(text).map_err(|error| Refusal::of_column(Column::Feed, "is not a feed label", error))
}
