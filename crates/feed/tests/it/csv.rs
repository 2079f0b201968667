//! Bars from CSV files.

use crate::given::any_bar;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use qqq_core::market::calendar::Market;
use qqq_core::{Bar, Calendar, FeedLabel, Watchlist};
use qqq_feed::bar_file::{self, BarFile, RejectedRow, Row};
use qqq_feed::{FeedError, FeedErrorKind};
use qqq_testkit::bars::ohlc;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn label() -> FeedLabel {
    "test".parse().unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn rows(path: &Path) -> Vec<Row> {
    bar_file::open(path, label()).unwrap().map(Result::unwrap).collect()
}

fn read(content: impl AsRef<[u8]>) -> Vec<Row> {
    let folder = folder();
    rows(&write(&folder, "bars.csv", content))
}

fn bars(rows: Vec<Row>) -> Vec<Bar> {
    rows.into_iter()
        .map(|row| match row {
            Row::Bar(bar) => bar,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn open_error(content: impl AsRef<[u8]>) -> FeedError {
    let folder = folder();
    let path = write(&folder, "bars.csv", content);
    let error = bar_file::open(&path, label()).err().unwrap();
    assert_eq!(error.kind, FeedErrorKind::File);
    assert!(error.message.contains("bars.csv"), "{error}");
    error
}

const HEADER: &str = "symbol,start,open,high,low,close,volume,vwap,trades\n";
const GOOD: &str = "AAPL,2025-01-27T14:30:00Z,10,12.5,9.5,11,1000,10.987654321,42\n";

fn good() -> Bar {
    let bar = ohlc("AAPL", "2025-01-27T14:30:00Z", ["10", "12.5", "9.5", "11"], 1000);
    Bar { vwap: "10.987654321".parse().ok(), trades: Some(42), feed: label(), ..bar }
}

#[test]
fn a_row_is_read_digit_by_digit() {
    assert_eq!(bars(read(format!("{HEADER}{GOOD}"))), [good()]);
}

#[test]
fn columns_go_by_name_in_any_order_and_others_are_ignored() {
    let content = "\u{feff}Volume, note ,CLOSE,low,high,open,time_utc,symbol\r\n\
                   \r\n\
                   1000,\"Apple, \"\"Inc.\"\"\",11,9.5,12.5,10,2025-01-27 09:30:00-05:00,aapl\r\n\
                   \r\n   \r\n";
    assert_eq!(bars(read(content)), [Bar { vwap: None, trades: None, ..good() }]);
}

#[test]
fn a_start_may_have_any_offset_and_a_blank() {
    for start in [
        "2025-01-27T14:30:00Z",
        "2025-01-27 14:30:00+00:00",
        "2025-01-27T14:30:00.000Z",
        "2025-01-27T23:30:00+09:00",
        "2025-01-27T09:30:00-05:00",
        " 2025-01-27T14:30:00Z ",
    ] {
        let row = GOOD.replace("2025-01-27T14:30:00Z", start);
        assert_eq!(bars(read(format!("{HEADER}{row}"))), [good()], "{start}");
    }
}

#[test]
fn a_last_line_without_an_end_is_a_row_like_the_others() {
    assert_eq!(bars(read(format!("{HEADER}{}", GOOD.trim_end()))), [good()]);
}

#[test]
fn what_is_wrong_with_a_row_is_said_with_file_line_and_column() {
    let cases = [
        ("A/P/L,2025-01-27T14:30:00Z,10,12,9,11,1,,", "column symbol: `A/P/L` is not a ticker"),
        (",2025-01-27T14:30:00Z,10,12,9,11,1,,", "column symbol: "),
        ("AAPL,2025-01-27T14:30:00,10,12,9,11,1,,", "column start: `2025-01-27T14:30:00` has no zone"),
        ("AAPL,45684,10,12,9,11,1,,", "column start: `45684` is no time since the epoch"),
        ("AAPL,,10,12,9,11,1,,", "column start: `` is no time"),
        ("AAPL,2025-01-27T14:30:01Z,10,12,9,11,1,,", "the start of a minute"),
        ("AAPL,1850-01-27T14:30:00Z,10,12,9,11,1,,", "from 1900"),
        ("AAPL,2025-01-27T14:30:00Z,0,12,9,11,1,,", "column open: `0` is not above 0"),
        ("AAPL,2025-01-27T14:30:00Z,10,1e9,9,11,1,,", "column high: `1e9` is above 9,000,000"),
        ("AAPL,2025-01-27T14:30:00Z,10,12,NaN,11,1,,", "column low: `NaN` is not a decimal number"),
        ("AAPL,2025-01-27T14:30:00Z,10,12,9,,1,,", "column close: `` is not a decimal number"),
        ("AAPL,2025-01-27T14:30:00Z,10,12,9,\"10,5\",1,,", "column close: `10,5` is not a decimal number"),
        ("AAPL,2025-01-27T14:30:00Z,10,12,9,11,-1,,", "column volume: `-1` is negative"),
        ("AAPL,2025-01-27T14:30:00Z,10,12,9,11,1,x,", "column vwap: `x`"),
        ("AAPL,2025-01-27T14:30:00Z,10,12,9,11,1,,-3", "column trades: `-3`"),
        ("AAPL,2025-01-27T14:30:00Z,10,9,12,11,1,,", "the high is below the low"),
        ("AAPL,2025-01-27T14:30:00Z,10,12,9,13,1,,", "the open or close is above the high"),
        ("AAPL,2025-01-27T14:30:00Z,10,12,9,11,1", "the row has 7 fields where the header names 9 columns"),
        ("AAPL,2025-01-27T14:30:00Z,10,12,9,11,1,,,5", "the row has 10 fields"),
        (HEADER.trim_end(), "the header stands here again"),
        (",,,,,,,,", "column symbol"),
        ("\"AAPL,2025-01-27T14:30:00Z,10,12,9,11,1,,", "the row has 1 fields"),
    ];
    let table: String = cases.iter().map(|(row, _)| format!("{row}\n{GOOD}")).collect();
    let folder = folder();
    let path = write(&folder, "bars.csv", format!("{HEADER}{table}"));
    let rows = rows(&path);
    assert_eq!(rows.len(), 2 * cases.len());
    for (index, ((row, expected), got)) in cases.iter().zip(rows.chunks(2)).enumerate() {
        let Row::Rejected(RejectedRow { place, reason, .. }) = &got[0] else { panic!("{row}: {:?}", got[0]) };
        assert_eq!(place, &format!("{}:line {}", path.display(), 2 + 2 * index));
        assert!(reason.contains(expected), "{row}: {reason}");
        assert_eq!(got[1], Row::Bar(good()), "the row after {row}");
    }
}

#[test]
fn a_stray_quote_costs_one_row() {
    let rows = read(format!("{HEADER}{GOOD}AA\"PL,\"2025\n{GOOD}"));
    assert_eq!((rows.len(), &rows[2]), (3, &Row::Bar(good())));
    assert!(matches!(rows[1], Row::Rejected(_)));
}

#[test]
fn bytes_that_are_no_text_cost_one_row() {
    let mut content = HEADER.as_bytes().to_vec();
    content.extend_from_slice(b"AA\xff\xfePL,2025-01-27T14:30:00Z,10,12,9,11,1,,\n\0\0\0\n");
    content.extend_from_slice(GOOD.as_bytes());
    let rows = read(content);
    assert!(matches!(&rows[0], Row::Rejected(reject) if reject.reason == "column symbol: not UTF-8 text"));
    assert_eq!((rows.len(), &rows[2]), (3, &Row::Bar(good())));
}

#[test]
fn a_long_row_costs_one_row_and_no_memory() {
    let long = format!("AAPL,{}\n", "9".repeat(5_000_000));
    let edge = format!("{}{}\n", GOOD.trim_end(), " ".repeat(bar_file::MAX_ROW - GOOD.len()));
    assert_eq!(edge.len(), bar_file::MAX_ROW);
    let beyond = format!("{}{}\n", GOOD.trim_end(), " ".repeat(bar_file::MAX_ROW - GOOD.len() + 1));
    let many = format!("{}\n", ",".repeat(1000));
    let unended = "x".repeat(200_000);
    let rows = read(gzip(format!("{HEADER}{long}{edge}{beyond}{many}{GOOD}{unended}").as_bytes()));
    let reason = |row: &Row| match row {
        Row::Rejected(reject) => reject.reason.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(rows.len(), 6);
    assert_eq!(reason(&rows[0]), "the row is longer than 65536 bytes");
    assert_eq!(rows[1], Row::Bar(good()));
    assert_eq!(reason(&rows[2]), "the row is longer than 65536 bytes");
    assert_eq!(reason(&rows[3]), "the row has more than 256 fields");
    assert_eq!(rows[4], Row::Bar(good()));
    assert_eq!(reason(&rows[5]), "the row is longer than 65536 bytes");
}

#[test]
fn a_header_that_does_not_fit_is_an_error_that_says_which_one_does() {
    let expected = "symbol,start,open,high,low,close,volume[,vwap,trades,feed]";
    for (content, what) in [
        ("symbol,start,open,high,low,close\n".to_owned(), "does not name the column volume"),
        (GOOD.to_owned(), "does not name the columns symbol, start, open"),
        ("symbol,start,start,open,high,low,close,volume\n".to_owned(), "the column start twice"),
        ("x".repeat(100_000), "the first line is no header"),
        (format!("{HEADER:,<4000}"), "more than 256 fields"),
    ] {
        let content = content.replace("trades\n", "trades");
        let error = open_error(&content);
        assert!(error.message.contains(what) && error.message.contains(expected), "{error}");
    }
}

#[test]
fn a_file_without_anything_in_it_has_no_rows() {
    for content in ["", "\n\r\n", "\u{feff}", HEADER, "symbol;start;open;high;low;close;volume"] {
        assert_eq!(read(content), []);
    }
}

#[test]
fn an_unreadable_file_is_an_error_that_names_it() {
    let folder = folder();
    for path in [folder.path().join("missing.csv"), folder.path().to_owned()] {
        let error = bar_file::open(&path, label()).err().unwrap();
        assert_eq!(error.kind, FeedErrorKind::File);
        assert!(error.message.starts_with(&format!("{}: cannot be read: ", path.display())), "{error}");
    }
}

#[test]
fn gzip_is_told_by_content_whatever_the_name() {
    let folder = folder();
    let plain = write(&folder, "plain.csv.gz", format!("{HEADER}{GOOD}"));
    let zipped = write(&folder, "zipped.csv", gzip(format!("{HEADER}{GOOD}").as_bytes()));
    assert_eq!(bars(rows(&plain)), [good()]);
    assert_eq!(bars(rows(&zipped)), [good()]);
}

/// Rows up to the first error, and the error.
fn read_on(bars: BarFile<'_>) -> (usize, Option<FeedError>) {
    let mut good = 0;
    let mut bars = bars;
    for row in bars.by_ref() {
        match row {
            Ok(Row::Bar(_)) => good += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(bars.next().is_none(), "the error is the last item");
                return (good, Some(error));
            }
        }
    }
    (good, None)
}

#[test]
fn a_cut_off_or_damaged_gzip_file_never_looks_like_its_end() {
    let content = format!("{HEADER}{}", GOOD.repeat(20_000));
    let whole = gzip(content.as_bytes());
    let folder = folder();
    for (name, bytes) in [
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("without its checksum", whole[..whole.len() - 8].to_vec()),
        ("cut by one byte", whole[..whole.len() - 1].to_vec()),
        ("with a wrong checksum", {
            let mut bytes = whole.clone();
            let at = bytes.len() - 8;
            bytes[at] ^= 1;
            bytes
        }),
        ("with a second, broken member", [&whole[..], &gzip(GOOD.as_bytes())[..30]].concat()),
        ("with garbage behind", [&whole[..], b"garbage"].concat()),
    ] {
        let path = write(&folder, "broken.csv.gz", bytes);
        let (good, error) = read_on(bar_file::open(&path, label()).unwrap());
        let error = error.unwrap_or_else(|| panic!("a file {name} read {good} rows and ended"));
        assert!(good > 1_000, "{name}: {good}");
        assert_eq!(error.kind, FeedErrorKind::File);
        assert!(error.message.contains("broken.csv.gz: cannot be read on after line "), "{error}");
    }
}

#[test]
fn the_bytes_read_grow_to_the_size_of_the_file_on_the_disk() {
    let folder = folder();
    let mut content = HEADER.to_owned();
    for index in 0..50_000 {
        content.push_str(&GOOD.replace("1000", &(index * 7919 % 100_003).to_string()));
    }
    for bytes in [content.as_bytes().to_vec(), gzip(content.as_bytes())] {
        let path = write(&folder, "bars.csv", &bytes);
        let mut rows = bar_file::open(&path, label()).unwrap();
        assert_eq!(rows.bytes_total(), bytes.len() as u64);
        let (mut last, mut steps) = (rows.bytes_read(), 0);
        while rows.next().is_some() {
            steps += u32::from(rows.bytes_read() > last);
            assert!(rows.bytes_read() >= last);
            last = rows.bytes_read();
        }
        assert_eq!(last, bytes.len() as u64);
        assert!(steps >= 2, "{steps}");
    }
}

#[test]
fn share_classes_are_one_symbol_in_every_spelling() {
    let spellings = ["BRK-B", "BRK/B", "BRK B", "BRK.B", "brk-b", "BRKB", "BTC-USD"];
    let watchlist = Watchlist::new(["BRK.B".parse().unwrap(), "BTC-USD".parse().unwrap()], []).unwrap();
    let calendar = Calendar::new(Market::Always, false, []);
    let mut content = "symbol,start,open,high,low,close,volume\n".to_owned();
    for (minute, spelling) in spellings.iter().enumerate() {
        content += &format!("{spelling},2024-07-03T13:3{minute}:00Z,406.1,406.5,406,406.2,1000\n");
    }
    let folder = folder();
    let path = write(&folder, "bars.csv", content);
    let rows = bar_file::open(&path, label()).unwrap().tracked_by(&watchlist, &calendar).map(Result::unwrap);
    let told: Vec<String> = rows
        .map(|row| match row {
            Row::Bar(bar) => bar.symbol.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(told[..5], ["BRK.B"; 5]);
    // Nobody lists it so: it is a symbol of its own.
    assert_eq!(told[5..], ["NotTracked(Symbol(BRKB))", "BTC-USD"]);
}

#[test]
fn rows_of_a_former_symbol_go_to_whom_it_belonged_to_on_their_day() {
    let calendar = Calendar::new(Market::Xnas, false, []);
    let content = "symbol,start,open,high,low,close,volume\n\
        FB,2021-05-03T14:30:00Z,10,12,9,11,1\n\
        FB,2022-06-09T03:59:00Z,10,12,9,11,1\n\
        FB,2022-06-09T04:00:00Z,10,12,9,11,1\n\
        FB,2026-11-27T15:00:00Z,10,12,9,11,1\n\
        META,2026-11-27T15:00:00Z,10,12,9,11,1\n";
    let folder = folder();
    let path = write(&folder, "bars.csv", content);
    let gone =
        |day| format!("column symbol: FB was no longer META on {day}, and is not on the watchlist itself");
    for (tracked, expected) in [
        (&["META", "FB"][..], ["META", "META", "FB", "FB", "META"].map(str::to_owned)),
        (&["META"], ["META".into(), "META".into(), gone("2022-06-09"), gone("2026-11-27"), "META".into()]),
    ] {
        let watchlist = Watchlist::new(tracked.iter().map(|name| name.parse().unwrap()), []).unwrap();
        let rows = bar_file::open(&path, label()).unwrap().tracked_by(&watchlist, &calendar);
        let told = rows.map(Result::unwrap).map(|row| match row {
            Row::Bar(bar) => bar.symbol.to_string(),
            Row::NotTracked(symbol) => format!("not tracked {symbol}"),
            Row::Rejected(reject) => reject.reason,
            Row::Split(split) => panic!("{split}"),
        });
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn rows_of_days_that_the_calendar_does_not_know_are_rejected() {
    let watchlist = Watchlist::new(["IBM".parse().unwrap()], []).unwrap();
    let content = "symbol,start,open,high,low,close,volume\n\
        IBM,1989-12-29T15:00:00Z,10,12,9,11,1\nIBM,1990-01-02T15:00:00Z,10,12,9,11,1\n";
    let folder = folder();
    let path = write(&folder, "bars.csv", content);
    for (market, expected) in [(Market::Xnas, [false, true]), (Market::Always, [true, true])] {
        let calendar = Calendar::new(market, false, []);
        let rows = bar_file::open(&path, label()).unwrap().tracked_by(&watchlist, &calendar);
        let taken = rows.map(Result::unwrap).map(|row| match row {
            Row::Rejected(reject) => {
                assert!(reject.reason.contains("lies before 1990-01-01"), "{}", reject.reason);
                false
            }
            other => matches!(other, Row::Bar(_)),
        });
        assert_eq!(taken.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn labels_are_resolved_on_the_day_of_the_bar() {
    let watchlist = Watchlist::new(["META".parse().unwrap()], []).unwrap();
    let calendar = Calendar::new(Market::Xnas, false, []);
    let row = |symbol: &str, start: &str| format!("{symbol},{start},10,12,9,11,1\n");
    let content = [
        "symbol,start,open,high,low,close,volume\n".to_owned(),
        row("FB", "2021-05-03T14:30:00Z"),
        row("META", "2021-05-03T14:30:00Z"),
        row("META", "2023-05-03T14:30:00Z"),
        row("IBM", "2023-05-03T14:30:00Z"),
        row("IBM", "2023-05-03T14:30:00Z").replace("10", "nonsense"),
        row("META", "2022-01-31T04:59:00Z"), // 30 January in New York
    ]
    .concat();
    let folder = folder();
    let path = write(&folder, "bars.csv", content);
    let rows: Vec<Row> = bar_file::open(&path, label())
        .unwrap()
        .tracked_by(&watchlist, &calendar)
        .map(Result::unwrap)
        .collect();
    let told: Vec<String> = rows
        .iter()
        .map(|row| match row {
            Row::Bar(bar) => format!("bar {}", bar.symbol),
            Row::NotTracked(symbol) => format!("not tracked {symbol}"),
            Row::Rejected(reject) => reject.reason.clone(),
            Row::Split(split) => panic!("{split}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "bar META",
            "column symbol: META was the Roundhill Ball Metaverse ETF on 2021-05-03",
            "bar META",
            "not tracked IBM",
            "not tracked IBM",
            "column symbol: META was the Roundhill Ball Metaverse ETF on 2022-01-30",
        ]
    );
}

#[test]
fn a_folder_means_its_files_of_bars_by_name() {
    let folder = folder();
    let write = |name: &str| write(&folder, name, "");
    let (b, a, c, p) = (write("b.csv"), write("a.CSV.gz"), write("c.csv.gz"), write("d.parquet"));
    let (t, z, zip) = (write("e.tsv"), write("f.csv.zst"), write("g.ZIP"));
    write("notes.txt");
    write("notparquet");
    write("old.csv.bak");
    write("csv");
    write(".hidden.csv");
    std::fs::create_dir(folder.path().join("h.csv")).unwrap();
    assert_eq!(bar_file::files(folder.path()).unwrap(), [a, b.clone(), c, p, t, z, zip]);
    assert_eq!(bar_file::files(&b).unwrap(), [b]);
}

#[test]
fn a_folder_without_files_of_bars_and_a_missing_path_are_errors() {
    let folder = folder();
    let error = bar_file::files(folder.path()).unwrap_err();
    assert_eq!(error.kind, FeedErrorKind::File);
    assert!(error.message.contains("holds no *.csv, *.tsv, *.parquet or *.zip"), "{error}");
    let error = bar_file::files(&folder.path().join("missing")).unwrap_err();
    assert!(error.message.contains("missing: cannot be read"), "{error}");
}

fn cells(bar: &Bar) -> [String; 9] {
    [
        bar.symbol.to_string(),
        bar.start.to_string(),
        bar.open.to_string(),
        bar.high.to_string(),
        bar.low.to_string(),
        bar.close.to_string(),
        bar.volume.to_string(),
        bar.vwap.map(|price| price.to_string()).unwrap_or_default(),
        bar.trades.map(|trades| trades.to_string()).unwrap_or_default(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_bars_are_written_however_are_read_back(
        expected in proptest::collection::vec(any_bar(label()), 0..40),
        order in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(),
        quoted in any::<bool>(),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")],
        bom in any::<bool>(),
        cut in proptest::option::of(0.0..1.0),
    ) {
        let names = ["symbol", "start", "open", "high", "low", "close", "volume", "vwap", "trades"];
        let table = std::iter::once(names.map(str::to_owned)).chain(expected.iter().map(cells));
        let mut content = if bom { "\u{feff}".to_owned() } else { String::new() };
        for row in table {
            let row: Vec<String> = order
                .iter()
                .map(|&column| if quoted { format!("\"{}\"", row[column]) } else { row[column].clone() })
                .collect();
            content.push_str(&row.join(","));
            content.push_str(end);
        }
        let bytes = match cut {
            // Two gzip members, cut anywhere.
            Some(cut) => {
                let at = (content.len() as f64 * cut) as usize;
                [gzip(&content.as_bytes()[..at]), gzip(&content.as_bytes()[at..])].concat()
            }
            None => content.into_bytes(),
        };
        prop_assert_eq!(bars(read(bytes)), expected);
    }

    #[test]
    fn no_bytes_panic_and_every_line_is_accounted_for(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..30),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut content = format!("{HEADER}{GOOD}{GOOD}{GOOD}").into_bytes();
        for (index, byte) in damage {
            let at = HEADER.len() + index.index(3 * GOOD.len());
            content[at] = byte;
        }
        for line in lines {
            content.extend_from_slice(&line);
            content.push(b'\n');
        }
        let expected = content
            .split(|&byte| byte == b'\n')
            .skip(1)
            .filter(|line| !line.trim_ascii().is_empty())
            .count();
        prop_assert_eq!(read(&content).len(), expected);
        // Taken for gzip, the same bytes are an error and no panic.
        let folder = folder();
        content.splice(0..0, [0x1f, 0x8b]);
        let path = write(&folder, "bars.csv", &content);
        prop_assert!(bar_file::open(&path, label()).is_err());
    }
}

#[test]
fn a_recorded_week_of_ten_names_reads_without_a_reject() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/week_2025-01-27_ten.csv.gz");
    if !path.exists() {
        eprintln!("MISSING: the recorded week is not beside the project; nothing was tested");
        return;
    }
    let bars = bars(rows(&path));
    assert_eq!(bars.len(), 33_837);
    assert!(bars.iter().all(|bar| bar.vwap.is_none() && bar.trades.is_none()));
}
