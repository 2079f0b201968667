//! The windows are a function of the set of bars, and their figures are the exact ones.

use crate::oracle::{Exact, Series, series};
use old_bigint::BigInt;
use proptest::prelude::*;
use qqq_core::statistics::window::{Arrival, Windows};
use qqq_core::{Bar, Cadence, Metric, MetricSet, Price, Second, Volume};
use std::collections::BTreeMap;

/// A bar of the symbol of an index.
type Given = (usize, Bar);

/// Bars of so many seconds each.
const LENGTHS: [Cadence; 3] = [Cadence::One, Cadence::Five, Cadence::Sixty];

const SYMBOLS: usize = 3;

/// A bar as flat as its close. `start` in seconds.
fn flat(start: i64, close: i64, volume: i64) -> Bar {
    let price = Price::from_nanos(close).unwrap();
    let shares = Volume::from_shares(volume).unwrap();
    Bar { volume: shares, ..qqq_testkit::bars::flat("TEST", Second::from_unix(start), price, 0) }
}

fn insert(windows: &mut Windows, (symbol, bar): &Given) -> Arrival {
    windows.insert(*symbol, bar)
}

fn every() -> MetricSet {
    Metric::ALL.into_iter().collect()
}

fn windows(cadence: Cadence) -> Windows {
    Windows::new(SYMBOLS, cadence, every(), &[7, 720])
}

fn cadence() -> impl Strategy<Value = Cadence> {
    prop::sample::select(&LENGTHS)
}

/// Bars cluster in a few stretches, so that there are dense runs, gaps within the day, and whole days
/// between: of exactly one, too.
fn start(cadence: Cadence) -> impl Strategy<Value = i64> {
    let stretch = prop_oneof![
        4 => Just(0), 2 => Just(700), 2 => Just(1_380), 1 => Just(1_441), 1 => Just(2_100), 1 => Just(9_000)
    ];
    (stretch, 0..130_i64)
        .prop_map(move |(minutes, bars)| 29_000_000 * 60 + minutes * 60 + bars * cadence.seconds())
}

