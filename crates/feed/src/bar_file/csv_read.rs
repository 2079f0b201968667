//! Reads CSV files, plain or gzipped.
//!
//! The header is required and names the columns, in any order. `time_utc` stands for `start` too, other columns
//! are ignored.

use super::column::{Column, Columns};
use super::{Cells, Row, file_error, refusal};
use crate::csv_text::{Fields, Line, Lines, MAX_ROW};
use crate::{FeedError, Reject};
use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;
use qqq_core::decimal::{self, Excess};
use qqq_core::{FeedLabel, Minute, Price, Symbol, Volume};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The header, as error messages quote it.
pub const HEADER: &str = "symbol,start,open,high,low,close,volume[,vwap,trades,feed]";

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The rows of one file, in its order.
pub(super) struct CsvRows {
    path: PathBuf,
    lines: Lines,
    fields: Fields,
    columns: Columns,
    /// Fields of the header.
    width: usize,
    taken: Arc<AtomicU64>,
    ended: bool,
}

impl CsvRows {
    /// Reads the header. Whether the file is gzipped is told by its first bytes, not by its name.
    pub(super) fn open(path: &Path, mut input: BufReader<Counted>) -> Result<Self, FeedError> {
        let cannot = |error| file_error(path, format_args!("cannot be read: {error}"));
        let taken = Arc::clone(&input.get_ref().taken);
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
                    let what = format_args!("the first line is no header; expected is {HEADER}");
                    return Err(file_error(path, what));
                }
                Line::Text => {
                    let columns = fields.split(lines.text()).and_then(|()| {
                        Columns::find((0..fields.count()).map(|index| fields.get(index).ok()))
                            .map_err(|what| format!("the header {what}"))
                    });
                    break columns.map_err(|what| {
                        file_error(path, format_args!("{what}; the header expected is {HEADER}"))
                    })?;
                }
            }
        };
        let width = fields.count();
        Ok(Self { path: path.to_owned(), lines, fields, columns, width, taken, ended: false })
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The next row, as `make` makes it of its cells.
    pub(super) fn next(
        &mut self,
        make: impl FnOnce(&CsvCells<'_>) -> Result<Row, String>,
    ) -> Option<Result<Row, FeedError>> {
        while !self.ended {
            match self.lines.advance() {
                Ok(Line::Blank) => {}
                Ok(Line::Text) => {
                    let row = self.cells().and_then(|cells| make(&cells));
                    return Some(Ok(row.unwrap_or_else(|reason| self.rejected(reason))));
                }
                Ok(Line::TooLong) => {
                    return Some(Ok(self.rejected(format!("the row is longer than {MAX_ROW} bytes"))));
                }
                Ok(Line::End) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    let after = self.lines.number();
                    let what = format_args!("cannot be read on after line {after}: {error}");
                    return Some(Err(file_error(&self.path, what)));
                }
            }
        }
        None
    }

    /// Takes the line just read apart.
    fn cells(&mut self) -> Result<CsvCells<'_>, String> {
        self.fields.split(self.lines.text())?;
        if self.fields.count() != self.width {
            return Err(format!(
                "the row has {} fields where the header names {} columns",
                self.fields.count(),
                self.width
            ));
        }
        Ok(CsvCells { fields: &self.fields, columns: self.columns })
    }

    fn rejected(&self, reason: String) -> Row {
        let place = format!("{}:line {}", self.path.display(), self.lines.number());
        Row::Rejected(Reject { place, reason })
    }
}

/// A row of text.
pub(super) struct CsvCells<'a> {
    fields: &'a Fields,
    columns: Columns,
}

impl CsvCells<'_> {
    /// The text of a column; empty where the file has no such column.
    fn text(&self, column: Column) -> Result<&str, String> {
        match self.columns.at(column) {
            Some(index) => {
                self.fields.get(index).map_err(|_| format!("column {}: not UTF-8 text", column.name()))
            }
            None => Ok(""),
        }
    }
}

impl Cells for CsvCells<'_> {
    fn is_empty(&self, column: Column) -> bool {
        self.text(column) == Ok("")
    }

    fn symbol(&self) -> Result<Symbol, String> {
        self.text(Column::Symbol)?.parse().map_err(|error| format!("column symbol: {error}"))
    }

    /// RFC 3339 with any offset; a blank may stand for the `T`.
    fn start(&self) -> Result<Minute, String> {
        let text = self.text(Column::Start)?;
        let refused = |what| refusal(Column::Start, text, what);
        let at: Timestamp = text.parse().map_err(|_| refused("is not an RFC 3339 time"))?;
        Minute::starting(at).ok_or_else(|| refused("is not the start of a minute that can be stored"))
    }

    fn price(&self, column: Column) -> Result<Price, String> {
        let text = self.text(column)?;
        text.parse().map_err(|error| refusal(column, text, format_args!("is {error}")))
    }

    fn volume(&self) -> Result<Volume, String> {
        let text = self.text(Column::Volume)?;
        text.parse().map_err(|error| refusal(Column::Volume, text, format_args!("is {error}")))
    }

    /// A whole number; `12.0`, as data frames with gaps write it, is one too.
    fn trades(&self) -> Result<u32, String> {
        let text = self.text(Column::Trades)?;
        let trades = decimal::parse(text, 0, Excess::Refuse).ok();
        trades
            .and_then(|trades| u32::try_from(trades).ok())
            .ok_or_else(|| refusal(Column::Trades, text, "is not a count"))
    }

    fn feed(&self) -> Result<FeedLabel, String> {
        FeedLabel::new(self.text(Column::Feed)?).map_err(|error| format!("column feed: {error}"))
    }
}

/// Counts what is read of a file.
pub(super) struct Counted {
    file: File,
    taken: Arc<AtomicU64>,
}

impl Counted {
    pub(super) fn new(file: File) -> Self {
        Self { file, taken: Arc::default() }
    }

    pub(super) fn into_file(self) -> File {
        self.file
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
