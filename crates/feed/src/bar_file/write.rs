//! Writes bars to a file of any format.

use super::column::Column;
use super::format::Format;
use super::parquet_schema::{properties, schema};
use super::seal;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::Date;
use parquet::column::writer::{ColumnWriter, ColumnWriterImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use qqq_core::{Bar, Calendar, Price, Second, Split, Splits, Symbol};
use std::io::{self, Write};
use std::sync::Arc;

/// Rows of a row group: what lies in memory until it is written, about 20 MB.
const ROW_GROUP: usize = 100_000;

/// Writes bars, in the order they come. A Parquet file says of itself that it is sorted by (symbol, start):
/// bars must come in that order.
pub struct BarWriter<W: Write + Send> {
    sink: Sink<W>,
    applied: Applied,
}

/// What each bar was brought over, as the column `splits` tells it.
struct Applied {
    to: Vec<AppliedTo>,
    /// Whether there is the column where nothing was.
    always: bool,
}

/// The bars of a symbol before a split, and what all of them were brought over.
struct AppliedTo {
    symbol: Symbol,
    before: Second,
    text: String,
}

impl Applied {
    fn new(splits: &Splits, calendar: &Calendar) -> Self {
        let applied = splits.iter().map(|first| {
            let day = first.ex_date.yesterday().unwrap_or(Date::MIN);
            let all: Vec<String> = splits.since(first.symbol, day).map(Split::to_string).collect();
            AppliedTo { symbol: first.symbol, before: calendar.midnight(first.ex_date), text: all.join(" ") }
        });
        Self { to: applied.collect(), always: false }
    }

    /// What a bar was brought over: of the splits behind it, the first knows the others.
    fn to(&self, bar: &Bar) -> Option<&str> {
        let first = self.to.iter().find(|one| one.symbol == bar.symbol && bar.start < one.before);
        first.map(|first| first.text.as_str())
    }

    fn columns(&self) -> &'static [Column] {
        let all = &Column::ALL;
        if self.to.is_empty() && !self.always { &all[..all.len() - 1] } else { all }
    }
}

enum Sink<W: Write + Send> {
    Csv(W),
    CsvGz(GzEncoder<W>),
    Parquet { file: Box<SerializedFileWriter<W>>, waiting: Vec<Bar> },
}

impl<W: Write + Send> BarWriter<W> {
    /// Begins a file of bars in the units of their own day. `out` should be buffered.
    pub fn new(format: Format, out: W) -> io::Result<Self> {
        Self::begin(format, out, Applied { to: Vec::new(), always: false }, Vec::new())
    }

    /// Begins a file of bars that were brought over splits: it says so, in a column, where there are any.
    pub fn adjusted(format: Format, out: W, splits: &Splits, calendar: &Calendar) -> io::Result<Self> {
        Self::begin(format, out, Applied::new(splits, calendar), Vec::new())
    }

    /// Begins a Parquet file of an archive, of bars that were brought over splits. It has the column for them
    /// whatever there are, so that all files of a folder have the same columns, and says a mark that
    /// [`archive_mark`](super::archive_mark) reads. It is to be [sealed](super::seal()) when it is finished.
    pub fn archived(out: W, splits: &Splits, calendar: &Calendar, mark: &str) -> io::Result<Self> {
        let applied = Applied { always: true, ..Applied::new(splits, calendar) };
        Self::begin(Format::Parquet, out, applied, seal::says(mark))
    }

    fn begin(format: Format, mut out: W, applied: Applied, says: Vec<KeyValue>) -> io::Result<Self> {
        let columns = applied.columns();
        let sink = match format {
            Format::Csv => {
                write_header(&mut out, columns)?;
                Sink::Csv(out)
            }
            Format::CsvGz => {
                let mut encoder = GzEncoder::new(out, Compression::default());
                write_header(&mut encoder, columns)?;
                Sink::CsvGz(encoder)
            }
            Format::Parquet => {
                let (schema, properties) =
                    schema(columns).and_then(|schema| Ok((schema, properties(says)?))).map_err(as_io)?;
                let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties));
                Sink::Parquet { file: Box::new(file.map_err(as_io)?), waiting: Vec::new() }
            }
        };
        Ok(Self { sink, applied })
    }

    /// Writes bars behind those before.
    pub fn write(&mut self, bars: &[Bar]) -> io::Result<()> {
        let applied = &self.applied;
        match &mut self.sink {
            Sink::Csv(out) => write_rows(out, bars, applied),
            Sink::CsvGz(out) => write_rows(out, bars, applied),
            Sink::Parquet { file, waiting } => {
                waiting.extend_from_slice(bars);
                while waiting.len() >= ROW_GROUP {
                    write_group(file, &waiting[..ROW_GROUP], applied).map_err(as_io)?;
                    waiting.drain(..ROW_GROUP);
                }
                Ok(())
            }
        }
    }

    /// Ends a row group of a Parquet file here: readers skip groups by their statistics.
    pub fn end_group(&mut self) -> io::Result<()> {
        if let Sink::Parquet { file, waiting } = &mut self.sink
            && !waiting.is_empty()
        {
            write_group(file, waiting, &self.applied).map_err(as_io)?;
            waiting.clear();
        }
        Ok(())
    }

    /// Ends the file, and answers what it was written to, flushed.
    pub fn finish(self) -> io::Result<W> {
        let mut out = match self.sink {
            Sink::Csv(out) => out,
            Sink::CsvGz(out) => out.finish()?,
            Sink::Parquet { mut file, waiting } => {
                if !waiting.is_empty() {
                    write_group(&mut file, &waiting, &self.applied).map_err(as_io)?;
                }
                file.into_inner().map_err(as_io)?
            }
        };
        out.flush()?;
        Ok(out)
    }
}

