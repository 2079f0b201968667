//! Bars from Parquet files: our own, those of others, and damaged ones.

use crate::given::{any_bar, minute};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use qqq_core::{Bar, FeedLabel};
use qqq_feed::bar_file::{self, BarWriter, Format, Labels, ReadOptions, RejectedRow, Row};
use qqq_feed::{FeedError, FeedErrorKind};
use qqq_testkit::bars::ohlc;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn label() -> FeedLabel {
    "test".parse().unwrap()
}

const OWN: fn() -> Labels = || Labels::Own { otherwise: label() };

fn write(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn written(format: Format, bars: &[Bar]) -> Vec<u8> {
    let mut writer = BarWriter::new(format, Vec::new()).unwrap();
    for page in bars.chunks(7) {
        writer.write(page).unwrap();
    }
    writer.finish().unwrap()
}

fn rows(path: &Path, labels: Labels) -> Vec<Row> {
    bar_file::open(path, labels).unwrap().map(Result::unwrap).collect()
}

fn read(content: &[u8]) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    rows(&write(&folder, "bars.parquet", content), OWN())
}

/// Everything that can be had, and how it ended.
fn read_on(content: &[u8]) -> (usize, Option<FeedError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "bars.parquet", content);
    let mut file = match bar_file::open(&path, OWN()) {
        Ok(file) => file,
        Err(error) => return (0, Some(error)),
    };
    let mut good = 0;
    for row in file.by_ref() {
        match row {
            Ok(_) => good += 1,
            Err(error) => {
                assert!(file.next().is_none(), "the error is the last item");
                return (good, Some(error));
            }
        }
    }
    (good, None)
}

