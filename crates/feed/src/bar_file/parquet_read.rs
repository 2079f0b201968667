//! Reads Parquet files: our own, and those that data frames and databases write.
//!
//! Columns go by name, as in CSV. What is read as what:
//!
//! - `symbol`, `feed`: text.
//! - `start`: a timestamp in milli-, micro- or nanoseconds that says it is UTC; one that does not (the 96-bit
//!   and the unannotated ones of older programs, too) where a zone is given; an integer since the epoch; text
//!   as in CSV.
//! - prices: decimals, exactly. A double is what its shortest decimal text says (`0.1` is a tenth, though the
//!   double is not); a float likewise. Beyond nine decimals they are rounded half to even. Integers are
//!   refused: they might be dollars, cents, or anything.
//! - `volume`, `trades`: integers, decimals, doubles or floats; shares round as in CSV, trades must be whole.
//! - NaN in `vwap` and `trades` is nothing, as null is.
//!
//! The library that decodes pages is not written for hostile files and has panicked on some. A panic in it is
//! an error here like any other damage.

use super::column::{Column, Columns};
use super::number::Mark;
use super::options::ReadOptions;
use super::refusal::Refusal;
use super::row::{self, Cells, Told};
use super::time::{self, Zone};
use crate::excerpt::excerpt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parquet::basic::{Compression, ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, Int96};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use qqq_core::{FeedLabel, Price, Symbol, Volume};
use std::borrow::Cow;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a Parquet file begins and ends with.
pub(super) const MAGIC: &[u8] = b"PAR1";

/// Rows decoded at a time.
const BATCH: usize = 8192;
/// Most digits of a decimal: what 128 bits hold.
const MAX_DIGITS: i32 = 38;
const JULIAN_DAY_OF_EPOCH: i128 = 2_440_588;
const NANOS_PER_DAY: i128 = 86_400_000_000_000;
/// What to do about times without a zone.
const WHICH_ZONE: &str = "--zone says which (feed.replay.zone of a recording): UTC, America/New_York, ...";

/// The rows of one file, in its order.
pub(super) struct ParquetRows {
    file: SerializedFileReader<File>,
    columns: Columns,
    kinds: [Option<Kind>; Column::COUNT],
    /// Rows the file says it has.
    total: u64,
    /// Row groups begun.
    groups: usize,
    /// Readers of the present group, and how many of its rows they have not decoded.
    readers: Vec<(Column, ColumnReader)>,
    left: usize,
    batch: Batch,
    /// Rows handed out.
    rows: u64,
    ended: bool,
    /// Row groups that cannot hold this symbol are skipped.
    only: Option<Symbol>,
}

/// Decoded rows: for each column that is there, a cell a row.
#[derive(Default)]
struct Batch {
    cells: [Vec<Option<Cell>>; Column::COUNT],
    length: usize,
    next: usize,
}

/// What the values of a column mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// So many in a second: since the epoch, or of what some clock shows.
    Time {
        per_second: i128,
        is_utc: bool,
    },
    /// Integers of 10^-scale.
    Decimal {
        scale: u32,
    },
    Whole {
        unsigned: bool,
    },
    Float,
}

#[derive(Clone, Debug)]
enum Cell {
    Text(ByteArray),
    Whole(i128),
    Double(f64),
    Single(f32),
}

