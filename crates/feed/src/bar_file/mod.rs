//! Files of bars: CSV, gzipped CSV and Parquet. Read row by row and written, in bounded memory.
//!
//! What a file is, its first bytes tell when it is read; the ending of its name when it is written. A row that is
//! no valid bar is a counted reject with its place; a file that cannot be read on is an error, never an early end.
//!
//! ```text
//! column          the columns, by name
//! csv_read        symbol,start,open,high,low,close,volume[,vwap,trades,feed]
//! parquet_read    the same columns, in whatever types they are written elsewhere
//! parquet_schema  the types we write
//! write           all three
//! ```

mod column;
mod csv_read;
mod parquet_read;
mod parquet_schema;
mod write;

pub use crate::csv_text::MAX_ROW;
pub use csv_read::HEADER;
pub use write::BarWriter;

use crate::{FeedError, FeedErrorKind, Reject};
use column::Column;
use csv_read::{Counted, CsvRows};
use parquet_read::ParquetRows;
use qqq_core::watchlist::Unresolved;
use qqq_core::{Bar, Calendar, FeedLabel, Minute, Price, Symbol, Volume, Watchlist};
use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::iter::FusedIterator;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a file of bars looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated text with a header.
    Csv,
    /// The same, gzipped.
    CsvGz,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Csv, Self::CsvGz, Self::Parquet];

    /// `csv`, `csv.gz` or `parquet`: what names of such files end with.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::CsvGz => "csv.gz",
            Self::Parquet => "parquet",
        }
    }

    /// The format that a file's name promises.
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|format| name.strip_suffix(format.as_str()).is_some_and(|stem| stem.ends_with('.')))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| UnknownFormat(text.chars().take(32).collect()))
    }
}

/// A text that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a format: it must be csv, csv.gz or parquet")]
pub struct UnknownFormat(pub String);

/// Which feed the bars of a file are said to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// This one, whatever the file says.
    All(FeedLabel),
    /// What the file's column `feed` says; this one where it says nothing. Rows that say they are simulated are
    /// rejected: invented bars do not become real ones by being copied.
    Own {
        /// For files without the column, and for empty cells.
        otherwise: FeedLabel,
    },
    /// The same, simulated ones too: for who looks at bars and keeps none.
    Any {
        /// For files without the column, and for empty cells.
        otherwise: FeedLabel,
    },
}

impl From<FeedLabel> for Labels {
    fn from(label: FeedLabel) -> Self {
        Self::All(label)
    }
}

/// What a row of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A valid bar.
    Bar(Bar),
    /// A bar of a symbol that is not on the watchlist: nothing wrong with it. Its prices were not looked at.
    NotTracked(Symbol),
    /// No valid bar. `place` is `FILE:line N`, or `FILE:row N` in a Parquet file; both count from 1.
    Rejected(Reject),
}

/// The files `path` means: itself, or all files of bars in a folder (by the ending of their names), by name.
///
/// A folder without any is an error; folders inside it and names that begin with a dot are passed over.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, FeedError> {
    let cannot = |error| file_error(path, format_args!("cannot be read: {error}"));
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let file = entry.path();
        if !hidden && Format::of_name(&file).is_some() && file.is_file() {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(file_error(path, "the folder holds no *.csv, *.csv.gz or *.parquet file"));
    }
    found.sort();
    Ok(found)
}

/// Opens one file and reads its header. What it is, its first bytes tell; a name that ends in `.parquet` is
/// believed, too. Blocks on the disk, as does the iterator.
pub fn open(path: &Path, labels: impl Into<Labels>) -> Result<BarFile<'static>, FeedError> {
    let cannot = |error| file_error(path, format_args!("cannot be read: {error}"));
    let file = File::open(path).map_err(cannot)?;
    let total = file.metadata().map_err(cannot)?.len();
    let mut input = BufReader::with_capacity(MAX_ROW, Counted::new(file));
    let is_parquet = input.fill_buf().map_err(cannot)?.starts_with(parquet_read::MAGIC)
        || Format::of_name(path) == Some(Format::Parquet);
    let rows = if is_parquet {
        Rows::Parquet(Box::new(ParquetRows::open(path, input.into_inner().into_file())?))
    } else {
        Rows::Csv(Box::new(CsvRows::open(path, input)?))
    };
    Ok(BarFile { rows, labels: labels.into(), tracked: None, total })
}

