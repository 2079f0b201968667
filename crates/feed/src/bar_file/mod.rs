//! Files of bars: CSV and Parquet, packed or not, ours and those of other programs. Read row by row and written, in bounded
//! memory.
//!
//! What a file is, its first bytes tell when it is read; the ending of its name when it is written. A row that is
//! no valid bar is a counted reject with its place; a file that cannot be read on is an error, never an early end.
//!
//! ```text
//! input           opens files and members of zips, unpacks and decodes them
//! column          the columns, by name
//! number, time    cells as other programs write them
//! csv_read        symbol,start,open,high,low,close,volume[,vwap,trades,feed]
//! parquet_read    the same columns, in whatever types they are written elsewhere
//! units           bars brought into today's units
//! refusal         why a row is no bar
//! foreign         what a file is that holds none
//! parquet_schema  the types we write
//! write           CSV, gzipped CSV and Parquet
//! ```

mod column;
mod csv_read;
mod foreign;
mod input;
mod number;
mod parquet_read;
mod parquet_schema;
mod refusal;
mod time;
mod units;
mod write;

pub use crate::csv_text::MAX_ROW;
pub use column::{ColumnNames, InvalidColumnNames};
pub use csv_read::HEADER;
pub use units::Units;
pub use write::BarWriter;

use crate::{FeedError, FeedErrorKind, Reject};
use column::Column;
use csv_read::CsvRows;
use input::{Content, Member};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use number::Mark;
use parquet_read::ParquetRows;
use qqq_core::calendar::FIRST_DAY;
use qqq_core::decimal::Excess;
use qqq_core::watchlist::Unresolved;
use qqq_core::{Bar, Calendar, FeedLabel, Minute, Price, Split, Symbol, Volume, Watchlist};
use refusal::Refusal;
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use time::Zone;

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

impl Labels {
    /// The label of a row that says none.
    pub fn otherwise(self) -> FeedLabel {
        match self {
            Self::All(label) | Self::Own { otherwise: label } | Self::Any { otherwise: label } => label,
        }
    }
}

impl From<FeedLabel> for Labels {
    fn from(label: FeedLabel) -> Self {
        Self::All(label)
    }
}

/// The zone whose clocks show the times of a file that do not say theirs: `America/New_York`, `UTC`, `-05:00`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileZone(TimeZone);

impl FromStr for FileZone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        time::zone(text).map(Self).ok_or_else(|| UnknownZone(text.chars().take(40).collect()))
    }
}

/// A text that names no zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a time zone: it must be a name such as America/New_York or UTC, or an offset such as -05:00"
)]
pub struct UnknownZone(pub String);

/// How files are to be read where they do not say it themselves.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Which feed the bars come from.
    pub labels: Labels,
    /// Whose clock times without a zone are of. Without it, they are refused.
    pub zone: Option<FileZone>,
    /// What columns are called whose names are not known.
    pub columns: ColumnNames,
    /// In which units the prices are. Only for bars of a [watchlist](BarFile::tracked_by): a split is of a company.
    pub units: Units,
}

impl<T: Into<Labels>> From<T> for ReadOptions {
    fn from(labels: T) -> Self {
        Self { labels: labels.into(), zone: None, columns: ColumnNames::default(), units: Units::default() }
    }
}

/// What a row of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A valid bar; of a tracked symbol, in the units after all splits that are known.
    Bar(Bar),
    /// A split that the file tells of, and nobody had. Bars of its symbol from before it, told before, are not in the units
    /// after it yet; those told from now on are.
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

/// The files `path` means: itself, or all files of bars in a folder (by the ending of their names), by name.
///
/// A folder without any is an error; folders inside it and names that begin with a dot are passed over.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, FeedError> {
    let cannot = |error| file_error(&path.display(), format_args!("cannot be read: {error}"));
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let file = entry.path();
        if !name.starts_with('.') && (is_of_bars(&name) || has_ending(&name, "zip")) && file.is_file() {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(file_error(
            &path.display(),
            "the folder holds no *.csv, *.tsv, *.parquet or *.zip file, packed or not",
        ));
    }
    found.sort();
    Ok(found)
}

/// What the files and folders at `paths` hold: each file, and each member of a zip. An `Err` is of one of the files alone.
pub fn sources(paths: &[PathBuf]) -> impl Iterator<Item = Result<Source, FeedError>> {
    let files = paths.iter().flat_map(|path| match files(path) {
        Ok(files) => files.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    });
    files.flat_map(|file| match file.and_then(|file| Source::all_of(&file)) {
        Ok(sources) => sources.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    })
}