fn price() -> impl Strategy<Value = i64> {
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

/// A bar that tells everything, or some of it.
fn bar(cadence: Cadence) -> impl Strategy<Value = Given> {
    let told = (prop::option::weighted(0.8, price()), prop::option::weighted(0.8, 0..50_000_u32));
    (0..SYMBOLS, start(cadence), [price(), price(), price()], volume(), told).prop_map(
        |(symbol, start, [close, high, low], volume, (vwap, trades))| {
            let price = |nanos| Price::from_nanos(nanos).unwrap();
            let (high, low) = (price(high.max(close)), price(low.min(close)));
            let vwap = vwap.map(price);
            (symbol, Bar { high, low, vwap, trades, ..flat(start, close, volume) })
        },
    )
}

fn bars() -> impl Strategy<Value = (Cadence, Vec<Given>)> {
    cadence().prop_flat_map(|cadence| (Just(cadence), prop::collection::vec(bar(cadence), 1..400)))
}

/// The bars that stand at the end: the last of each (symbol, start).
fn last_of_each(bars: &[Given]) -> BTreeMap<(i64, usize), Given> {
    bars.iter().map(|given| ((given.1.start.unix(), given.0), *given)).collect()
}

/// Those of one symbol.
fn of_symbol(standing: &BTreeMap<(i64, usize), Given>, symbol: usize) -> BTreeMap<i64, Bar> {
    let own = standing.values().filter(|given| given.0 == symbol);
    own.map(|(_, bar)| (bar.start.unix(), *bar)).collect()
}

fn assert_exact(windows: &Windows, standing: &BTreeMap<(i64, usize), Given>) {
    for symbol in 0..SYMBOLS {
        let bars = of_symbol(standing, symbol);
        let newest = bars.last_key_value().map(|(&start, _)| start);
        assert_eq!(windows.newest(symbol), newest.map(Second::from_unix));
        let Some(newest) = newest else { continue };
        for metric in Metric::ALL {
            let series = series(metric, &bars);
            let figures = windows.figures(symbol, metric);
            let place = format!("symbol {symbol} {metric} at {newest}");
            Exact::at(&series, newest, metric.units()).assert_matches(&figures, &place);
            let value = windows.value(symbol, Second::from_unix(newest), metric);
            assert_eq!(value, series.get(&newest).copied(), "{place}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

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
        let mut shuffled: Vec<(u32, Given)> = seed.iter().copied().zip(bars.iter().copied()).collect();
        shuffled.sort_by_key(|(place, _)| *place);
        let last = standing.values().copied();
        let mut finals: Vec<(u32, Given)> = seed.iter().rev().copied().zip(last).collect();
        finals.sort_by_key(|(place, _)| *place);
        let repeated: Vec<Given> = repeats.iter().map(|index| finals[index.index(finals.len())].1).collect();
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
                for metric in Metric::ALL {
                    let trailing = windows.trailing(symbol, Second::from_unix(at), minutes, metric);
                    let Some(trailing) = trailing else {
                        prop_assert!(at - length <= latest - 86_400);
                        continue;
                    };
                    let series = series(metric, &of_symbol(&standing, symbol));
                    let inside: Vec<i128> = series.range(at - length..at).map(|(_, &value)| value).collect();
                    prop_assert_eq!(trailing.bars as usize, inside.len());
                    prop_assert_eq!(trailing.sum, inside.iter().sum::<i128>());
                    let moments = windows.moments(symbol, Second::from_unix(at), minutes, metric);
                    let (sum, squares, bars) = moments.unwrap();
                    prop_assert_eq!((sum, bars), (trailing.sum, trailing.bars));
                    let squared = |&one: &i128| BigInt::from(one).pow(2);
                    let exact: BigInt = inside.iter().map(squared).sum();
                    prop_assert_eq!(squares.to_string(), exact.to_string());
                }
            }
        }
    }

    /// What is not tracked changes nothing of what is.
    #[test]
    fn a_metric_is_the_same_whatever_else_is_tracked((cadence, bars) in bars()) {
        let mut all = windows(cadence);
        let mut two = Windows::new(SYMBOLS, cadence, MetricSet::ALWAYS, &[7, 720]);
        for bar in &bars {
            let (of_all, of_two) = (insert(&mut all, bar), insert(&mut two, bar));
            // What only a further metric tells is no change to the others.
            if !matches!(of_all, Arrival::Revised(_)) {
                prop_assert_eq!(of_all, of_two);
            }
        }
        for symbol in 0..SYMBOLS {
            for metric in [Metric::Price, Metric::Volume] {
                prop_assert_eq!(all.figures(symbol, metric), two.figures(symbol, metric));
            }
            prop_assert_eq!(two.further_figures(symbol), []);
            prop_assert_eq!(two.figures(symbol, Metric::Range), qqq_core::Figures::default());
        }
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
        insert(&mut self.windows, &(symbol, flat(bar * self.step, close, volume)))
    }

    /// Bars of this long.
    fn bars_of(&self, minutes: i64) -> i64 {
        minutes * 60 / self.step
    }
}

#[test]
fn arrivals_are_told_apart() {
    for_each_length(|counted| {
        let revised = |metrics: &[Metric]| Arrival::Revised(metrics.iter().copied().collect());
        let day = counted.bars_of(1_440);
        assert_eq!(counted.insert(0, 100_000, 5, 0), Arrival::New);
        assert_eq!(counted.insert(0, 100_002, 5, 0), Arrival::New);
        assert_eq!(counted.insert(0, 100_001, 5, 0), Arrival::Late);
        assert_eq!(counted.insert(0, 100_001, 5, 0), Arrival::Unchanged);
        // Its change from the bar before is another, and so are its dollars once it has shares.
        assert_eq!(counted.insert(0, 100_001, 6, 0), revised(&[Metric::Price, Metric::Return]));
        assert_eq!(counted.insert(0, 100_001, 6, 9), revised(&[Metric::Volume, Metric::Notional]));
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
        for metric in [Metric::Price, Metric::Volume, Metric::Notional] {
            let figures = counted.windows.figures(0, metric);
            assert_eq!((figures.stdev, figures.relative_stdev), (Some(0.0), Some(0.0)), "{metric}");
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
        let mut given = BTreeMap::new();
        for bar in 0..bars {
            let (close, volume) = (value(bar, low, high), value(bar, 0, most));
            let at = bar * counted.step;
            counted.insert(0, bar, close, volume);
            given.insert(at, flat(at, close, volume));
        }
        for metric in Metric::ALL {
            let figures = counted.windows.figures(0, metric);
            let series: Series = series(metric, &given);
            Exact::at(&series, (bars - 1) * counted.step, metric.units()).assert_matches(&figures, "widest");
        }
    });
}

/// A correction may take away what a bar told, or tell it for the first time.
#[test]
fn what_a_correction_tells_no_more_is_gone() {
    let told = |start: i64, trades: Option<u32>| (0, Bar { trades, ..flat(start * 60, 1_000, 10) });
    let mut windows = windows(Cadence::Sixty);
    for (start, trades) in [(0, Some(3)), (1, None), (2, Some(5)), (3, Some(4)), (4, Some(9))] {
        insert(&mut windows, &told(start, trades));
    }
    assert_eq!(windows.figures(0, Metric::Trades).trailing_average, Some(4.0));
    let trades = || Arrival::Revised(MetricSet::NONE.with(Metric::Trades));
    for (start, told_now, average, value) in [
        (2, None, 3.5, Some(9)),
        (4, None, 3.5, None),
        (1, Some(5), 4.0, None),
        (0, None, 4.5, None),
        (4, Some(9), 4.5, Some(9)),
    ] {
        assert_eq!(insert(&mut windows, &told(start, told_now)), trades());
        let figures = windows.figures(0, Metric::Trades);
        assert_eq!(figures.trailing_average, Some(average));
        assert_eq!(windows.value(0, Second::from_unix(240), Metric::Trades), value);
        assert_eq!(figures.ratio.is_some(), value.is_some());
    }
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