/// The rows of one file, in its order. Made by [`open`].
///
/// An `Err` item means that the rest of the file could not be read (a broken disk, a damaged or cut-off file);
/// it is the last item. Rows before it are good.
pub struct BarFile<'a> {
    rows: Rows,
    labels: Labels,
    tracked: Option<(&'a Watchlist, &'a Calendar)>,
    total: u64,
}

enum Rows {
    Csv(Box<CsvRows>),
    Parquet(Box<ParquetRows>),
}

impl BarFile<'_> {
    /// Resolves the labels of the rows by what they meant on the bar's New York day, and tells bars of
    /// symbols not tracked apart. Without this, bars carry the labels as they stand in the file.
    pub fn tracked_by<'b>(self, watchlist: &'b Watchlist, calendar: &'b Calendar) -> BarFile<'b> {
        let Self { rows, labels, total, .. } = self;
        BarFile { rows, labels, tracked: Some((watchlist, calendar)), total }
    }

    /// Bytes of the file read so far, as they lie on the disk: compressed ones for a compressed file. In a Parquet
    /// file, its share by rows.
    pub fn bytes_read(&self) -> u64 {
        match &self.rows {
            Rows::Csv(rows) => rows.bytes_read(),
            Rows::Parquet(rows) => rows.share_read(self.total),
        }
    }

    /// Bytes of the file on the disk when it was opened.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }
}

impl Iterator for BarFile<'_> {
    type Item = Result<Row, FeedError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (labels, tracked) = (self.labels, self.tracked);
        match &mut self.rows {
            Rows::Csv(rows) => rows.next(|cells| row(cells, labels, tracked)),
            Rows::Parquet(rows) => rows.next(|cells| row(cells, labels, tracked)),
        }
    }
}

impl FusedIterator for BarFile<'_> {}

/// One row as its file has it. What cannot be used is told by column, value, and what is allowed.
trait Cells {
    /// Whether there is no such column, or nothing in it.
    fn is_empty(&self, column: Column) -> bool;
    fn symbol(&self) -> Result<Symbol, String>;
    fn start(&self) -> Result<Minute, String>;
    fn price(&self, column: Column) -> Result<Price, String>;
    fn volume(&self) -> Result<Volume, String>;
    fn trades(&self) -> Result<u32, String>;
    fn feed(&self) -> Result<FeedLabel, String>;
}

/// Makes a bar of a row, or says why there is none.
fn row(cells: &impl Cells, labels: Labels, tracked: Option<(&Watchlist, &Calendar)>) -> Result<Row, String> {
    let label = cells.symbol()?;
    let start = cells.start()?;
    let symbol = match tracked {
        None => label,
        Some((watchlist, calendar)) => match watchlist.resolve_on(label, calendar.date_of(start)) {
            Ok(symbol) => symbol,
            Err(Unresolved::NotTracked(symbol)) => return Ok(Row::NotTracked(symbol)),
            Err(other) => return Err(format!("column symbol: {other}")),
        },
    };
    let feed = match labels {
        Labels::All(label) => label,
        Labels::Own { otherwise } | Labels::Any { otherwise } if cells.is_empty(Column::Feed) => otherwise,
        Labels::Any { .. } => cells.feed()?,
        Labels::Own { .. } => {
            let label = cells.feed()?;
            if label.is_simulated() {
                return Err(format!("column feed: {label} bars are invented, and not taken for real ones"));
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
    bar.validate().map(Row::Bar).map_err(|error| {
        format!("{error} (open {}, high {}, low {}, close {})", bar.open, bar.high, bar.low, bar.close)
    })
}

/// What the cells of a column may hold.
fn allowed(column: Column) -> &'static str {
    match column {
        Column::Symbol => Symbol::ALLOWED,
        Column::Start => {
            "the start of a minute with its offset from UTC, from 1900 to 2199, such as 2025-01-31T20:59:00Z"
        }
        Column::Open | Column::High | Column::Low | Column::Close | Column::Vwap => {
            "a decimal above 0, at most 9,000,000, with at most 9 decimals"
        }
        Column::Volume => "a number of shares from 0 to 10^12",
        Column::Trades => "nothing or a whole number from 0 to 4294967295",
        Column::Feed => "nothing or 1 to 16 of a-z, 0-9, `_` and `-`",
    }
}

/// The message about a cell.
fn refusal(column: Column, text: &str, what: impl fmt::Display) -> String {
    format!("column {}: `{}` {what}; allowed is {}", column.name(), shown(text), allowed(column))
}

/// The beginning of a text from outside, fit for a message.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

fn file_error(path: &Path, what: impl fmt::Display) -> FeedError {
    FeedError::new(FeedErrorKind::File, format!("{}: {what}", path.display()))
}
