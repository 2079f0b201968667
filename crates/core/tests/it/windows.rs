//! The windows are a function of the set of bars, and their figures are the exact ones.

use crate::oracle::{Exact, Series};
use proptest::prelude::*;
use qqq_core::statistics::window::{Arrival, Values, Windows};
use qqq_core::{Metric, Minute, Price, Volume};
use std::collections::BTreeMap;

/// (symbol, minute, close, volume)
type Bar = (usize, i32, i64, i64);

const SYMBOLS: usize = 3;

fn insert(windows: &mut Windows, &(symbol, minute, close, volume): &Bar) -> Arrival {
    let values = Values::new(Price::from_nanos(close).unwrap(), Volume::from_shares(volume).unwrap());
    windows.insert(symbol, Minute::from_index(minute), values)
}

fn windows() -> Windows {
    Windows::new(SYMBOLS, &[7, 720])
}

/// Minutes cluster in a few stretches, so that there are dense runs, gaps within the day, and whole days
/// between.
fn minute() -> impl Strategy<Value = i32> {
    (
        prop_oneof![4 => Just(0), 2 => Just(700), 2 => Just(1_380), 1 => Just(1_441), 1 => Just(9_000)],
        0..130_i32,
    )
        .prop_map(|(stretch, offset)| 29_000_000 + stretch + offset)
}

fn close() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => (1..2_000_i64).prop_map(|cents| cents * 10_000_000),
        1 => 1..=9_000_000_000_000_000_i64,
        1 => Just(1_i64),
        1 => Just(9_000_000_000_000_000_i64),
    ]
}

fn volume() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..500_000_i64, 1 => 0..=1_000_000_000_000_i64, 1 => Just(0_i64)]
}

fn bars() -> impl Strategy<Value = Vec<Bar>> {
    prop::collection::vec((0..SYMBOLS, minute(), close(), volume()), 1..400)
}

/// The bars that stand at the end: the last of each (symbol, minute).
fn last_of_each(bars: &[Bar]) -> BTreeMap<(i32, usize), Bar> {
    bars.iter().map(|bar| ((bar.1, bar.0), *bar)).collect()
}