/// Values of a column, `None` where there are nulls.
enum Values {
    Text(Vec<Option<&'static str>>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<[u32; 3]>),
    Double(Vec<Option<f64>>),
    Float(Vec<f32>),
    Fixed(Vec<Vec<u8>>),
}

/// A file as somebody else writes it.
fn foreign(columns: &[(&str, Values)], compression: Compression) -> Vec<u8> {
    let fields: String = columns.iter().map(|(field, _)| format!("{field};\n")).collect();
    let schema = Arc::new(parse_message_type(&format!("message spark_schema {{ {fields} }}")).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    for (field, values) in columns {
        let mut writer = group.next_column().unwrap().unwrap();
        let nullable = field.starts_with("optional");
        let levels = |present: Vec<bool>| -> Option<Vec<i16>> {
            nullable.then(|| present.into_iter().map(i16::from).collect())
        };
        match (values, writer.untyped()) {
            (Values::Text(values), ColumnWriter::ByteArrayColumnWriter(to)) => {
                let levels = levels(values.iter().map(Option::is_some).collect());
                let values: Vec<ByteArray> = values.iter().flatten().map(|text| (*text).into()).collect();
                to.write_batch(&values, levels.as_deref(), None)
            }
            (Values::Int32(values), ColumnWriter::Int32ColumnWriter(to)) => {
                to.write_batch(values, levels(vec![true; values.len()]).as_deref(), None)
            }
            (Values::Int64(values), ColumnWriter::Int64ColumnWriter(to)) => {
                to.write_batch(values, levels(vec![true; values.len()]).as_deref(), None)
            }
            (Values::Int96(values), ColumnWriter::Int96ColumnWriter(to)) => {
                let values: Vec<Int96> = values.iter().map(|words| Int96::from(words.to_vec())).collect();
                to.write_batch(&values, levels(vec![true; values.len()]).as_deref(), None)
            }
            (Values::Double(values), ColumnWriter::DoubleColumnWriter(to)) => {
                let levels = levels(values.iter().map(Option::is_some).collect());
                let values: Vec<f64> = values.iter().flatten().copied().collect();
                to.write_batch(&values, levels.as_deref(), None)
            }
            (Values::Float(values), ColumnWriter::FloatColumnWriter(to)) => {
                to.write_batch(values, levels(vec![true; values.len()]).as_deref(), None)
            }
            (Values::Fixed(values), ColumnWriter::FixedLenByteArrayColumnWriter(to)) => {
                let values: Vec<FixedLenByteArray> =
                    values.iter().map(|bytes| ByteArray::from(bytes.clone()).into()).collect();
                to.write_batch(&values, levels(vec![true; values.len()]).as_deref(), None)
            }
            _ => panic!("{field} does not fit"),
        }
        .unwrap();
        writer.close().unwrap();
    }
    group.close().unwrap();
    file.into_inner().unwrap()
}

/// 2025-01-27T14:30:00Z, seconds since the epoch.
const SECONDS: i64 = 1_737_988_200;

/// Columns of two rows: the good bar, and whatever a test replaces.
fn usual() -> Vec<(&'static str, Values)> {
    let double = |value| Values::Double(vec![Some(value); 2]);
    vec![
        ("optional binary symbol (UTF8)", Values::Text(vec![Some("AAPL"); 2])),
        ("optional int64 start (TIMESTAMP(NANOS,true))", Values::Int64(vec![SECONDS * 1_000_000_000; 2])),
        ("optional double open", double(10.1)),
        ("optional double high", double(12.5)),
        ("optional double low", double(9.5)),
        ("optional double close", double(11.0)),
        ("optional int64 volume", Values::Int64(vec![1000; 2])),
    ]
}

fn with(replaced: Vec<(&'static str, Values)>) -> Vec<(&'static str, Values)> {
    let name = |field: &str| field.split(' ').nth(2).unwrap().split(';').next().unwrap().to_owned();
    let mut columns = usual();
    for (field, values) in replaced {
        match columns.iter_mut().find(|(known, _)| name(known) == name(field)) {
            Some(column) => *column = (field, values),
            None => columns.push((field, values)),
        }
    }
    columns
}

fn good() -> Bar {
    let bar = ohlc("AAPL", "2025-01-27T14:30:00Z", ["10.1", "12.5", "9.5", "11"], 1000);
    Bar { feed: label(), ..bar }
}

#[test]
fn files_of_others_are_read_in_whatever_types_they_are_written() {
    let decimal = |units: i64, length: usize| i128::from(units).to_be_bytes()[16 - length..].to_vec();
    let fixed = |units, length| Values::Fixed(vec![decimal(units, length); 2]);
    let cases = [
        vec![],
        vec![("required int64 start", Values::Int64(vec![SECONDS; 2]))],
        vec![("required int64 start", Values::Int64(vec![SECONDS * 1_000_000_000; 2]))],
        vec![("required double start", Values::Double(vec![Some(SECONDS as f64 * 1e3); 2]))],
        vec![("required binary start (UTF8)", Values::Text(vec![Some("2025-01-27 09:30:00-05:00"); 2]))],
        vec![("required binary symbol", Values::Text(vec![Some("aapl"); 2]))],
        vec![("optional float open", Values::Float(vec![10.1; 2]))],
        vec![("required int32 open (DECIMAL(9,2))", Values::Int32(vec![1010; 2]))],
        vec![("required int64 open (DECIMAL(18,12))", Values::Int64(vec![10_100_000_000_499; 2]))],
        vec![("required binary open (UTF8)", Values::Text(vec![Some("10.1"); 2]))],
        vec![("optional fixed_len_byte_array(16) open (DECIMAL(38,9))", fixed(10_100_000_000, 16))],
        vec![("optional fixed_len_byte_array(5) high (DECIMAL(11,1))", fixed(125, 5))],
        vec![("required int32 volume", Values::Int32(vec![1000; 2]))],
        vec![("required int64 volume (UINT_64)", Values::Int64(vec![1000; 2]))],
        vec![("required double volume", Values::Double(vec![Some(1000.0), Some(999.6)]))],
        vec![("optional fixed_len_byte_array(16) volume (DECIMAL(38,0))", fixed(1000, 16))],
        vec![
            ("optional double vwap", Values::Double(vec![None, Some(f64::NAN)])),
            ("optional double trades", Values::Double(vec![Some(f64::NAN), None])),
            ("optional binary feed (UTF8)", Values::Text(vec![None, Some("")])),
            ("optional binary note (UTF8)", Values::Text(vec![Some("nothing"), None])),
        ],
    ];
    let compressions = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(Default::default()),
    ];
    for (index, case) in cases.into_iter().enumerate() {
        let fields: Vec<&str> = case.iter().map(|(field, _)| *field).collect();
        let told = format!("{fields:?}");
        let rows = read(&foreign(&with(case), compressions[index % compressions.len()]));
        assert_eq!(rows, [Row::Bar(good()), Row::Bar(good())], "{told}");
    }
}

/// A column of starts whose times have no zone, and 14:30 in it.
fn without_a_zone() -> Vec<(&'static str, Values)> {
    let nanos_of_day = 52_200_000_000_000_u64;
    let julian = [nanos_of_day as u32, (nanos_of_day >> 32) as u32, 2_440_588 + 20_115];
    vec![
        ("required int64 start (TIMESTAMP(MILLIS,false))", Values::Int64(vec![SECONDS * 1_000; 2])),
        ("required int64 start (TIMESTAMP(NANOS,false))", Values::Int64(vec![SECONDS * 1_000_000_000; 2])),
        ("required int64 start (TIMESTAMP_MICROS)", Values::Int64(vec![SECONDS * 1_000_000; 2])),
        ("optional int96 start", Values::Int96(vec![julian; 2])),
    ]
}

#[test]
fn times_without_a_zone_are_refused_unless_one_is_given() {
    let read_in = |content: &[u8], zone: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder, "bars.parquet", content);
        let options = ReadOptions { zone: zone.parse().ok(), ..OWN().into() };
        let file = bar_file::open(&path, options)?;
        file.collect::<Result<Vec<Row>, FeedError>>()
    };
    for (field, values) in without_a_zone() {
        let content = foreign(&with(vec![(field, values)]), Compression::SNAPPY);
        let error = read_in(&content, "").unwrap_err();
        assert!(
            error.message.contains("the column start have no zone: --zone says which"),
            "{field}: {error}"
        );
        assert_eq!(read_in(&content, "UTC").unwrap()[0], Row::Bar(good()), "{field}");
        let there = Bar { start: minute("2025-01-27T19:30:00Z"), ..good() };
        assert_eq!(read_in(&content, "America/New_York").unwrap()[0], Row::Bar(there), "{field}");
    }
    // What says that it is UTC, is.
    let content = foreign(&usual(), Compression::SNAPPY);
    assert_eq!(read_in(&content, "America/New_York").unwrap()[0], Row::Bar(good()));
    let (_, values) = without_a_zone().swap_remove(0);
    let mut columns = usual();
    columns[1] = ("required int64 time_utc (TIMESTAMP(MILLIS,false))", values);
    let content = foreign(&columns, Compression::SNAPPY);
    assert_eq!(read_in(&content, "America/New_York").unwrap()[0], Row::Bar(good()));
    // An hour that is there twice, and one that is not.
    for (hour, said) in [("2024-11-03T01:30:00Z", "set back"), ("2024-03-10T02:30:00Z", "set forward")] {
        let shown = hour.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let column = ("required int64 start (TIMESTAMP(MILLIS,false))", Values::Int64(vec![shown; 2]));
        let rows = read_in(&foreign(&with(vec![column]), Compression::SNAPPY), "America/New_York").unwrap();
        assert!(matches!(&rows[0], Row::Rejected(row) if row.reason.contains(said)), "{rows:?}");
    }
}