impl ParquetRows {
    /// Reads the footer, and checks that the columns can be used.
    pub(super) fn open(file: File, options: &ReadOptions) -> Result<Self, String> {
        let file = guarded(|| SerializedFileReader::new(file))
            .map_err(|what| format!("cannot be read as Parquet: {what}"))?;
        let metadata = file.metadata().file_metadata();
        let schema = metadata.schema_descr();
        // A column inside a structure or a list is not the one of the same name outside.
        let name = |column: &ColumnDescriptor| match column.path().parts() {
            [name] => Some(name.clone()),
            _ => None,
        };
        let names: Vec<Option<String>> = schema.columns().iter().map(|column| name(column)).collect();
        let names: Vec<Option<&str>> = names.iter().map(Option::as_deref).collect();
        let mut columns =
            Columns::find(&names, &options.columns).map_err(|what| format!("the file {what}"))?;
        if columns.time_of_day.take().is_some() {
            return Err(
                "the file has the time of day in a column of its own, which is read in CSV alone".to_owned()
            );
        }
        let mut kinds = [None; Column::COUNT];
        for column in Column::ALL {
            if let Some(index) = columns.at(column) {
                kinds[column as usize] = Some(kind(column, &schema.column(index))?);
            }
        }
        if let Some(Kind::Time { is_utc, .. }) = &mut kinds[Column::Start as usize] {
            *is_utc |= columns.is_utc;
            if !*is_utc && options.zone.is_none() {
                return Err(format!("the times of the column start have no zone: {WHICH_ZONE}"));
            }
        }
        for index in 0..file.num_row_groups() {
            for column in Column::ALL.into_iter().filter_map(|column| columns.at(column)) {
                if file.metadata().row_group(index).column(column).compression() == Compression::LZO {
                    let what =
                        "it is compressed with LZO, which is not unpacked: write it with Zstandard or Snappy";
                    return Err(what.to_owned());
                }
            }
        }
        let total = u64::try_from(metadata.num_rows()).unwrap_or_default();
        Ok(Self {
            file,
            columns,
            kinds,
            total,
            groups: 0,
            readers: Vec::new(),
            left: 0,
            batch: Batch::default(),
            rows: 0,
            ended: false,
            only: None,
        })
    }

    /// Skips the row groups that hold none of a symbol, by what the file says of them.
    pub(super) fn only(&mut self, symbol: Symbol) {
        self.only = Some(symbol);
    }

    /// Whether a row group may hold what is wanted. Statistics that are cut short tell too little, and bound
    /// it all the same.
    fn is_wanted(&self, group: usize) -> bool {
        let (Some(symbol), Some(at)) = (self.only, self.columns.at(Column::Symbol)) else { return true };
        let Some(statistics) = self.file.metadata().row_group(group).column(at).statistics() else {
            return true;
        };
        let symbol = symbol.as_str().as_bytes();
        statistics.min_bytes_opt().is_none_or(|least| least <= symbol)
            && statistics.max_bytes_opt().is_none_or(|most| symbol <= most)
    }

    /// The share of `bytes` that the rows handed out are of all rows.
    pub(super) fn share_read(&self, bytes: u64) -> u64 {
        if self.ended || self.rows >= self.total {
            return bytes;
        }
        let share = u128::from(bytes) * u128::from(self.rows) / u128::from(self.total);
        u64::try_from(share).unwrap_or(bytes)
    }

    /// The number of the row just read, from 1.
    pub(super) fn row(&self) -> u64 {
        self.rows
    }

