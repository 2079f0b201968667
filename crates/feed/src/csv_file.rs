//! Bars in CSV files, plain or gzipped: read one by one, in bounded memory.
//!
//! The header is required and names the columns, in any order:
//! `symbol,start,open,high,low,close,volume[,vwap,trades]`. `time_utc` stands for `start` too, other columns
//! are ignored. A row that is no valid bar is a counted reject with its line; a file that cannot be read on is
//! an error, never an early end.

use crate::{FeedError, FeedErrorKind, Reject};
use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;
use qqq_core::decimal::{self, Excess};
use qqq_core::watchlist::Unresolved;
use qqq_core::{Bar, Calendar, FeedLabel, Minute, Price, Symbol, Volume, Watchlist};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::iter::FusedIterator;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The header, as error messages quote it.
pub const HEADER: &str = "symbol,start,open,high,low,close,volume[,vwap,trades]";

/// Longest row that is looked at, bytes.
pub const MAX_ROW: usize = 64 * 1024;

const MAX_COLUMNS: usize = 256;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const PRICE: &str = "a decimal above 0, at most 9,000,000, with at most 9 decimals";

/// What a row of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A valid bar.
    Bar(Bar),
    /// A bar of a symbol that is not on the watchlist: nothing wrong with it. Its prices were not looked at.
    NotTracked(Symbol),
    /// No valid bar. `place` is `FILE:line N`.
    Rejected(Reject),
}

/// The files `path` means: itself, or all `*.csv` and `*.csv.gz` of a folder, by name.
///
/// A folder without any is an error; folders inside it and names that begin with a dot are passed over.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, FeedError> {
    let cannot = |error| file_error(path, format_args!("cannot be read: {error}"));
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let file = entry.map_err(cannot)?.path();
        if is_csv_name(&file) && file.is_file() {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(file_error(path, "the folder holds no *.csv or *.csv.gz file"));
    }
    found.sort();
    Ok(found)
}

fn is_csv_name(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    !name.starts_with('.') && (name.ends_with(".csv") || name.ends_with(".csv.gz"))
}

/// Opens one file and reads its header. Whether it is gzipped is told by its first bytes, not by its name.
///
/// Every bar will carry the label `feed`. Blocks on the disk, as does the iterator.
pub fn open(path: &Path, feed: FeedLabel) -> Result<CsvBars<'static>, FeedError> {
    let cannot = |error| file_error(path, format_args!("cannot be read: {error}"));
    let file = File::open(path).map_err(cannot)?;
    let total = file.metadata().map_err(cannot)?.len();
    let taken = Arc::new(AtomicU64::new(0));
    let mut input = BufReader::with_capacity(MAX_ROW, Counted { file, taken: Arc::clone(&taken) });
    let is_gzip = input.fill_buf().map_err(cannot)?.starts_with(&GZIP_MAGIC);
    let mut lines = Lines::new(if is_gzip {
        Box::new(BufReader::with_capacity(MAX_ROW, MultiGzDecoder::new(input)))
    } else {
        Box::new(input)
    });
    let mut fields = Fields::new();
    let columns = loop {
        match lines.advance().map_err(cannot)? {
            Line::End => return Err(file_error(path, format_args!("no header; expected is {HEADER}"))),
            Line::Blank => {}
            Line::TooLong => {
                return Err(file_error(
                    path,
                    format_args!("the first line is no header; expected is {HEADER}"),
                ));
            }
            Line::Text => {
                let columns = fields.split(lines.text()).and_then(|()| Columns::find(&fields));
                break columns.map_err(|what| {
                    file_error(path, format_args!("{what}; the header expected is {HEADER}"))
                })?;
            }
        }
    };
    Ok(CsvBars {
        path: path.to_owned(),
        feed,
        lines,
        fields,
        columns,
        tracked: None,
        taken,
        total,
        ended: false,
    })
}

/// The rows of one file, in its order. Made by [`open`].
///
/// An `Err` item means that the rest of the file could not be read (a broken disk, a damaged or cut-off
/// gzip file); it is the last item. Rows before it are good.
pub struct CsvBars<'a> {
    path: PathBuf,
    feed: FeedLabel,
    lines: Lines,
    fields: Fields,
    columns: Columns,
    tracked: Option<(&'a Watchlist, &'a Calendar)>,
    taken: Arc<AtomicU64>,
    total: u64,
    ended: bool,
}

impl<'a> CsvBars<'a> {
    /// Resolves the labels of the rows by what they meant on the bar's New York day, and tells bars of
    /// symbols not tracked apart. Without this, bars carry the labels as they stand in the file.
    pub fn tracked_by<'b>(self, watchlist: &'b Watchlist, calendar: &'b Calendar) -> CsvBars<'b> {
        let Self { path, feed, lines, fields, columns, taken, total, ended, .. } = self;
        CsvBars {
            path,
            feed,
            lines,
            fields,
            columns,
            tracked: Some((watchlist, calendar)),
            taken,
            total,
            ended,
        }
    }