/// Whether a name promises bars, packed or not.
fn is_of_bars(name: &str) -> bool {
    let packed = ["gz", "zst"].into_iter().find(|ending| has_ending(name, ending));
    let name = packed.map_or(name, |ending| &name[..name.len() - ending.len() - 1]);
    ["csv", "tsv", "parquet"].into_iter().any(|ending| has_ending(name, ending))
}

fn has_ending(name: &str, ending: &str) -> bool {
    let at = name.len().checked_sub(ending.len() + 1);
    at.and_then(|at| name.get(at..))
        .is_some_and(|end| end.starts_with('.') && end[1..].eq_ignore_ascii_case(ending))
}

/// A file of bars, or one in a zip.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    member: Option<Member>,
    size: u64,
}

impl Source {
    /// The file itself.
    fn file(path: &Path) -> Result<Self, FeedError> {
        let cannot = |error| file_error(&path.display(), format_args!("cannot be read: {error}"));
        let size = std::fs::metadata(path).map_err(cannot)?.len();
        Ok(Self { path: path.to_owned(), member: None, size })
    }

    /// The file itself, or all files of bars in a zip.
    fn all_of(path: &Path) -> Result<Vec<Self>, FeedError> {
        let cannot = |error| file_error(&path.display(), format_args!("cannot be read: {error}"));
        let file = Self::file(path)?;
        if !input::is_zip(path).map_err(cannot)? {
            return Ok(vec![file]);
        }
        let members = input::members(path, is_of_bars).map_err(|what| file_error(&path.display(), what))?;
        let source = |member: Member| Self { path: path.to_owned(), size: member.size, member: Some(member) };
        Ok(members.into_iter().map(source).collect())
    }

    /// Its bytes on the disk: compressed ones of a compressed file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Opens it and reads its header. What it is, its first bytes tell; a name that ends in `.parquet` is believed, too.
    /// A file with nothing in it has no rows. Blocks on the disk, as does the iterator.
    pub fn open(&self, options: &ReadOptions) -> Result<BarFile<'static>, FeedError> {
        let cannot = |what: String| file_error(self, what);
        let taken = Arc::new(AtomicU64::new(0));
        let content = input::open(&self.path, self.member.as_ref(), &taken)
            .map_err(|error| cannot(format!("cannot be read: {error}")))?;
        let rows = match content {
            Content::Parquet(file) => {
                Rows::Parquet(Box::new(ParquetRows::open(file, options).map_err(cannot)?))
            }
            Content::Text(head, _) if !head.is_empty() && self.promises_parquet() => {
                let what = foreign::what(&head).map(|what| format!(": {what}")).unwrap_or_default();
                return Err(cannot(format!(
                    "cannot be read as Parquet: it does not begin as such a file does{what}"
                )));
            }
            Content::Text(head, rest) => match CsvRows::open(head, rest, &options.columns).map_err(cannot)? {
                Some(rows) => Rows::Csv(Box::new(rows)),
                None => Rows::None,
            },
        };
        let (source, options) = (self.clone(), options.clone());
        Ok(BarFile { source, rows, options, tracked: None, taken, waiting: VecDeque::new() })
    }

    fn promises_parquet(&self) -> bool {
        has_ending(&self.to_string(), "parquet")
    }
}

impl fmt::Display for Source {
    /// `FILE`, or `FILE:MEMBER`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.member.as_ref().map_or(Ok(()), |member| write!(f, ":{}", member.name))
    }
}

/// Opens one file that is no zip, as [`Source::open`] does.
pub fn open(path: &Path, options: impl Into<ReadOptions>) -> Result<BarFile<'static>, FeedError> {
    Source::file(path)?.open(&options.into())
}

/// The rows of one file, in its order. Made by [`Source::open`].
///
/// An `Err` item means that the rest of the file could not be read (a broken disk, a damaged or cut-off file);
/// it is the last item. Rows before it are good.
pub struct BarFile<'a> {
    source: Source,
    rows: Rows,
    options: ReadOptions,
    tracked: Option<(&'a Watchlist, &'a Calendar)>,
    /// Bytes read from the disk.
    taken: Arc<AtomicU64>,
    /// What is told before the next row is read.
    waiting: VecDeque<Row>,
}

enum Rows {
    Csv(Box<CsvRows>),
    Parquet(Box<ParquetRows>),
    None,
}