    /// The next row, as `make` makes it of its cells. An `Err` on the outside says that the file cannot be
    /// read on.
    pub(super) fn next(
        &mut self,
        make: impl FnOnce(&ParquetCells<'_>) -> Result<Told, Refusal>,
    ) -> Option<Result<Result<Told, Refusal>, String>> {
        if self.ended {
            return None;
        }
        if self.batch.next == self.batch.length {
            match self.decode() {
                Ok(true) => {}
                Ok(false) => {
                    self.ended = true;
                    return None;
                }
                Err(what) => {
                    self.ended = true;
                    return Some(Err(format!("cannot be read on after row {}: {what}", self.rows)));
                }
            }
        }
        let cells = ParquetCells { batch: &self.batch, kinds: &self.kinds, row: self.batch.next };
        let row = make(&cells);
        self.batch.next += 1;
        self.rows += 1;
        Some(Ok(row))
    }

    /// Decodes the next rows. False at the end of the file.
    fn decode(&mut self) -> Result<bool, String> {
        while self.left == 0 {
            if self.groups == self.file.num_row_groups() {
                return if self.rows == self.total {
                    Ok(false)
                } else {
                    Err(format!("the file says it has {} rows", self.total))
                };
            }
            if !self.is_wanted(self.groups) {
                let skipped = self.file.metadata().row_group(self.groups).num_rows();
                self.rows += u64::try_from(skipped).unwrap_or_default();
                self.groups += 1;
                continue;
            }
            let (file, index, columns) = (&self.file, self.groups, self.columns);
            let (left, readers) = guarded(|| {
                let group = file.get_row_group(index)?;
                let mut readers = Vec::with_capacity(Column::COUNT);
                for column in Column::ALL {
                    if let Some(at) = columns.at(column) {
                        readers.push((column, group.get_column_reader(at)?));
                    }
                }
                Ok((group.metadata().num_rows(), readers))
            })?;
            self.left = usize::try_from(left).map_err(|_| format!("a row group of {left} rows"))?;
            self.readers = readers;
            self.groups += 1;
        }
        let length = self.left.min(BATCH);
        self.batch.next = 0;
        self.batch.length = 0;
        for (column, reader) in &mut self.readers {
            let unsigned = self.kinds[*column as usize] == Some(Kind::Whole { unsigned: true });
            let cells = guarded(|| decode_cells(reader, length, unsigned))
                .map_err(|what| format!("column {}: {what}", column.name()))?;
            self.batch.cells[*column as usize] = cells;
        }
        self.batch.length = length;
        self.left -= length;
        Ok(true)
    }
}

/// What the library makes of bytes. A panic in it says that they are damaged, too.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(excerpt(&error.to_string())),
        Err(_) => Err("it is damaged".to_owned()),
    }
}

/// What the values of a column mean, where they can be used for it.
fn kind(column: Column, found: &ColumnDescriptor) -> Result<Kind, String> {
    let (physical, logical, converted) =
        (found.physical_type(), found.logical_type_ref(), found.converted_type());
    let kind = match (physical, logical, converted) {
        _ if found.max_rep_level() > 0 || found.max_def_level() > 1 => None,
        (Physical::BYTE_ARRAY, None | Some(LogicalType::String | LogicalType::Enum), _)
            if converted != ConvertedType::DECIMAL =>
        {
            Some(Kind::Text)
        }
        (Physical::INT64, Some(LogicalType::Timestamp(time)), _) => Some(Kind::Time {
            per_second: match time.unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => 1_000_000_000,
            },
            is_utc: time.is_adjusted_to_u_t_c,
        }),
        // These are UTC by today's specification, and were the clock's time where they were written.
        (Physical::INT64, None, ConvertedType::TIMESTAMP_MILLIS) => {
            Some(Kind::Time { per_second: 1_000, is_utc: false })
        }
        (Physical::INT64, None, ConvertedType::TIMESTAMP_MICROS) => {
            Some(Kind::Time { per_second: 1_000_000, is_utc: false })
        }
        (Physical::INT96, None, _) => Some(Kind::Time { per_second: 1_000_000_000, is_utc: false }),
        (Physical::INT32 | Physical::INT64, Some(LogicalType::Decimal(_)), _)
        | (Physical::INT32 | Physical::INT64, None, ConvertedType::DECIMAL) => decimal_kind(found),
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Decimal(_)), _)
        | (Physical::FIXED_LEN_BYTE_ARRAY, None, ConvertedType::DECIMAL)
            if (1..=16).contains(&found.type_length()) =>
        {
            decimal_kind(found)
        }
        (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(whole)), _) => {
            Some(Kind::Whole { unsigned: !whole.is_signed })
        }
        (Physical::INT32 | Physical::INT64, None, converted) => match converted {
            ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64 => Some(Kind::Whole { unsigned: false }),
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64 => Some(Kind::Whole { unsigned: true }),
            _ => None,
        },
        (Physical::FLOAT | Physical::DOUBLE, None, _) => Some(Kind::Float),
        _ => None,
    };
    let (fits, allowed) = match column {
        Column::Symbol | Column::Feed | Column::Splits => (matches!(kind, Some(Kind::Text)), "text"),
        Column::Start => (
            matches!(kind, Some(Kind::Time { .. } | Kind::Whole { .. } | Kind::Float | Kind::Text)),
            "a timestamp, a number since the epoch or text",
        ),
        Column::Open | Column::High | Column::Low | Column::Close | Column::Vwap => (
            matches!(kind, Some(Kind::Decimal { .. } | Kind::Float | Kind::Text)),
            "a decimal of at most 38 digits, a double, a float or text",
        ),
        Column::Volume | Column::Trades => (
            matches!(kind, Some(Kind::Decimal { .. } | Kind::Whole { .. } | Kind::Float | Kind::Text)),
            "an integer, a decimal of at most 38 digits, a double, a float or text",
        ),
    };
    kind.filter(|_| fits).ok_or_else(|| {
        let logical = logical.map_or_else(|| converted.to_string(), |logical| format!("{logical:?}"));
        format!("the column {} is {physical} ({logical}); allowed is {allowed}", column.name())
    })
}

