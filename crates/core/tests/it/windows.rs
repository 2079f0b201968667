//! The windows are a function of the set of bars, and their figures are the exact ones.

use crate::oracle::{Exact, Series};
use proptest::prelude::*;
use qqq_core::statistics::window::{Arrival, Values, Windows};
use qqq_core::{Cadence, Metric, Price, Second, Volume};
use std::collections::BTreeMap;

/// (symbol, start in seconds, close, volume)
type Bar = (usize, i64, i64, i64);

/// Bars of so many seconds each.
const LENGTHS: [Cadence; 3] = [Cadence::One, Cadence::Five, Cadence::Sixty];

const SYMBOLS: usize = 3;

fn insert(windows: &mut Windows, &(symbol, start, close, volume): &Bar) -> Arrival {
    let values = Values::new(Price::from_nanos(close).unwrap(), Volume::from_shares(volume).unwrap());
    windows.insert(symbol, Second::from_unix(start), values)
}

fn windows(cadence: Cadence) -> Windows {
    Windows::new(SYMBOLS, cadence, &[7, 720])
}

fn cadence() -> impl Strategy<Value = Cadence> {
    prop::sample::select(&LENGTHS)
}

/// Bars cluster in a few stretches, so that there are dense runs, gaps within the day, and whole days
/// between.
fn start(cadence: Cadence) -> impl Strategy<Value = i64> {
    let stretch =
        prop_oneof![4 => Just(0), 2 => Just(700), 2 => Just(1_380), 1 => Just(1_441), 1 => Just(9_000)];
    (stretch, 0..130_i64)
        .prop_map(move |(minutes, bars)| 29_000_000 * 60 + minutes * 60 + bars * cadence.seconds())
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

fn bars() -> impl Strategy<Value = (Cadence, Vec<Bar>)> {
    cadence().prop_flat_map(|cadence| {
        let bar = (0..SYMBOLS, start(cadence), close(), volume());
        (Just(cadence), prop::collection::vec(bar, 1..400))
    })
}

/// The bars that stand at the end: the last of each (symbol, start).
fn last_of_each(bars: &[Bar]) -> BTreeMap<(i64, usize), Bar> {
    bars.iter().map(|bar| ((bar.1, bar.0), *bar)).collect()
}

fn assert_exact(windows: &Windows, standing: &BTreeMap<(i64, usize), Bar>) {
    for symbol in 0..SYMBOLS {
        let of = |index: fn(&Bar) -> i64| -> Series {
            standing.values().filter(|bar| bar.0 == symbol).map(|bar| (bar.1, index(bar))).collect()
        };
        for (metric, series) in [(Metric::Price, of(|bar| bar.2)), (Metric::Volume, of(|bar| bar.3))] {
            let newest = series.last_key_value().map(|(&start, _)| start);
            assert_eq!(windows.newest(symbol), newest.map(Second::from_unix));
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
        (cadence, bars) in bars(),
        seed in prop::collection::vec(any::<u32>(), 400),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
    ) {
        let standing = last_of_each(&bars);
        let mut in_order = windows(cadence);
        for bar in standing.values() {
            insert(&mut in_order, bar);
        }
        let mut as_given = windows(cadence);
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
        let mut otherwise = windows(cadence);
        for bar in shuffled.iter().chain(&finals).map(|(_, bar)| bar).chain(&repeated) {
            insert(&mut otherwise, bar);
        }
        prop_assert_eq!(&otherwise, &in_order);
    }

    #[test]
    fn figures_are_exact_after_every_bar((cadence, bars) in bars()) {
        let mut windows = windows(cadence);
        for (index, bar) in bars.iter().enumerate() {
            insert(&mut windows, bar);
            if index % 16 == 15 || index + 1 == bars.len() {
                assert_exact(&windows, &last_of_each(&bars[..=index]));
            }
        }
    }

    #[test]
    fn every_trailing_window_is_the_sum_of_its_bars(
        ((cadence, bars), at) in bars().prop_flat_map(|(cadence, bars)| {
            (Just((cadence, bars)), start(cadence))
        }),
        minutes in 1..=720_u16,
    ) {
        let mut windows = windows(cadence);
        for bar in &bars {
            insert(&mut windows, bar);
        }
        let standing = last_of_each(&bars);
        for symbol in 0..SYMBOLS {
            let Some(newest) = windows.newest(symbol) else { continue };
            let latest = newest.unix();
            for (at, minutes) in [(at, minutes), (latest, minutes), (latest, 7), (latest, 720)] {
                let length = i64::from(minutes) * 60;
                let Some(trailing) = windows.trailing(symbol, Second::from_unix(at), minutes) else {
                    prop_assert!(at - length <= latest - 86_400);
                    continue;
                };
                let inside: Vec<&Bar> = standing
                    .values()
                    .filter(|bar| bar.0 == symbol && (at - length..at).contains(&bar.1))
                    .collect();
                prop_assert_eq!(trailing.bars as usize, inside.len());
                let sum = |of: fn(&Bar) -> i64| inside.iter().map(|bar| i128::from(of(bar))).sum::<i128>();
                prop_assert_eq!(trailing.sum(Metric::Price), sum(|bar| bar.2));
                prop_assert_eq!(trailing.sum(Metric::Volume), sum(|bar| bar.3));
            }
        }
    }

    #[test]
    fn a_rescaled_window_is_the_window_of_the_rescaled_bars(
        ((cadence, bars), cut) in bars().prop_flat_map(|(cadence, bars)| {
            (Just((cadence, bars)), start(cadence))
        }),
    ) {
        let halve = |close: i64| (close / 2).max(1);
        let mut rescaled = windows(cadence);
        for bar in last_of_each(&bars).values() {
            insert(&mut rescaled, bar);
        }
        for symbol in 0..SYMBOLS {
            rescaled.rescale(symbol, Second::from_unix(cut), |price, volume| {
                Values::new(Price::from_nanos(halve(price.nanos())).unwrap(), volume)
            });
        }
        let mut direct = windows(cadence);
        for &(symbol, start, close, volume) in last_of_each(&bars).values() {
            let close = if start < cut { halve(close) } else { close };
            insert(&mut direct, &(symbol, start, close, volume));
        }
        prop_assert_eq!(rescaled, direct);
    }
}

/// Runs a test with bars of every length; it counts time in bars.
fn for_each_length(test: impl Fn(&mut Counted)) {
    for cadence in LENGTHS {
        test(&mut Counted { windows: windows(cadence), step: cadence.seconds() });
    }
}

struct Counted {
    windows: Windows,
    step: i64,
}

impl Counted {
    fn insert(&mut self, symbol: usize, bar: i64, close: i64, volume: i64) -> Arrival {
        insert(&mut self.windows, &(symbol, bar * self.step, close, volume))
    }

    /// Bars of this long.
    fn bars_of(&self, minutes: i64) -> i64 {
        minutes * 60 / self.step
    }
}

#[test]
fn arrivals_are_told_apart() {
    for_each_length(|counted| {
        let old = Values::new(Price::from_nanos(5).unwrap(), Volume::ZERO);
        let day = counted.bars_of(1_440);
        assert_eq!(counted.insert(0, 100_000, 5, 0), Arrival::New);
        assert_eq!(counted.insert(0, 100_002, 5, 0), Arrival::New);
        assert_eq!(counted.insert(0, 100_001, 5, 0), Arrival::Late);
        assert_eq!(counted.insert(0, 100_001, 5, 0), Arrival::Unchanged);
        assert_eq!(counted.insert(0, 100_001, 6, 0), Arrival::Revised(old));
        assert_eq!(counted.insert(0, 100_002 - day, 5, 0), Arrival::TooOld);
        assert_eq!(counted.insert(0, 100_003 - day, 5, 0), Arrival::Late);
        assert_eq!(counted.insert(1, 100_002 - day, 5, 0), Arrival::New);
    });
}

/// pandas #28244, #52407 and polars #21677 among others: one wild value poisons floating-point windows for
/// ever. Here it leaves no trace.
#[test]
fn a_wild_value_leaves_no_trace_once_it_left_the_window() {
    for_each_length(|counted| {
        counted.insert(0, 0, 9_000_000_000_000_000, 1_000_000_000_000);
        for bar in 1..=counted.bars_of(1_500) {
            counted.insert(0, bar, 100_000_000_000, 7);
        }
        for metric in Metric::ALL {
            let figures = counted.windows.figures(0, metric);
            assert_eq!((figures.stdev, figures.relative_stdev), (Some(0.0), Some(0.0)));
        }
    });
}

/// The largest values there are, as far apart as they can be, at every bar of more than a day: no sum and no
/// square of the windows may overflow.
#[test]
fn the_widest_values_are_exact_over_a_whole_day() {
    for_each_length(|counted| {
        let (low, high, most) = (1, 9_000_000_000_000_000, 1_000_000_000_000);
        let bars = counted.bars_of(1_445);
        let value = |bar: i64, low: i64, high: i64| if bar % 2 == 0 { low } else { high };
        let mut series: [Series; 2] = Default::default();
        for bar in 0..bars {
            let (close, volume) = (value(bar, low, high), value(bar, 0, most));
            counted.insert(0, bar, close, volume);
            for (series, value) in series.iter_mut().zip([close, volume]) {
                series.insert(bar * counted.step, value);
            }
        }
        for (metric, series) in Metric::ALL.into_iter().zip(&series) {
            let figures = counted.windows.figures(0, metric);
            Exact::at(series, (bars - 1) * counted.step, metric.units()).assert_matches(&figures, "widest");
        }
    });
}

/// The original took the deviation of the levels: a steady climb has a large one, and none of its changes.
#[test]
fn the_deviation_is_of_the_changes_not_of_the_levels() {
    for_each_length(|counted| {
        for bar in 0..100 {
            counted.insert(0, bar, 1_000_000_000 * (bar + 1), 10);
        }
        assert_eq!(counted.windows.figures(0, Metric::Price).stdev, Some(0.0));
    });
}

/// The original took the median for the mean.
#[test]
fn the_trailing_average_is_a_mean_and_leaves_the_newest_bar_out() {
    for_each_length(|counted| {
        let hour = counted.bars_of(60);
        for bar in 0..hour {
            counted.insert(0, bar, 1, if bar == 0 { 100 * hour } else { 0 });
        }
        counted.insert(0, hour, 1, 1_000_000);
        let figures = counted.windows.figures(0, Metric::Volume);
        assert_eq!(figures.trailing_average, Some(100.0));
        assert_eq!(i64::from(figures.window_bars), hour);
        assert_eq!(figures.ratio, Some(10_000.0));
    });
}

/// The original told duplicates by the minute of one symbol.
#[test]
fn a_time_known_of_one_symbol_is_new_for_another() {
    for_each_length(|counted| {
        assert_eq!(counted.insert(0, 5, 1, 1), Arrival::New);
        assert_eq!(counted.insert(1, 5, 1, 1), Arrival::New);
        assert_eq!(counted.insert(1, 5, 1, 1), Arrival::Unchanged);
    });
}
