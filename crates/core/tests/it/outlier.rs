//! What is not believed at once, and that nothing real is among it.

use crate::week::week;
use proptest::prelude::*;
use qqq_core::statistics::outlier::{Admission, OutlierFilter};
use qqq_core::statistics::window::Windows;
use qqq_core::{Bar, Cadence, Metric, MetricSet, Second, Symbol};
use qqq_testkit::bars::{cents, flat};
use std::collections::BTreeMap;

/// A filter in front of windows of one symbol.
struct Filtered {
    filter: OutlierFilter,
    windows: Windows,
}

impl Filtered {
    fn new() -> Self {
        Self {
            filter: OutlierFilter::default(),
            windows: Windows::new(1, Cadence::default(), MetricSet::ALWAYS, &[]),
        }
    }

    /// The minutes that were taken, or what was quarantined for.
    fn admit(&mut self, bar: Bar) -> Result<Vec<i32>, Metric> {
        match self.filter.admit(0, &bar, &self.windows) {
            Admission::Taken { confirmed } => {
                let taken: Vec<Bar> = confirmed.into_iter().chain([bar]).collect();
                for bar in &taken {
                    self.windows.insert(0, bar);
                }
                Ok(taken.iter().map(|bar| bar.start.minute()).collect())
            }
            Admission::Quarantined(metric) => Err(metric),
        }
    }

    fn calm() -> Self {
        let mut filtered = Self::new();
        for minute in 0..60 {
            assert_eq!(filtered.admit(bar(minute, 100, 1_000)), Ok(vec![minute]));
        }
        filtered
    }
}

fn bar(minute: i32, dollars: i64, shares: i64) -> Bar {
    flat("AAPL", Second::from_minute(minute), cents(100 * dollars), shares)
}

const TRILLION: i64 = 1_000_000_000_000;

#[test]
fn a_phantom_waits_for_another_minute_however_often_it_is_told() {
    for (phantom, metric) in [
        (bar(60, 100, TRILLION), Metric::Volume),
        (bar(60, 100, 1_000_000_001), Metric::Volume),
        (bar(60, 5_000, 1_000), Metric::Price),
        (bar(60, 2, 1_000), Metric::Price),
    ] {
        let mut filtered = Filtered::calm();
        for _ in 0..5 {
            assert_eq!(filtered.admit(phantom), Err(metric), "{phantom:?}");
        }
        assert_eq!(filtered.admit(bar(61, 100, 1_000)), Ok(vec![61]), "the next bar refutes it");
        assert_eq!(filtered.admit(phantom), Err(metric), "and does not confirm it");
        // Told again as a correction, it waits as well.
        assert_eq!(filtered.admit(bar(60, 100, 1_000)), Ok(vec![60]));
        assert_eq!(filtered.admit(phantom), Err(metric));
        assert_eq!(filtered.admit(Bar { start: Second::from_minute(62), ..phantom }), Ok(vec![60, 62]));
    }
}

#[test]
fn a_stock_may_rise_a_thousand_times_and_a_coin_has_volumes_of_its_own() {
    let mut filtered = Filtered::calm();
    assert_eq!(filtered.admit(bar(60, 100, 1_000_000)), Ok(vec![60]), "a thousand times");
    assert_eq!(filtered.admit(bar(61, 100, 1_000_000_000)), Ok(vec![61]), "a million times");
    // What trades by the billion is told from a phantom by its own day.
    let mut coin = Filtered::new();
    assert_eq!(coin.admit(bar(0, 1, 20_000_000_000)), Err(Metric::Volume), "nothing is known of it yet");
    assert_eq!(coin.admit(bar(1, 1, 9_000_000_000)), Ok(vec![0, 1]));
    assert_eq!(coin.admit(bar(2, 1, 400_000_000_000)), Ok(vec![2]));
}

#[test]
fn no_bar_of_a_real_week_is_quarantined() {
    let Some(week) = week() else { return };
    let mut by_symbol: BTreeMap<Symbol, Filtered> = BTreeMap::new();
    for bar in week {
        let filtered = by_symbol.entry(bar.symbol).or_insert_with(Filtered::new);
        assert_eq!(filtered.admit(bar), Ok(vec![bar.start.minute()]), "{bar:?}");
    }
}

proptest! {
    /// Below a billion shares, and within fifty times of the price, whatever comes is taken at once.
    #[test]
    fn nothing_that_can_be_real_is_held_back(
        bars in prop::collection::vec((1_i64..=49, 0..=1_000_000_000_i64), 1..80),
    ) {
        let mut filtered = Filtered::new();
        for (minute, (dollars, shares)) in bars.into_iter().enumerate() {
            let minute = minute as i32;
            prop_assert_eq!(filtered.admit(bar(minute, dollars, shares)), Ok(vec![minute]));
        }
    }
}