fn decimal_kind(found: &ColumnDescriptor) -> Option<Kind> {
    (0..=MAX_DIGITS).contains(&found.type_scale()).then(|| Kind::Decimal { scale: found.type_scale() as u32 })
}

/// Decodes exactly `length` cells.
fn decode_cells(
    reader: &mut ColumnReader,
    length: usize,
    unsigned: bool,
) -> Result<Vec<Option<Cell>>, ParquetError> {
    let whole = |signed: i64, bits: u64| Cell::Whole(if unsigned { bits.into() } else { signed.into() });
    match reader {
        ColumnReader::Int32ColumnReader(reader) => {
            collect(reader, length, |value| whole(value.into(), value.cast_unsigned().into()))
        }
        ColumnReader::Int64ColumnReader(reader) => {
            collect(reader, length, |value| whole(value, value.cast_unsigned()))
        }
        ColumnReader::Int96ColumnReader(reader) => {
            collect(reader, length, |value| Cell::Whole(nanos(&value)))
        }
        ColumnReader::FloatColumnReader(reader) => collect(reader, length, Cell::Single),
        ColumnReader::DoubleColumnReader(reader) => collect(reader, length, Cell::Double),
        ColumnReader::ByteArrayColumnReader(reader) => collect(reader, length, Cell::Text),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            collect(reader, length, |value| Cell::Whole(big_endian(value.data())))
        }
        ColumnReader::BoolColumnReader(_) => Err(ParquetError::General("it holds booleans".to_owned())),
    }
}

fn collect<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    length: usize,
    make: impl Fn(T::T) -> Cell,
) -> Result<Vec<Option<Cell>>, ParquetError> {
    let (mut levels, mut values, mut read) = (Vec::new(), Vec::new(), 0);
    while read < length {
        let (records, _, _) = reader.read_records(length - read, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::General(format!("it ends {} rows before the others", length - read)));
        }
        read += records;
    }
    if levels.is_empty() {
        levels.resize(values.len(), 1);
    }
    let mut values = values.into_iter();
    // A level for each row says whether there is a value. Counts that disagree show as nulls or too few
    // cells.
    let cells: Vec<Option<Cell>> =
        levels.into_iter().map(|level| if level > 0 { values.next().map(&make) } else { None }).collect();
    if cells.len() == length && values.next().is_none() {
        Ok(cells)
    } else {
        Err(ParquetError::General("its rows and values do not match".to_owned()))
    }
}

/// The nanoseconds since the epoch that a 96-bit timestamp means.
fn nanos(value: &Int96) -> i128 {
    match value.data() {
        &[low, high, day] => {
            let of_day = i128::from(u64::from(high) << 32 | u64::from(low));
            (i128::from(day) - JULIAN_DAY_OF_EPOCH) * NANOS_PER_DAY + of_day
        }
        _ => i128::MAX,
    }
}

/// At most 16 bytes as a two's complement.
fn big_endian(bytes: &[u8]) -> i128 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value, &byte| value << 8 | i128::from(byte))
}

