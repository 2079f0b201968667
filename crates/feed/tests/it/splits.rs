//! Files and splits: what leaves a store comes back into it as it is there by then, whichever splits came
//! between.

use crate::given::symbol;
use proptest::prelude::*;
use qqq_core::market::calendar::Market;
use qqq_core::{Bar, Calendar, FeedLabel, Price, Second, Split, Splits, Watchlist};
use qqq_feed::bar_file::{self, BarWriter, Format, ReadOptions, Row, Units};
use qqq_testkit::bars::flat;
use std::collections::BTreeMap;

fn label() -> FeedLabel {
    "test".parse().unwrap()
}

fn calendar() -> Calendar {
    Calendar::new(Market::Always, false, [])
}

/// A store of one symbol, as far as splits and files matter.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    bars: BTreeMap<Second, Bar>,
    splits: Splits,
}

impl Model {
    fn learn(&mut self, split: Split) {
        if self.splits.insert(split) == Ok(true) {
            split.rescale(self.bars.values_mut(), &calendar());
        }
    }

    fn with(mut self, splits: &[Split]) -> Self {
        splits.iter().for_each(|&split| self.learn(split));
        self
    }

    fn export(&self, format: Format) -> Vec<u8> {
        let bars: Vec<Bar> = self.bars.values().copied().collect();
        let mut writer = BarWriter::adjusted(format, Vec::new(), &self.splits, &calendar()).unwrap();
        writer.write(&bars).unwrap();
        writer.finish().unwrap()
    }

    fn import(mut self, file: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bars");
        std::fs::write(&path, file).unwrap();
        let watchlist = Watchlist::new([symbol("NVDA")], []).unwrap();
        let units = Units { splits: self.splits.clone(), split_adjusted: false };
        let options = ReadOptions { units, ..label().into() };
        for row in bar_file::open(&path, options).unwrap().tracked_by(&watchlist, &calendar()) {
            match row.unwrap() {
                Row::Bar(bar) => _ = self.bars.insert(bar.start, bar),
                Row::Split(split) => self.learn(split),
                other => panic!("{other:?}"),
            }
        }
        self
    }
}

/// A bar of 2020 to 2025.
fn a_bar() -> impl Strategy<Value = Bar> {
    let minutes = 26_300_000..29_400_000_i32;
    (minutes, 1..Price::MAX.nanos() / 1_000_000, 0_i64..1_000_000_000, any::<bool>()).prop_map(
        |(minute, nanos, shares, has_vwap)| {
            let price = Price::from_nanos(nanos).unwrap();
            let bar = flat("NVDA", Second::from_minute(minute), price, shares);
            Bar { vwap: has_vwap.then_some(price), feed: label(), ..bar }
        },
    )
}

/// Some splits of 2020 to 2025, by day.
fn some_splits() -> impl Strategy<Value = Vec<Split>> {
    let terms = prop_oneof![Just((10, 1)), Just((3, 2)), Just((1, 8)), Just((4, 1)), Just((7, 3))];
    let split = (2020_i16..=2025, 1_i8..=12, 1_i8..=28, terms);
    proptest::collection::vec(split, 0..4).prop_map(|splits| {
        let splits: Splits = splits
            .into_iter()
            .map(|(year, month, day, (new, old))| {
                Split::new(symbol("NVDA"), jiff::civil::date(year, month, day), new, old).unwrap()
            })
            .collect();
        splits.iter().copied().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_was_exported_when_is_imported_as_it_stands_by_then(
        bars in proptest::collection::vec(a_bar(), 0..30),
        splits in some_splits(),
        cut in any::<proptest::sample::Index>(),
        format in proptest::sample::select(&Format::ALL[..]),
    ) {
        let raw = Model { bars: bars.iter().map(|bar| (bar.start, *bar)).collect(), ..Model::default() };
        let cut = cut.index(splits.len() + 1);
        let before = raw.clone().with(&splits[..cut]);
        let by_now = raw.clone().with(&splits);
        for file in [raw.export(format), before.export(format), by_now.export(format)] {
            // Into the store it came from, again and again: nothing changes.
            prop_assert_eq!(by_now.clone().import(&file).import(&file), by_now.clone());
        }
        // Into an empty store, which learns of the others later.
        let empty = Model::default;
        if !bars.is_empty() {
            let restored = empty().import(&before.export(format)).with(&splits);
            prop_assert_eq!(&restored.bars, &by_now.bars);
            let restored = empty().import(&raw.export(format)).with(&splits);
            prop_assert_eq!(&restored.bars, &by_now.bars);
            // What is told twice, by the file and by a provider, is applied once.
            let restored = empty().import(&by_now.export(format)).with(&splits);
            prop_assert_eq!(&restored.bars, &by_now.bars);
        }
    }
}

fn read(rows: &str, units: Units) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    std::fs::write(&path, format!("symbol,start,open,high,low,close,volume,splits\n{rows}")).unwrap();
    let watchlist = Watchlist::new([symbol("NVDA"), symbol("META")], []).unwrap();
    let options = ReadOptions { units, ..label().into() };
    let file = bar_file::open(&path, options).unwrap();
    file.tracked_by(&watchlist, &calendar()).map(Result::unwrap).collect()
}

fn known(text: &str, new: u32) -> Units {
    let splits = Split::new(symbol(text), "2024-06-10".parse().unwrap(), new, 1).into_iter().collect();
    Units { splits, split_adjusted: false }
}

#[test]
fn a_row_is_of_its_day_unless_it_says_otherwise() {
    let close = |row: &str, units: Units| match read(row, units).as_slice() {
        [Row::Bar(bar)] => (bar.close.to_string(), bar.volume.shares()),
        other => panic!("{other:?}"),
    };
    let before = "NVDA,2024-06-07T13:30:00Z,1208.88,1208.88,1208.88,1208.88,41238,";
    let after = "NVDA,2024-06-10T13:30:00Z,1208.88,1208.88,1208.88,1208.88,41238,";
    let as_it_is = ("1208.88".to_owned(), 41_238);
    assert_eq!(close(before, known("NVDA", 10)), ("120.888".to_owned(), 412_380));
    assert_eq!(close(after, known("NVDA", 10)), as_it_is);
    assert_eq!(close(before, Units::default()), as_it_is);
    assert_eq!(close(before, known("META", 10)), as_it_is);
    assert_eq!(close(&format!("{before}10:1@2024-06-10"), known("NVDA", 10)), as_it_is);
    assert_eq!(close(before, Units { split_adjusted: true, ..known("NVDA", 10) }), as_it_is);
    // Also under a former name.
    let former = before.replace("NVDA", "FB").replace("2024-06-07", "2021-06-07");
    assert_eq!(close(&former, known("META", 10)), ("120.888".to_owned(), 412_380));
}

#[test]
fn what_a_row_says_of_splits_must_make_sense() {
    let row = |splits: &str| format!("NVDA,2024-06-07T13:30:00Z,1,1,1,1,1,{splits}");
    for (splits, said) in [
        ("10:1", "column splits: `10:1` is no split; allowed is nothing or"),
        ("10:1@soon", "is no split"),
        ("1:1@2024-06-10", "is no split"),
        ("5:1@2024-06-10", "`5:1@2024-06-10` of NVDA is known as `10:1@2024-06-10`"),
    ] {
        let rows = read(&row(splits), known("NVDA", 10));
        assert!(matches!(&rows[..], [Row::Rejected(row)] if row.reason.contains(said)), "{splits}: {rows:?}");
    }
}
