//! Reads CSV files: as we write them, and as spreadsheets, databases and web pages do.
//!
//! The header is required and names the columns, in any order; columns that are not known are ignored. What
//! separates them (comma, semicolon, tab or `|`), the header tells; whether a comma is a decimal mark, the
//! prices do.

use super::column::{Column, ColumnNames, Columns};
use super::foreign;
use super::number::Mark;
use super::refusal::Refusal;
use super::row::{self, Cells, Told};
use super::time::{self, Zone};
use crate::csv_text::{Fields, Line, Lines, MAX_ROW};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use qqq_core::{FeedLabel, Price, Symbol, Volume};
use std::io::{BufReader, Cursor, Read};

/// The header, as error messages quote it.
pub const HEADER: &str = "symbol,start,open,high,low,close,volume[,vwap,trades,feed]";

const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The rows of one file, in its order.
pub(super) struct CsvRows {
    lines: Lines,
    fields: Fields,
    dialect: Dialect,
    /// The header as it stands: files that were put together have it again.
    header: Vec<u8>,
    ended: bool,
}

/// What a file's header says about its rows.
#[derive(Clone, Copy)]
struct Dialect {
    separator: u8,
    columns: Columns,
    /// Fields of the header, and how many of them have names.
    width: usize,
    named: usize,
    mark: Mark,
}

impl CsvRows {
    /// Reads the header. A text without anything in it has no rows.
    pub(super) fn open(
        head: Vec<u8>,
        rest: Box<dyn Read + Send>,
        names: &ColumnNames,
    ) -> Result<Option<Self>, String> {
        let sample = head.clone();
        let text = BufReader::with_capacity(MAX_ROW, Cursor::new(head).chain(rest));
        let mut lines = Lines::new(Box::new(text));
        let mut separators = SEPARATORS.to_vec();
        let header = loop {
            match lines.advance().map_err(|error| format!("cannot be read: {error}"))? {
                Line::End => return Ok(None),
                Line::Blank => {}
                Line::TooLong => break Err("the first line is no header".to_owned()),
                // What spreadsheets put first where the separator is not that of the country.
                Line::Text if lines.text().starts_with(b"sep=") && lines.text().len() == 5 => {
                    separators = vec![lines.text()[4]];
                }
                Line::Text if lines.text().starts_with(b"#") => {}
                Line::Text => break Dialect::of_header(lines.text(), &separators, names),
            }
        };
        let mut dialect = header.map_err(|what| match foreign::what(&sample) {
            Some(cause) => cause.into_owned(),
            None => format!("{what}; the header expected is {HEADER}, or --columns says which is which"),
        })?;
        let mut fields = Fields::separated_by(dialect.separator);
        let header = lines.text().to_vec();
        if dialect.separator != b',' {
            dialect.mark = mark(sample, lines.number(), &mut fields, &dialect.columns);
        }
        Ok(Some(Self { lines, fields, dialect, header, ended: false }))
    }

    /// The number of the line just read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.lines.number()
    }

    /// The next row, as `make` makes it of its cells. An `Err` on the outside says that the text cannot be
    /// read on.
    pub(super) fn next(
        &mut self,
        make: impl FnOnce(&CsvCells<'_>) -> Result<Told, Refusal>,
    ) -> Option<Result<Result<Told, Refusal>, String>> {
        while !self.ended {
            match self.lines.advance() {
                Ok(Line::Blank) => {}
                Ok(Line::Text) => return Some(Ok(self.cells().and_then(|cells| make(&cells)))),
                Ok(Line::TooLong) => {
                    return Some(Ok(Err(Refusal::of_row(format!("the row is longer than {MAX_ROW} bytes")))));
                }
                Ok(Line::End) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(format!(
                        "cannot be read on after line {}: {error}",
                        self.lines.number()
                    )));
                }
            }
        }
        None
    }

    /// Takes the line just read apart. Empty fields too many, which a separator at the end of a line makes,
    /// are none.
    fn cells(&mut self) -> Result<CsvCells<'_>, Refusal> {
        if self.lines.text() == self.header {
            return Err(Refusal::of_row("the header stands here again".to_owned()));
        }
        self.fields.split(self.lines.text()).map_err(Refusal::of_row)?;
        let (count, Dialect { separator, width, named, columns, mark }) = (self.fields.count(), self.dialect);
        if count < named || (width..count).any(|index| self.fields.get(index) != Ok("")) {
            let kind = "the row has not as many fields as the header has columns";
            let mut reason = format!("the row has {count} fields where the header names {named} columns");
            if separator == b',' && count > width {
                reason += "; where commas are decimal marks, semicolons or tabs must separate columns";
            }
            return Err(Refusal { kind: kind.to_owned(), reason });
        }
        Ok(CsvCells { fields: &self.fields, columns, mark })
    }
}