/// One row of a batch.
pub(super) struct ParquetCells<'a> {
    batch: &'a Batch,
    kinds: &'a [Option<Kind>; Column::COUNT],
    row: usize,
}

impl ParquetCells<'_> {
    fn cell(&self, column: Column) -> Option<&Cell> {
        self.batch.cells[column as usize].get(self.row)?.as_ref()
    }

    fn text(&self, column: Column) -> Result<&str, Refusal> {
        match self.cell(column) {
            Some(Cell::Text(bytes)) => {
                std::str::from_utf8(bytes.data()).map_err(|_| Refusal::no_text(column))
            }
            _ => Err(Refusal::of_cell(column, "null", "is nothing")),
        }
    }

    /// A number as decimal text.
    fn number(&self, column: Column) -> Result<Cow<'_, str>, Refusal> {
        Ok(match (self.cell(column), self.kinds[column as usize]) {
            (Some(Cell::Whole(value)), Some(Kind::Decimal { scale })) => decimal_text(*value, scale).into(),
            (Some(Cell::Whole(value)), _) => value.to_string().into(),
            // The shortest text that means this very number.
            (Some(Cell::Double(value)), _) => value.to_string().into(),
            (Some(Cell::Single(value)), _) => value.to_string().into(),
            _ => self.text(column)?.trim().into(),
        })
    }
}

impl Cells for ParquetCells<'_> {
    fn is_empty(&self, column: Column) -> bool {
        match self.cell(column) {
            None => true,
            Some(Cell::Text(bytes)) => bytes.is_empty(),
            Some(Cell::Double(value)) => value.is_nan(),
            Some(Cell::Single(value)) => value.is_nan(),
            Some(Cell::Whole(_)) => false,
        }
    }

    fn symbol(&self) -> Result<Symbol, Refusal> {
        row::symbol(self.text(Column::Symbol)?)
    }

    fn start(&self, zone: Zone<'_>) -> Result<Timestamp, Refusal> {
        match (self.cell(Column::Start), self.kinds[Column::Start as usize]) {
            (Some(Cell::Whole(units)), Some(Kind::Time { per_second, is_utc })) => {
                let zone = if is_utc { Some(&TimeZone::UTC) } else { zone };
                time::of_local_units(*units, per_second, zone)
                    .map_err(|what| Refusal::of_cell(Column::Start, &units.to_string(), what))
            }
            _ => {
                let text = self.number(Column::Start)?;
                time::of_text(&text, zone).map_err(|what| Refusal::of_cell(Column::Start, &text, what))
            }
        }
    }

    fn price(&self, column: Column) -> Result<Price, Refusal> {
        if let (Some(Cell::Whole(value)), Some(Kind::Decimal { scale: Price::PLACES })) =
            (self.cell(column), self.kinds[column as usize])
            && let Ok(price) = Price::from_nanos(i64::try_from(*value).unwrap_or(i64::MAX))
        {
            return Ok(price);
        }
        row::price(column, &self.number(column)?, Mark::Point)
    }

    fn volume(&self) -> Result<Volume, Refusal> {
        row::volume(&self.number(Column::Volume)?, Mark::Point)
    }

    fn trades(&self) -> Result<u32, Refusal> {
        row::trades(&self.number(Column::Trades)?, Mark::Point)
    }

    fn feed(&self) -> Result<FeedLabel, Refusal> {
        row::feed(self.text(Column::Feed)?)
    }

    fn splits(&self) -> Result<&str, Refusal> {
        if self.is_empty(Column::Splits) { Ok("") } else { self.text(Column::Splits) }
    }
}

/// An integer of `10^-scale` as decimal text, `scale` up to [`MAX_DIGITS`].
fn decimal_text(value: i128, scale: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (unit, magnitude) = (10_u128.pow(scale), value.unsigned_abs());
    match scale {
        0 => value.to_string(),
        _ => format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = scale as usize),
    }
}
