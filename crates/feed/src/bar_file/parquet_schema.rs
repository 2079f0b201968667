//! The Parquet files we write: types that lose nothing and that every reader knows.
//!
//! | column | type |
//! |---|---|
//! | `symbol`, `feed` | text |
//! | `splits` (nullable, only where there are any) | text |
//! | `start` | timestamp, UTC, microseconds |
//! | `open high low close`, `vwap` (nullable) | `DECIMAL(18, 9)` in 64 bits: a [`Price`](qqq_core::Price) as it is |
//! | `volume` | 64-bit integer |
//! | `trades` (nullable) | unsigned 32-bit integer |
//!
//! Rows are sorted by (symbol, start), as stores hold them: a reader that wants one symbol skips the others
//! by the statistics, and neighbours are alike, so they take little room.

use super::column::Column;
use parquet::basic::{
    Compression, ConvertedType, Encoding, GzipLevel, LogicalType, Repetition, TimeUnit, Type as Physical,
};
use parquet::errors::Result;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::{ColumnPath, Type};
use qqq_core::Price;
use std::sync::Arc;

/// Digits of a price: what 64 bits hold. [`Price::MAX`] has sixteen.
const DIGITS: i32 = 18;

/// The columns given, in their order.
pub(super) fn schema(columns: &[Column]) -> Result<Type> {
    let columns = columns.iter().map(|&column| type_of(column).map(Arc::new));
    Type::group_type_builder("bars").with_fields(columns.collect::<Result<_>>()?).build()
}

fn type_of(column: Column) -> Result<Type> {
    let of = |physical| Type::primitive_type_builder(column.name(), physical);
    let scale = Price::PLACES as i32;
    let builder = match column {
        Column::Symbol | Column::Feed | Column::Splits => {
            of(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String))
        }
        Column::Start => {
            of(Physical::INT64).with_logical_type(Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
        }
        Column::Open | Column::High | Column::Low | Column::Close | Column::Vwap => of(Physical::INT64)
            .with_logical_type(Some(LogicalType::decimal(scale, DIGITS)))
            .with_precision(DIGITS)
            .with_scale(scale),
        Column::Volume => of(Physical::INT64),
        Column::Trades => of(Physical::INT32).with_converted_type(ConvertedType::UINT_32),
    };
    let nullable = matches!(column, Column::Vwap | Column::Trades | Column::Splits);
    builder.with_repetition(if nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED }).build()
}

/// How it is encoded, and what the footer says beside it.
pub(super) fn properties(says: Vec<KeyValue>) -> Result<WriterProperties> {
    let ascending =
        |column: Column| SortingColumn { column_idx: column as i32, descending: false, nulls_first: false };
    let [symbol, feed, splits, start] = [Column::Symbol, Column::Feed, Column::Splits, Column::Start]
        .map(|column| ColumnPath::from(column.name()));
    let properties = WriterProperties::builder()
        .set_created_by(format!("qqq-tracker {}", env!("CARGO_PKG_VERSION")))
        // Its pages carry a checksum. The library writes none of its own, and a wrong price is worse than
        // none.
        .set_compression(Compression::GZIP(GzipLevel::default()))
        .set_key_value_metadata((!says.is_empty()).then_some(says))
        .set_sorting_columns(Some(vec![ascending(Column::Symbol), ascending(Column::Start)]))
        // Prices seldom repeat: as they are, compressed, they take the least room.
        .set_dictionary_enabled(false)
        .set_column_dictionary_enabled(symbol, true)
        .set_column_dictionary_enabled(feed, true)
        .set_column_dictionary_enabled(splits, true)
        .set_column_encoding(start, Encoding::DELTA_BINARY_PACKED);
    Ok(properties.build())
}