    /// Bytes of the file read so far, as they lie on the disk: compressed ones for a gzip file.
    pub fn bytes_read(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Bytes of the file on the disk when it was opened.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }

    /// Makes what it can of the line just read.
    fn row(&mut self) -> Row {
        match self.parse() {
            Ok(row) => row,
            Err(reason) => Row::Rejected(Reject { place: self.place(), reason }),
        }
    }

    fn parse(&mut self) -> Result<Row, String> {
        self.fields.split(self.lines.text())?;
        if self.fields.count != self.columns.count {
            return Err(format!(
                "the row has {} fields where the header names {} columns",
                self.fields.count, self.columns.count
            ));
        }
        let fields = &self.fields;
        let field = |column| fields.named(column, self.columns.at(column));

        let label = field(Column::Symbol)?;
        let label: Symbol = label.parse().map_err(|error| format!("column symbol: {error}"))?;
        let start = parse_start(field(Column::Start)?)?;
        let symbol = match self.tracked {
            None => label,
            Some((watchlist, calendar)) => match watchlist.resolve_on(label, calendar.date_of(start)) {
                Ok(symbol) => symbol,
                Err(Unresolved::NotTracked(symbol)) => return Ok(Row::NotTracked(symbol)),
                Err(other) => return Err(format!("column symbol: {other}")),
            },
        };
        let price = |column: Column| {
            let text = field(column)?;
            text.parse::<Price>().map_err(|error| refusal(column, text, &error, PRICE))
        };
        let volume = field(Column::Volume)?;
        let volume: Volume = volume
            .parse()
            .map_err(|error| refusal(Column::Volume, volume, &error, "a number of shares from 0 to 10^12"))?;
        let bar = Bar {
            symbol,
            start,
            open: price(Column::Open)?,
            high: price(Column::High)?,
            low: price(Column::Low)?,
            close: price(Column::Close)?,
            volume,
            vwap: match field(Column::Vwap)? {
                "" => None,
                _ => Some(price(Column::Vwap)?),
            },
            trades: match field(Column::Trades)? {
                "" => None,
                text => Some(parse_trades(text)?),
            },
            feed: self.feed,
        };
        bar.validate().map(Row::Bar).map_err(|error| {
            format!("{error} (open {}, high {}, low {}, close {})", bar.open, bar.high, bar.low, bar.close)
        })
    }

    fn place(&self) -> String {
        format!("{}:line {}", self.path.display(), self.lines.number)
    }
}

impl Iterator for CsvBars<'_> {
    type Item = Result<Row, FeedError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.lines.advance() {
                Ok(Line::Blank) => {}
                Ok(Line::Text) => return Some(Ok(self.row())),
                Ok(Line::TooLong) => {
                    let reason = format!("the row is longer than {MAX_ROW} bytes");
                    return Some(Ok(Row::Rejected(Reject { place: self.place(), reason })));
                }
                Ok(Line::End) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    let after = self.lines.number;
                    return Some(Err(file_error(
                        &self.path,
                        format_args!("cannot be read on after line {after}: {error}"),
                    )));
                }
            }
        }
        None
    }
}

impl FusedIterator for CsvBars<'_> {}

/// RFC 3339 with any offset; a blank may stand for the `T`.
fn parse_start(text: &str) -> Result<Minute, String> {
    let refused = |what: &str| {
        format!(
            "column start: `{}` {what}; allowed is the start of a minute with its offset from UTC, from 1900 to \
             2199, such as 2025-01-31T20:59:00Z",
            shown(text)
        )
    };
    let at: Timestamp = text.parse().map_err(|_| refused("is not an RFC 3339 time"))?;
    Minute::starting(at).ok_or_else(|| refused("is not the start of a minute that can be stored"))
}

/// A whole number; `12.0`, as data frames with gaps write it, is one too.
fn parse_trades(text: &str) -> Result<u32, String> {
    decimal::parse(text, 0, Excess::Refuse).ok().and_then(|trades| u32::try_from(trades).ok()).ok_or_else(
        || refusal(Column::Trades, text, &"not a count", "nothing or a whole number from 0 to 4294967295"),
    )
}

fn refusal(column: Column, text: &str, what: &dyn std::fmt::Display, allowed: &str) -> String {
    format!("column {}: `{}` is {what}; allowed is {allowed}", column.name(), shown(text))
}

/// The beginning of a text from outside, fit for a message.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

fn file_error(path: &Path, what: impl std::fmt::Display) -> FeedError {
    FeedError::new(FeedErrorKind::File, format!("{}: {what}", path.display()))
}