impl BarFile<'_> {
    /// Resolves the labels of the rows by what they meant on the bar's New York day, and tells bars of
    /// symbols not tracked apart. Without this, bars carry the labels as they stand in the file.
    pub fn tracked_by<'b>(self, watchlist: &'b Watchlist, calendar: &'b Calendar) -> BarFile<'b> {
        let Self { source, rows, options, taken, waiting, .. } = self;
        BarFile { source, rows, options, taken, waiting, tracked: Some((watchlist, calendar)) }
    }

    /// The units that bars are brought into by now: those given, and the splits the file told of.
    pub fn units(&self) -> &Units {
        &self.options.units
    }

    /// Bytes of the file read so far, as they lie on the disk: compressed ones for a compressed file. In a Parquet
    /// file, its share by rows.
    pub fn bytes_read(&self) -> u64 {
        match &self.rows {
            Rows::Csv(_) | Rows::None => self.taken.load(Ordering::Relaxed).min(self.bytes_total()),
            Rows::Parquet(rows) => rows.share_read(self.bytes_total()),
        }
    }

    /// Bytes of the file on the disk when it was opened.
    pub fn bytes_total(&self) -> u64 {
        self.source.size
    }
}

impl Iterator for BarFile<'_> {
    type Item = Result<Row, FeedError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.waiting.pop_front() {
            return Some(Ok(row));
        }
        let Self { source, rows, options, tracked, waiting, .. } = self;
        let (read, unit, number) = match rows {
            Rows::Csv(rows) => (rows.next(|cells| row(cells, options, *tracked)), "line", rows.line()),
            Rows::Parquet(rows) => (rows.next(|cells| row(cells, options, *tracked)), "row", rows.row()),
            Rows::None => return None,
        };
        Some(match read? {
            Ok(Ok(Told { splits, row })) if splits.is_empty() => Ok(row),
            Ok(Ok(Told { splits, row })) => {
                waiting.extend(splits.into_iter().map(Row::Split));
                waiting.push_back(row);
                Ok(waiting.pop_front()?)
            }
            Ok(Err(Refusal { kind, reason })) => {
                let place = format!("{source}:{unit} {number}");
                Ok(Row::Rejected(RejectedRow { place, kind, reason }))
            }
            Err(what) => Err(file_error(source, what)),
        })
    }
}

impl FusedIterator for BarFile<'_> {}

/// One row as its file has it. What cannot be used is told by column, value, and what is allowed.
trait Cells {
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
struct Told {
    /// Splits that it tells of and nobody had.
    splits: Vec<Split>,
    row: Row,
}

impl From<Row> for Told {
    fn from(row: Row) -> Self {
        Self { splits: Vec::new(), row }
    }
}

/// Makes a bar of a row, or says why there is none.
fn row(
    cells: &impl Cells,
    options: &mut ReadOptions,
    tracked: Option<(&Watchlist, &Calendar)>,
) -> Result<Told, Refusal> {
    let label = cells.symbol()?;
    let at = cells.start(options.zone.as_ref().map(|zone| &zone.0))?;
    let start = Minute::starting(at).ok_or_else(|| {
        Refusal::of_cell(Column::Start, &at.to_string(), "is not the start of a minute that can be stored")
    })?;
    let symbol = match tracked {
        None => label,
        Some((watchlist, calendar)) => match watchlist.resolve_on(label, calendar.date_of(start)) {
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

fn symbol(text: &str) -> Result<Symbol, Refusal> {
    text.parse().map_err(|error| Refusal::of_column(Column::Symbol, "is not a ticker", error))
}

/// More than nine decimals are rounded half to even.
fn price(column: Column, text: &str, mark: Mark) -> Result<Price, Refusal> {
    let nanos = number::number(text, mark, Price::PLACES);
    nanos
        .map_err(Into::into)
        .and_then(Price::from_nanos)
        .map_err(|error| Refusal::of_cell(column, text, format_args!("is {error}")))
}

/// Fractions of shares are rounded half to even.
fn volume(text: &str, mark: Mark) -> Result<Volume, Refusal> {
    number::count(text, mark, Excess::Round)
        .map_err(Into::into)
        .and_then(Volume::from_shares)
        .map_err(|error| Refusal::of_cell(Column::Volume, text, format_args!("is {error}")))
}

/// A whole number; `12.0`, as data frames with gaps write it, is one too.
fn trades(text: &str, mark: Mark) -> Result<u32, Refusal> {
    let trades = number::count(text, mark, Excess::Refuse).ok();
    trades
        .and_then(|trades| u32::try_from(trades).ok())
        .ok_or_else(|| Refusal::of_cell(Column::Trades, text, "is not a count"))
}

fn feed(text: &str) -> Result<FeedLabel, Refusal> {
    FeedLabel::new(text).map_err(|error| Refusal::of_column(Column::Feed, "is not a feed label", error))
}

fn file_error(name: &(impl fmt::Display + ?Sized), what: impl fmt::Display) -> FeedError {
    FeedError::new(FeedErrorKind::File, format!("{name}: {what}"))
}