#[test]
fn every_codec_but_one_is_unpacked() {
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ] {
        assert_eq!(read(&foreign(&usual(), codec)), [Row::Bar(good()), Row::Bar(good())], "{codec}");
    }
}

#[test]
fn a_binary_fraction_is_what_its_shortest_text_says() {
    for (value, text) in [
        (0.1 + 0.2, "0.3"),
        (689.1, "689.1"),
        (0.000_000_001, "0.000000001"),
        (8_999_999.123_456_7, "8999999.1234567"),
        (1.0 / 3.0, "0.333333333"),
        (12.0, "12"),
    ] {
        let flat = || Values::Double(vec![Some(value); 2]);
        let columns = with(vec![
            ("required double open", flat()),
            ("required double high", flat()),
            ("required double low", flat()),
            ("required double close", flat()),
            ("required float vwap", Values::Float(vec![103.665; 2])),
        ]);
        let Row::Bar(bar) = read(&foreign(&columns, Compression::UNCOMPRESSED))[0].clone() else { panic!() };
        assert_eq!(bar.close.to_string(), text);
        assert_eq!(bar.vwap.unwrap().to_string(), "103.665");
    }
}

#[test]
fn what_is_wrong_with_a_row_is_said_with_file_row_and_column() {
    let double = |value| Values::Double(vec![Some(11.0), value]);
    let cases = [
        (
            ("optional binary symbol (UTF8)", Values::Text(vec![Some("AAPL"), Some("A/P/L")])),
            "column symbol: `A/P/L`",
        ),
        (
            ("optional binary symbol (UTF8)", Values::Text(vec![Some("AAPL"), None])),
            "column symbol: `null` is nothing",
        ),
        (
            (
                "optional int64 start (TIMESTAMP(MILLIS,true))",
                Values::Int64(vec![SECONDS * 1000, SECONDS * 1000 + 1]),
            ),
            "column start: `2025-01-27T14:30:00.001Z` is not the start of a minute",
        ),
        (
            ("optional int64 start (TIMESTAMP(MILLIS,true))", Values::Int64(vec![SECONDS * 1000, i64::MAX])),
            "column start: `9223372036854775807` is no time",
        ),
        (("optional double close", double(None)), "column close: `null` is nothing"),
        (("optional double close", double(Some(0.0))), "column close: `0` is not above 0"),
        (("optional double close", double(Some(f64::NAN))), "column close: `NaN` is not a decimal number"),
        (
            ("optional double close", double(Some(f64::INFINITY))),
            "column close: `inf` is not a decimal number",
        ),
        (("optional double close", double(Some(1e300))), "column close: `1000"),
        (("optional double close", double(Some(13.0))), "the open or close is above the high"),
        (("required int64 volume", Values::Int64(vec![1000, -1])), "column volume: `-1` is negative"),
        (
            ("required int64 volume (UINT_64)", Values::Int64(vec![1000, -1])),
            "column volume: `18446744073709551615` is too large",
        ),
        (
            ("required double trades", Values::Double(vec![Some(f64::NAN), Some(1.5)])),
            "column trades: `1.5` is not a count",
        ),
        (
            ("optional binary feed (UTF8)", Values::Text(vec![None, Some("IEX!")])),
            "column feed: `IEX!` is not a feed label",
        ),
        (
            ("optional binary feed (UTF8)", Values::Text(vec![None, Some("simulated")])),
            "column feed: simulated bars are invented",
        ),
    ];
    for (column, expected) in cases {
        let (field, values) = column;
        let content = foreign(&with(vec![(field, values)]), Compression::SNAPPY);
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder, "bars.parquet", &content);
        let rows = rows(&path, OWN());
        assert_eq!(rows[0], Row::Bar(good()), "{expected}");
        let Row::Rejected(RejectedRow { place, reason, .. }) = &rows[1] else {
            panic!("{field}: {:?}", rows[1])
        };
        assert_eq!(place, &format!("{}:row 2", path.display()));
        assert!(reason.contains(expected), "{field}: {reason}");
    }
}