fn write_header(out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    writeln!(out, "{}", names.join(","))
}

fn write_rows(out: &mut impl Write, bars: &[Bar], applied: &Applied) -> io::Result<()> {
    let tells_splits = applied.columns().contains(&Column::Splits);
    for bar in bars {
        let Bar { symbol, start, open, high, low, close, volume, vwap, trades, feed } = bar;
        write!(out, "{symbol},{start},{open},{high},{low},{close},{volume},")?;
        if let Some(vwap) = vwap {
            write!(out, "{vwap}")?;
        }
        out.write_all(b",")?;
        if let Some(trades) = trades {
            write!(out, "{trades}")?;
        }
        write!(out, ",{feed}")?;
        if tells_splits {
            write!(out, ",{}", applied.to(bar).unwrap_or_default())?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn write_group<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    bars: &[Bar],
    applied: &Applied,
) -> ParquetResult<()> {
    let mut group = file.next_row_group()?;
    for &column in applied.columns() {
        let Some(mut writer) = group.next_column()? else { break };
        let price = |of: fn(&Bar) -> Price| move |bar: &Bar| Some(of(bar).nanos());
        match (column, writer.untyped()) {
            (Column::Symbol, ColumnWriter::ByteArrayColumnWriter(to)) => {
                put(to, bars, |bar| Some(ByteArray::from(bar.symbol.as_str())))
            }
            (Column::Feed, ColumnWriter::ByteArrayColumnWriter(to)) => {
                put(to, bars, |bar| Some(ByteArray::from(bar.feed.as_str())))
            }
            (Column::Splits, ColumnWriter::ByteArrayColumnWriter(to)) => {
                put_nullable(to, bars, |bar| applied.to(bar).map(ByteArray::from))
            }
            (Column::Start, ColumnWriter::Int64ColumnWriter(to)) => {
                put(to, bars, |bar| Some(bar.start.start().as_microsecond()))
            }
            (Column::Open, ColumnWriter::Int64ColumnWriter(to)) => put(to, bars, price(|bar| bar.open)),
            (Column::High, ColumnWriter::Int64ColumnWriter(to)) => put(to, bars, price(|bar| bar.high)),
            (Column::Low, ColumnWriter::Int64ColumnWriter(to)) => put(to, bars, price(|bar| bar.low)),
            (Column::Close, ColumnWriter::Int64ColumnWriter(to)) => put(to, bars, price(|bar| bar.close)),
            (Column::Volume, ColumnWriter::Int64ColumnWriter(to)) => {
                put(to, bars, |bar| Some(bar.volume.shares()))
            }
            (Column::Vwap, ColumnWriter::Int64ColumnWriter(to)) => {
                put_nullable(to, bars, |bar| bar.vwap.map(Price::nanos))
            }
            // The bits of an unsigned number, as the format has it.
            (Column::Trades, ColumnWriter::Int32ColumnWriter(to)) => {
                put_nullable(to, bars, |bar| bar.trades.map(u32::cast_signed))
            }
            (column, _) => Err(ParquetError::General(format!("no writer for the column {}", column.name()))),
        }?;
        writer.close()?;
    }
    group.close()?;
    Ok(())
}

/// Writes a column without nulls.
fn put<T: DataType>(
    to: &mut ColumnWriterImpl<'_, T>,
    bars: &[Bar],
    value: impl Fn(&Bar) -> Option<T::T>,
) -> ParquetResult<()> {
    let values: Vec<T::T> = bars.iter().filter_map(value).collect();
    to.write_batch(&values, None, None).map(|_| ())
}

/// Writes a column with a level for each row: 1 where there is a value.
fn put_nullable<T: DataType>(
    to: &mut ColumnWriterImpl<'_, T>,
    bars: &[Bar],
    value: impl Fn(&Bar) -> Option<T::T>,
) -> ParquetResult<()> {
    let cells: Vec<Option<T::T>> = bars.iter().map(value).collect();
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.into_iter().flatten().collect();
    to.write_batch(&values, Some(&levels), None).map(|_| ())
}

/// Keeps a failure of the disk what it is.
fn as_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        error => io::Error::other(error),
    }
}