impl Dialect {
    /// Reads the header by the separator that makes the most of it.
    fn of_header(line: &[u8], separators: &[u8], names: &ColumnNames) -> Result<Self, String> {
        let mut best = None;
        for &separator in separators {
            let mut fields = Fields::separated_by(separator);
            let read = fields.split(line).map_err(|what| (1, what)).and_then(|()| {
                let (dialect, found) = Self::of_fields(&fields, separator, names);
                dialect.map_err(|what| (found, what))
            });
            match read {
                Ok(dialect) => return Ok(dialect),
                Err((found, what)) => {
                    if best.as_ref().is_none_or(|(most, _)| found > *most) {
                        best = Some((found, what));
                    }
                }
            }
        }
        let text = String::from_utf8_lossy(line).to_lowercase();
        Err(match best {
            Some((0, _)) if ["open", "high", "low", "close"].iter().all(|name| text.contains(name)) => {
                "the header separates its columns by none of comma, semicolon, tab and |".to_owned()
            }
            best => best.map(|(_, what)| what).unwrap_or_default(),
        })
    }

    /// What the fields of a header say, and how many columns were found among them.
    fn of_fields(fields: &Fields, separator: u8, names: &ColumnNames) -> (Result<Self, String>, usize) {
        let header: Vec<Option<&str>> = (0..fields.count()).map(|index| fields.get(index).ok()).collect();
        match Columns::find(&header, names) {
            Ok(columns) => {
                let named = header.iter().rposition(|name| *name != Some("")).map_or(0, |last| last + 1);
                let mark = Mark::Point;
                (Ok(Self { separator, columns, width: header.len(), named, mark }), Column::COUNT)
            }
            Err(error) => (Err(format!("the header {error}")), error.found()),
        }
    }
}

/// The decimal mark of a file's prices, by the lines at its beginning.
fn mark(sample: Vec<u8>, header: u64, fields: &mut Fields, columns: &Columns) -> Mark {
    let mut lines = Lines::new(Box::new(Cursor::new(sample)));
    let mut prices: Vec<String> = Vec::new();
    while let Ok(Line::Text | Line::Blank | Line::TooLong) = lines.advance() {
        if lines.number() > header && fields.split(lines.text()).is_ok() {
            let places = Column::PRICES.into_iter().filter_map(|column| columns.at(column));
            let cells = places.filter(|&at| at < fields.count()).filter_map(|at| fields.get(at).ok());
            prices.extend(cells.map(str::to_owned));
        }
    }
    Mark::of_prices(prices.iter().map(String::as_str))
}

/// A row of text.
pub(super) struct CsvCells<'a> {
    fields: &'a Fields,
    columns: Columns,
    mark: Mark,
}

impl CsvCells<'_> {
    /// The text of a column; empty where the file has no such column.
    fn text(&self, column: Column) -> Result<&str, Refusal> {
        match self.columns.at(column) {
            Some(index) => self.fields.get(index).map_err(|_| Refusal::no_text(column)),
            None => Ok(""),
        }
    }
}

impl Cells for CsvCells<'_> {
    fn is_empty(&self, column: Column) -> bool {
        self.text(column).is_ok_and(str::is_empty)
    }

    fn symbol(&self) -> Result<Symbol, Refusal> {
        row::symbol(self.text(Column::Symbol)?)
    }

    fn start(&self, zone: Zone<'_>) -> Result<Timestamp, Refusal> {
        let text = self.text(Column::Start)?;
        let zone = if self.columns.is_utc { Some(&TimeZone::UTC) } else { zone };
        match self.columns.time_of_day {
            None => time::of_text(text, zone).map_err(|what| Refusal::of_cell(Column::Start, text, what)),
            Some(index) => {
                let clock = self.fields.get(index).map_err(|_| Refusal::no_text(Column::Start))?;
                let text = format!("{text} {clock}");
                time::of_text(&text, zone).map_err(|what| Refusal::of_cell(Column::Start, &text, what))
            }
        }
    }

    fn price(&self, column: Column) -> Result<Price, Refusal> {
        row::price(column, self.text(column)?, self.mark)
    }

    fn volume(&self) -> Result<Volume, Refusal> {
        row::volume(self.text(Column::Volume)?, self.mark)
    }

    fn trades(&self) -> Result<u32, Refusal> {
        row::trades(self.text(Column::Trades)?, self.mark)
    }

    fn feed(&self) -> Result<FeedLabel, Refusal> {
        row::feed(self.text(Column::Feed)?)
    }

    fn splits(&self) -> Result<&str, Refusal> {
        self.text(Column::Splits)
    }
}