#[test]
fn a_column_that_cannot_be_used_is_an_error_that_says_what_can() {
    let two = || Values::Int64(vec![1; 2]);
    for (field, values, expected) in [
        (
            "required int64 open",
            two(),
            "the column open is INT64 (NONE); \
             allowed is a decimal of at most 38 digits, a double, a float or text",
        ),
        ("required int32 start (DATE)", Values::Int32(vec![1; 2]), "the column start is INT32"),
        ("required int64 symbol", two(), "the column symbol is INT64"),
        ("required int64 volume (TIMESTAMP_MICROS)", two(), "the column volume is INT64"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let content = foreign(&with(vec![(field, values)]), Compression::UNCOMPRESSED);
        let path = write(&folder, "bars.parquet", &content);
        let error = bar_file::open(&path, OWN()).err().unwrap();
        assert_eq!(error.kind, FeedErrorKind::File);
        assert!(error.message.contains(expected) && error.message.contains("bars.parquet"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut columns = usual();
    columns.truncate(5);
    let path = write(&folder, "bars.parquet", &foreign(&columns, Compression::UNCOMPRESSED));
    let error = bar_file::open(&path, OWN()).err().unwrap();
    assert!(error.message.contains("the file does not name the columns close, volume"), "{error}");
}

#[test]
fn what_is_named_parquet_or_begins_like_it_is_read_as_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in
        [("bars.parquet", "symbol,start,open,high,low,close,volume\n"), ("bars.csv", "PAR1 and what follows")]
    {
        let path = write(&folder, name, content.as_bytes());
        let error = bar_file::open(&path, OWN()).err().unwrap();
        assert!(error.message.contains(&format!("{name}: cannot be read as Parquet: ")), "{error}");
    }
    let path = write(&folder, "whatever", &written(Format::Parquet, &[good()]));
    assert_eq!(rows(&path, OWN()), [Row::Bar(good())]);
}

#[test]
fn the_label_is_the_files_own_unless_one_is_given() {
    let bar = Bar { feed: "sip".parse().unwrap(), ..good() };
    let simulated = Bar { feed: "simulated".parse().unwrap(), ..good() };
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let path = write(&folder, &format!("bars.{format}"), &written(format, &[bar, simulated]));
        let own = rows(&path, OWN());
        assert_eq!(own[0], Row::Bar(bar));
        assert!(matches!(&own[1], Row::Rejected(reject) if reject.reason.contains("invented")), "{own:?}");
        assert_eq!(rows(&path, label().into()), [Row::Bar(good()), Row::Bar(good())]);
    }
}

#[test]
fn a_cut_off_file_never_looks_like_its_end() {
    let bars: Vec<Bar> = (0..500).map(|n| Bar { start: good().start.plus_minutes(n), ..good() }).collect();
    let content = written(Format::Parquet, &bars);
    for length in 1..content.len() {
        let (good, error) = read_on(&content[..length]);
        assert!(error.is_some(), "{length} of {} bytes read {good} rows and ended", content.len());
    }
}

#[test]
fn a_recorded_week_is_the_same_from_every_format() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/week_2025-01-27_ten.csv.gz");
    if !path.exists() {
        let what = "MISSING: the recorded week is not beside the project";
        assert!(std::env::var_os("CI").is_none(), "{what}");
        eprintln!("{what}; nothing was tested");
        return;
    }
    let recorded = rows(&path, OWN());
    let bars: Vec<Bar> = recorded
        .iter()
        .map(|row| match row {
            Row::Bar(bar) => *bar,
            other => panic!("{other:?}"),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let content = written(format, &bars);
        println!("{format}: {} bytes", content.len());
        let path = write(&folder, &format!("week.{format}"), &content);
        assert!(rows(&path, OWN()) == recorded, "{format}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_bars_are_written_in_whatever_format_are_read_back(
        bars in proptest::collection::vec(
            "[a-z0-9_-]{1,16}".prop_filter("not a real feed", |text| text != "simulated")
                .prop_flat_map(|feed| any_bar(feed.parse().unwrap())),
            0..60,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let expected: Vec<Row> = bars.iter().copied().map(Row::Bar).collect();
        for format in Format::ALL {
            let path = write(&folder, &format!("bars.{format}"), &written(format, &bars));
            prop_assert_eq!(&rows(&path, OWN()), &expected);
        }
    }

    #[test]
    fn a_double_price_is_the_price_it_is_printed_as(
        nanos in 1..=qqq_core::Price::MAX.nanos(),
        places in 0_u32..=6,
    ) {
        // Up to fifteen digits, every decimal is the shortest text of its double.
        let unit = 10_i64.pow(9 - places);
        let price = qqq_core::Price::from_nanos((nanos / unit).max(1) * unit).unwrap();
        prop_assume!(price.to_string().len() <= 16);
        let flat = || Values::Double(vec![Some(price.to_f64()); 2]);
        let columns = with(vec![
            ("required double open", flat()),
            ("required double high", flat()),
            ("required double low", flat()),
            ("required double close", flat()),
        ]);
        let rows = read(&foreign(&columns, Compression::UNCOMPRESSED));
        prop_assert!(matches!(rows[0], Row::Bar(bar) if bar.close == price), "{:?}", rows[0]);
    }
}

/// Where the footer of a file begins: its length stands before the last four bytes.
fn footer(content: &[u8]) -> usize {
    let at = content.len() - 8;
    let length = u32::from_le_bytes(content[at..at + 4].try_into().unwrap());
    at - length as usize
}

#[test]
fn a_changed_bit_of_a_price_is_noticed() {
    let bars: Vec<Bar> = (0..300).map(|n| Bar { start: good().start.plus_minutes(n), ..good() }).collect();
    let expected: Vec<Row> = bars.iter().copied().map(Row::Bar).collect();
    let whole = written(Format::Parquet, &bars);
    let folder = tempfile::tempdir().unwrap();
    let (mut wrong, mut noticed) = (0, 0);
    for at in 4..footer(&whole) {
        let mut content = whole.clone();
        content[at] ^= 1 << (at % 8);
        let path = write(&folder, "bars.parquet", &content);
        let rows: Result<Vec<Row>, FeedError> = bar_file::open(&path, OWN()).unwrap().collect();
        match rows {
            Err(_) => noticed += 1,
            // What no reader needs, such as statistics.
            Ok(rows) => wrong += usize::from(rows != expected),
        }
    }
    assert_eq!(wrong, 0, "{noticed} were noticed");
    assert!(noticed > 100, "{noticed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_damage_panics(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        strange in any::<bool>(),
    ) {
        let mut content = if strange {
            foreign(&usual(), Compression::UNCOMPRESSED)
        } else {
            let nth = |n| Bar { start: good().start.plus_minutes(n), ..good() };
            let bars: Vec<Bar> = (0..50).map(nth).collect();
            written(Format::Parquet, &bars)
        };
        for (index, byte) in damage {
            let at = index.index(content.len());
            content[at] = byte;
        }
        if let Some(cut) = cut {
            // What is left of the middle, with the footer in its place.
            let at = cut.index(content.len());
            content.remove(at);
        }
        let _ = read_on(&content);
    }

    #[test]
    fn no_bytes_panic(mut content in proptest::collection::vec(any::<u8>(), 0..200), footer in any::<u8>()) {
        content.splice(0..0, *b"PAR1");
        content.extend_from_slice(&u32::from(footer).to_le_bytes());
        content.extend_from_slice(b"PAR1");
        prop_assert!(read_on(&content).1.is_some());
    }
}
