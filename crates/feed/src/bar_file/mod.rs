//! Files of bars: CSV and Parquet, packed or not, ours and those of other programs. Read row by row and
//! written, in bounded memory.
//!
//! What a file is, its first bytes tell when it is read; the ending of its name when it is written. A row
//! that is no valid bar is a counted reject with its place; a file that cannot be read on is an error, never
//! an early end.
//!
//! ```text
//! source          the files, found and read row by row
//! format, options what they look like, and how they are to be read
//! input           opens files and members of zips, unpacks and decodes them
//! column          the columns, by name
//! number, time    cells as other programs write them
//! csv_read        symbol,start,open,high,low,close,volume[,vwap,trades,feed]
//! parquet_read    the same columns, in whatever types they are written elsewhere
//! units           bars brought into today's units
//! row             a row, and the bar it comes to
//! refusal         why a row is no bar
//! foreign         what a file is that holds none
//! parquet_schema  the types we write
//! write           CSV, gzipped CSV and Parquet
//! seal            what a file of an archive says of itself, under a checksum
//! ```

mod column;
mod csv_read;
mod foreign;
mod format;
mod input;
mod number;
mod options;
mod parquet_read;
mod parquet_schema;
mod refusal;
mod row;
mod seal;
mod source;
mod time;
mod units;
mod write;

pub use crate::csv_text::MAX_ROW;
pub use column::{ColumnNames, InvalidColumnNames};
pub use csv_read::HEADER;
pub use format::Format;
pub use options::{FileZone, Labels, ReadOptions, UnknownZone};
pub use row::{RejectedRow, Row};
pub use seal::{archive_mark, open_archived, seal};
pub use source::{BarFile, Source, files, open, sources};
pub use units::Units;
pub use write::BarWriter;