fn assert_exact(windows: &Windows, standing: &BTreeMap<(i32, usize), Bar>) {
    for symbol in 0..SYMBOLS {
        let of = |index: fn(&Bar) -> i64| -> Series {
            standing.values().filter(|bar| bar.0 == symbol).map(|bar| (bar.1, index(bar))).collect()
        };
        for (metric, series) in [(Metric::Price, of(|bar| bar.2)), (Metric::Volume, of(|bar| bar.3))] {
            let newest = series.last_key_value().map(|(&minute, _)| minute);
            assert_eq!(windows.newest(symbol), newest.map(Minute::from_index));
            let figures = windows.figures(symbol, metric);
            if let Some(newest) = newest {
                let place = format!("symbol {symbol} {metric} at {newest}");
                Exact::at(&series, newest, metric.units()).assert_matches(&figures, &place);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_order_repeats_and_revisions_give_the_identical_state(
        bars in bars(),
        seed in prop::collection::vec(any::<u32>(), 400),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
    ) {
        let standing = last_of_each(&bars);
        let mut in_order = windows();
        for bar in standing.values() {
            insert(&mut in_order, bar);
        }
        let mut as_given = windows();
        for bar in &bars {
            insert(&mut as_given, bar);
        }
        prop_assert_eq!(&as_given, &in_order);

        // Shuffled; then every final bar again, in another order, with repeats: revisions end as they must.
        let mut shuffled: Vec<(u32, Bar)> = seed.iter().copied().zip(bars.iter().copied()).collect();
        shuffled.sort_unstable();
        let last = standing.values().copied();
        let mut finals: Vec<(u32, Bar)> = seed.iter().rev().copied().zip(last).collect();
        finals.sort_unstable();
        let repeated: Vec<Bar> = repeats.iter().map(|index| finals[index.index(finals.len())].1).collect();
        let mut otherwise = windows();
        for bar in shuffled.iter().chain(&finals).map(|(_, bar)| bar).chain(&repeated) {
            insert(&mut otherwise, bar);
        }
        prop_assert_eq!(&otherwise, &in_order);
    }

    #[test]
    fn figures_are_exact_after_every_bar(bars in bars()) {
        let mut windows = windows();
        for (index, bar) in bars.iter().enumerate() {
            insert(&mut windows, bar);
            if index % 16 == 15 || index + 1 == bars.len() {
                assert_exact(&windows, &last_of_each(&bars[..=index]));
            }
        }
    }

    #[test]
    fn every_trailing_window_is_the_sum_of_its_bars(bars in bars(), at in minute(), minutes in 1..=720_u16) {
        let mut windows = windows();
        for bar in &bars {
            insert(&mut windows, bar);
        }
        let standing = last_of_each(&bars);
        for symbol in 0..SYMBOLS {
            let Some(newest) = windows.newest(symbol) else { continue };
            let latest = newest.index();
            for (at, minutes) in [(at, minutes), (latest, minutes), (latest, 7), (latest, 720)] {
                let Some(trailing) = windows.trailing(symbol, Minute::from_index(at), minutes) else {
                    prop_assert!(at - i32::from(minutes) <= latest - 1440);
                    continue;
                };
                let inside: Vec<&Bar> = standing
                    .values()
                    .filter(|bar| bar.0 == symbol && (at - i32::from(minutes)..at).contains(&bar.1))
                    .collect();
                prop_assert_eq!(usize::from(trailing.bars), inside.len());
                prop_assert_eq!(trailing.sum(Metric::Price), inside.iter().map(|bar| bar.2).sum::<i64>());
                prop_assert_eq!(trailing.sum(Metric::Volume), inside.iter().map(|bar| bar.3).sum::<i64>());
            }
        }
    }

    #[test]
    fn a_rescaled_window_is_the_window_of_the_rescaled_bars(bars in bars(), cut in minute()) {
        let halve = |close: i64| (close / 2).max(1);
        let mut rescaled = windows();
        for bar in last_of_each(&bars).values() {
            insert(&mut rescaled, bar);
        }
        for symbol in 0..SYMBOLS {
            rescaled.rescale(symbol, Minute::from_index(cut), |price, volume| {
                Values::new(Price::from_nanos(halve(price.nanos())).unwrap(), volume)
            });
        }
        let mut direct = windows();
        for &(symbol, minute, close, volume) in last_of_each(&bars).values() {
            let close = if minute < cut { halve(close) } else { close };
            insert(&mut direct, &(symbol, minute, close, volume));
        }
        prop_assert_eq!(rescaled, direct);
    }
}

#[test]
fn arrivals_are_told_apart() {
    let mut windows = windows();
    let old = Values::new(Price::from_nanos(5).unwrap(), Volume::ZERO);
    assert_eq!(insert(&mut windows, &(0, 10_000, 5, 0)), Arrival::New);
    assert_eq!(insert(&mut windows, &(0, 10_002, 5, 0)), Arrival::New);
    assert_eq!(insert(&mut windows, &(0, 10_001, 5, 0)), Arrival::Late);
    assert_eq!(insert(&mut windows, &(0, 10_001, 5, 0)), Arrival::Unchanged);
    assert_eq!(insert(&mut windows, &(0, 10_001, 6, 0)), Arrival::Revised(old));
    assert_eq!(insert(&mut windows, &(0, 10_002 - 1440, 5, 0)), Arrival::TooOld);
    assert_eq!(insert(&mut windows, &(0, 10_003 - 1440, 5, 0)), Arrival::Late);
    assert_eq!(insert(&mut windows, &(1, 10_002 - 1440, 5, 0)), Arrival::New);
}

/// pandas #28244, #52407 and polars #21677 among others: one wild value poisons floating-point windows for
/// ever. Here it leaves no trace.
#[test]
fn a_wild_value_leaves_no_trace_once_it_left_the_window() {
    let mut windows = windows();
    insert(&mut windows, &(0, 0, 9_000_000_000_000_000, 1_000_000_000_000));
    for minute in 1..=1500 {
        insert(&mut windows, &(0, minute, 100_000_000_000, 7));
    }
    for metric in Metric::ALL {
        let figures = windows.figures(0, metric);
        assert_eq!((figures.stdev, figures.relative_stdev), (Some(0.0), Some(0.0)));
    }
}

/// The original took the deviation of the levels: a steady climb has a large one, and none of its changes.
#[test]
fn the_deviation_is_of_the_changes_not_of_the_levels() {
    let mut windows = windows();
    for minute in 0..100 {
        insert(&mut windows, &(0, minute, 1_000_000_000 * (i64::from(minute) + 1), 10));
    }
    assert_eq!(windows.figures(0, Metric::Price).stdev, Some(0.0));
}

/// The original took the median for the mean.
#[test]
fn the_trailing_average_is_a_mean_and_leaves_the_newest_bar_out() {
    let mut windows = windows();
    for minute in 0..60 {
        insert(&mut windows, &(0, minute, 1, if minute == 0 { 6_000 } else { 0 }));
    }
    insert(&mut windows, &(0, 60, 1, 1_000_000));
    let figures = windows.figures(0, Metric::Volume);
    assert_eq!(figures.trailing_average, Some(100.0));
    assert_eq!(figures.window_bars, 60);
    assert_eq!(figures.ratio, Some(10_000.0));
}

/// The original told duplicates by the minute of one symbol.
#[test]
fn a_minute_known_of_one_symbol_is_new_for_another() {
    let mut windows = windows();
    assert_eq!(insert(&mut windows, &(0, 5, 1, 1)), Arrival::New);
    assert_eq!(insert(&mut windows, &(1, 5, 1, 1)), Arrival::New);
    assert_eq!(insert(&mut windows, &(1, 5, 1, 1)), Arrival::Unchanged);
}
