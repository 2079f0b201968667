//! Files of an archive: what their footers say, and what of them is read.

use qqq_core::market::calendar::Market;
use qqq_core::{Bar, Calendar, Split, Splits};
use qqq_feed::bar_file::{
    self, BarWriter, Labels, ReadOptions, Row, Units, archive_mark, open_archived, seal,
};
use qqq_testkit::bars::ohlc;
use std::fs::{self, File};
use std::io::Seek as _;
use std::path::PathBuf;
use tempfile::TempDir;

const MARK: &str = "bars=3 of a mark";
const SYMBOLS: [&str; 3] = ["AAPL", "BRK.B", "NVDA"];

fn calendar() -> Calendar {
    Calendar::new(Market::Xnys, false, [])
}

fn bar(symbol: &str) -> Bar {
    ohlc(symbol, "2024-06-07T14:30:00Z", ["100.123456789", "101", "99.5", "100.5"], 1_000)
}

fn ten_to_one() -> Split {
    Split::new("NVDA".parse().unwrap(), "2024-06-10".parse().unwrap(), 10, 1).unwrap()
}

/// A bar of each symbol, each in a row group of its own, after a split of the last.
fn written(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("2024-06-07.parquet");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    let splits: Splits = [ten_to_one()].into_iter().collect();
    let mut writer = BarWriter::archived(&file, &splits, &calendar(), MARK).unwrap();
    for symbol in SYMBOLS {
        writer.write(&[bar(symbol)]).unwrap();
        writer.end_group().unwrap();
    }
    writer.finish().unwrap();
    seal(&mut file).unwrap();
    path
}

fn options(splits: Splits) -> ReadOptions {
    let units = Units { splits, split_adjusted: false };
    ReadOptions { units, ..Labels::Any { otherwise: "none".parse().unwrap() }.into() }
}

#[test]
fn a_mark_comes_back_and_other_readers_see_bars() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(&folder);
    assert_eq!(archive_mark(&path).unwrap(), MARK);
    let rows: Vec<Row> =
        bar_file::open(&path, options(Splits::default())).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows, SYMBOLS.map(|symbol| Row::Bar(bar(symbol))));
    // An export says no mark, and has no checksum of its footer.
    let export = folder.path().join("export.parquet");
    BarWriter::new(bar_file::Format::Parquet, File::create(&export).unwrap()).unwrap().finish().unwrap();
    let error = archive_mark(&export).unwrap_err();
    assert!(error.message.contains("export.parquet: cannot be read: its footer says no checksum"), "{error}");
}

#[test]
fn no_bit_of_a_footer_changes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(&folder);
    let good = fs::read(&path).unwrap();
    let length = u32::from_le_bytes(good[good.len() - 8..good.len() - 4].try_into().unwrap()) as usize;
    let footer = good.len() - 8 - length..good.len();
    assert!(length > 500);
    for at in footer {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).unwrap();
        for error in [archive_mark(&path).err(), open_archived(&path, options(Splits::default())).err()] {
            let error = error.unwrap_or_else(|| panic!("byte {at} is not under the checksum"));
            assert!(error.message.contains("2024-06-07.parquet"), "{error}");
        }
    }
    fs::write(&path, &good).unwrap();
    assert!(open_archived(&path, options(Splits::default())).is_ok());
    // To seal again changes nothing.
    let mut file = File::options().read(true).write(true).open(&path).unwrap();
    file.rewind().unwrap();
    seal(&mut file).unwrap();
    assert_eq!(fs::read(&path).unwrap(), good);
}

#[test]
fn row_groups_of_other_symbols_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(&folder);
    for symbol in SYMBOLS {
        let file = open_archived(&path, options(Splits::default())).unwrap();
        let rows: Vec<Row> = file.skipping_to(symbol.parse().unwrap()).map(Result::unwrap).collect();
        assert_eq!(rows, [Row::Bar(bar(symbol))]);
    }
    // Between two of them, and beyond the last.
    for symbol in ["AZZ", "ZZZ"] {
        let file = open_archived(&path, options(Splits::default())).unwrap();
        assert_eq!(file.skipping_to(symbol.parse().unwrap()).count(), 0, "{symbol}");
    }
}

#[test]
fn bars_of_any_symbol_are_brought_over_the_splits_that_came_later_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(&folder);
    let calendar = calendar();
    let told = |splits: &[Split]| -> Vec<Row> {
        let options = options(splits.iter().copied().collect());
        open_archived(&path, options).unwrap().of_any_symbol(&calendar).map(Result::unwrap).collect()
    };
    let bars = SYMBOLS.map(|symbol| Row::Bar(bar(symbol)));
    assert_eq!(told(&[ten_to_one()]), bars, "the file has it already");
    let later = Split::new("NVDA".parse().unwrap(), "2024-07-01".parse().unwrap(), 2, 1).unwrap();
    let mut expected = bars.clone();
    expected[2] = Row::Bar(later.bar(&bar("NVDA")));
    assert_eq!(told(&[ten_to_one(), later]), expected);
    // One that nobody had is told before the bar.
    let mut expected = bars.to_vec();
    expected.insert(2, Row::Split(ten_to_one()));
    assert_eq!(told(&[]), expected);
}