/// The columns that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Symbol,
    Start,
    Open,
    High,
    Low,
    Close,
    Volume,
    Vwap,
    Trades,
}

impl Column {
    const ALL: [Self; 9] = [
        Self::Symbol,
        Self::Start,
        Self::Open,
        Self::High,
        Self::Low,
        Self::Close,
        Self::Volume,
        Self::Vwap,
        Self::Trades,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Start => "start",
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::Vwap => "vwap",
            Self::Trades => "trades",
        }
    }

    const fn is_required(self) -> bool {
        !matches!(self, Self::Vwap | Self::Trades)
    }

    fn named(text: &str) -> Option<Self> {
        let text = if text.eq_ignore_ascii_case("time_utc") { Self::Start.name() } else { text };
        Self::ALL.into_iter().find(|column| column.name().eq_ignore_ascii_case(text))
    }
}

/// Where in a row the columns stand.
struct Columns {
    count: usize,
    at: [Option<usize>; Column::ALL.len()],
}

impl Columns {
    fn find(header: &Fields) -> Result<Self, String> {
        let mut at = [None; Column::ALL.len()];
        for index in 0..header.count {
            let Some(column) = header.get(index).ok().and_then(Column::named) else { continue };
            if at[column as usize].replace(index).is_some() {
                return Err(format!("the header names the column {} twice", column.name()));
            }
        }
        let missing: Vec<_> = Column::ALL
            .into_iter()
            .filter(|&column| column.is_required() && at[column as usize].is_none())
            .map(Column::name)
            .collect();
        if missing.is_empty() {
            return Ok(Self { count: header.count, at });
        }
        let columns = if missing.len() == 1 { "column" } else { "columns" };
        Err(format!("the header does not name the {columns} {}", missing.join(", ")))
    }

    fn at(&self, column: Column) -> Option<usize> {
        self.at[column as usize]
    }
}

/// One row taken apart: RFC 4180 quoting, but no line breaks inside quotes, so that a stray quote costs one
/// row and not the rest of the file.
struct Fields {
    splitter: csv_core::Reader,
    text: Vec<u8>,
    ends: [usize; MAX_COLUMNS],
    count: usize,
}

impl Fields {
    fn new() -> Self {
        Self { splitter: csv_core::Reader::new(), text: vec![0; MAX_ROW], ends: [0; MAX_COLUMNS], count: 0 }
    }

    fn split(&mut self, line: &[u8]) -> Result<(), String> {
        self.count = 0;
        self.splitter.reset();
        let (_, taken, written, ended) = self.splitter.read_record(line, &mut self.text, &mut self.ends);
        if taken < line.len() {
            return Err(format!("the row has more than {MAX_COLUMNS} fields"));
        }
        // Without more input the row is over.
        let (result, _, _, more) =
            self.splitter.read_record(&[], &mut self.text[written..], &mut self.ends[ended..]);
        if result != csv_core::ReadRecordResult::Record {
            return Err(format!("the row has more than {MAX_COLUMNS} fields"));
        }
        self.count = ended + more;
        Ok(())
    }

    /// The field at an index, blanks around it taken off.
    fn get(&self, index: usize) -> Result<&str, std::str::Utf8Error> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        std::str::from_utf8(&self.text[start..self.ends[index]]).map(str::trim)
    }

    /// The field of a column; empty where the file has no such column.
    fn named(&self, column: Column, index: Option<usize>) -> Result<&str, String> {
        match index {
            Some(index) => self.get(index).map_err(|_| format!("column {}: not UTF-8 text", column.name())),
            None => Ok(""),
        }
    }
}

/// What [`Lines::advance`] came upon.
enum Line {
    Text,
    Blank,
    TooLong,
    End,
}

/// Lines of at most [`MAX_ROW`] bytes.
struct Lines {
    input: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// Reads the next line; of one that is too long, only its end is looked for.
    fn advance(&mut self) -> io::Result<Line> {
        if self.take()? == 0 {
            return Ok(Line::End);
        }
        self.number += 1;
        if self.is_whole() {
            let text = self.text();
            return Ok(if text.trim_ascii().is_empty() { Line::Blank } else { Line::Text });
        }
        while self.take()? != 0 && !self.is_whole() {}
        Ok(Line::TooLong)
    }

    /// The line just read, without its end and, at the start of the file, without the byte order mark.
    fn text(&self) -> &[u8] {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self.number {
            1 => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            _ => line,
        }
    }

    fn take(&mut self) -> io::Result<usize> {
        self.line.clear();
        self.input.as_mut().take(MAX_ROW as u64).read_until(b'\n', &mut self.line)
    }

    /// A shorter piece without an end of line is the last line of the file.
    fn is_whole(&self) -> bool {
        self.line.ends_with(b"\n") || self.line.len() < MAX_ROW
    }
}

/// Counts what is read of a file.
struct Counted {
    file: File,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
