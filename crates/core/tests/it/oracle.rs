//! Contract section 2 once more, the slow way: from scratch at every bar, in rationals, sharing nothing
//! with the code under test but the numbers that go in.

use num_rational::BigRational;
use num_traits::ToPrimitive as _;
use old_bigint::BigInt;
use qqq_core::{Alert, Bar, Figures, Metric, Price};
use std::collections::BTreeMap;

/// Values by start, seconds: one metric of one symbol. A bar that does not tell it is not there.
pub(crate) type Series = BTreeMap<i64, i128>;

/// What contract section 8 says a metric is, of bars by start.
pub(crate) fn series(metric: Metric, bars: &BTreeMap<i64, Bar>) -> Series {
    bars.keys().filter_map(|&at| Some((at, value(metric, bars, at)?))).collect()
}

/// The same of one of them.
pub(crate) fn value(metric: Metric, bars: &BTreeMap<i64, Bar>, at: i64) -> Option<i128> {
    let nanos = |price: Price| i128::from(price.nanos());
    let bar = &bars[&at];
    match metric {
        Metric::Price => Some(nanos(bar.close)),
        Metric::Volume => Some(i128::from(bar.volume.shares())),
        Metric::Trades => bar.trades.map(i128::from),
        Metric::Range => Some(nanos(bar.high) - nanos(bar.low)),
        Metric::Return => {
            let before = bars.range(at - DAY..at).next_back();
            before.map(|(_, before)| (nanos(bar.close) - nanos(before.close)).abs())
        }
        Metric::Notional => {
            let mean = match bar.vwap {
                Some(vwap) => rational(nanos(vwap)),
                None => rational(nanos(bar.high) + nanos(bar.low) + nanos(bar.close)) / rational(3),
            };
            // A third is never half-way, so this is half to even.
            (rational(bar.volume.shares().into()) * mean).round().to_integer().to_i128()
        }
    }
}

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

fn rational(value: i128) -> BigRational {
    BigRational::from_integer(BigInt::from(value))
}

/// The exact figures at the newest bar of a series.
pub(crate) struct Exact {
    /// Square of the standard deviation.
    variance: Option<BigRational>,
    mean: Option<BigRational>,
    average: Option<BigRational>,
    newest: Option<BigRational>,
    window_bars: usize,
    unit: BigRational,
}

impl Exact {
    /// Computes them for the bar at `t`, which must be the newest known, whether or not it tells the metric.
    pub(crate) fn at(series: &Series, t: i64, unit: i64) -> Self {
        let day: Vec<i128> = series.range(t - DAY + 1..=t).map(|(_, &value)| value).collect();
        let changes: Vec<i128> = day.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let n = changes.len() as i128;
        let variance = (n >= 2).then(|| {
            let mean = rational(changes.iter().sum()) / rational(n);
            // Sum of (x - mean)^2, expanded so that the sums stay integers: exact all the same.
            let squares: BigInt = changes.iter().map(|&change| BigInt::from(change) * change).sum();
            (BigRational::from_integer(squares) - mean.clone() * mean * rational(n)) / rational(n - 1)
        });
        let trailing: Vec<i128> = series.range(t - HOUR..t).map(|(_, &value)| value).collect();
        let mean_of = |values: &[i128]| {
            (!values.is_empty()).then(|| rational(values.iter().sum()) / rational(values.len() as i128))
        };
        Self {
            variance,
            mean: mean_of(&day),
            average: mean_of(&trailing),
            newest: series.get(&t).map(|&value| rational(value)),
            window_bars: trailing.len(),
            unit: rational(i128::from(unit)),
        }
    }

    /// Panics unless `figures` are these, to 1e-12 relative.
    pub(crate) fn assert_matches(&self, figures: &Figures, place: &str) {
        let zero = rational(0);
        let unit = &self.unit;
        let square = |x: &BigRational| x * x;
        assert_close_root(figures.stdev, self.variance.as_ref().map(|v| v / square(unit)), place, "stdev");
        let relative = match (&self.variance, &self.mean) {
            (Some(variance), Some(mean)) if *mean != zero => Some(variance / square(mean)),
            _ => None,
        };
        assert_close_root(figures.relative_stdev, relative, place, "relative_stdev");
        assert_close(figures.trailing_average, self.average.as_ref().map(|a| a / unit), place, "average");
        let average = self.average.as_ref().filter(|average| **average != zero);
        let ratio = self.newest.as_ref().zip(average).map(|(newest, average)| newest / average);
        assert_close(figures.ratio, ratio, place, "ratio");
        assert_eq!(figures.window_bars as usize, self.window_bars, "{place}: window_bars");
    }
}

/// |x - exact| <= 1e-12 |exact|, decided in rationals.
fn assert_close(x: Option<f64>, exact: Option<BigRational>, place: &str, what: &str) {
    let (Some(x), Some(exact)) = (x, &exact) else {
        assert_eq!(x.is_some(), exact.is_some(), "{place}: {what} is there, or should be");
        return;
    };
    let x = BigRational::from_float(x).unwrap();
    let error = if x > *exact { &x - exact } else { exact - &x };
    let tolerance = exact / rational(1_000_000_000_000);
    let tolerance = if tolerance < rational(0) { -tolerance } else { tolerance };
    assert!(error <= tolerance, "{place}: {what} is {x} and should be {exact}");
}

/// The same for a square root whose square is known exactly.
fn assert_close_root(x: Option<f64>, square: Option<BigRational>, place: &str, what: &str) {
    let (Some(x), Some(square)) = (x, &square) else {
        assert_eq!(x.is_some(), square.is_some(), "{place}: {what} is there, or should be");
        return;
    };
    let x = BigRational::from_float(x).unwrap();
    assert!(x >= rational(0), "{place}: {what} is negative");
    let part = rational(1) / rational(1_000_000_000_000);
    let (low, high) = (&x * (rational(1) - &part), &x * (rational(1) + &part));
    assert!(
        &low * &low <= *square && *square <= &high * &high,
        "{place}: {what} is {x}, its square should be {square}"
    );
}

/// An alert as the literal rule gives it.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct Spike {
    pub(crate) start: i64,
    pub(crate) value: i128,
    pub(crate) occurrences: usize,
    pub(crate) peak: i128,
}

impl From<&Alert> for Spike {
    fn from(alert: &Alert) -> Self {
        let (start, value) = (alert.start.unix(), alert.value);
        Self { start, value, occurrences: alert.count(), peak: alert.peak() }
    }
}

/// Walks a series in order: at least three times the mean of the sixty minutes before, at least so many bars
/// in them, one alert per cool-down of so many seconds.
pub(crate) fn spikes(series: &Series, least: u32, cooldown: i64) -> Vec<Spike> {
    let mut spikes: Vec<Spike> = Vec::new();
    for (&t, &value) in series {
        let window: Vec<i128> = series.range(t - HOUR..t).map(|(_, &value)| value).collect();
        let (bars, sum) = (window.len() as i128, window.iter().sum::<i128>());
        if bars < i128::from(least) || sum == 0 || value * bars < 3 * sum {
            continue;
        }
        match spikes.last_mut() {
            Some(open) if t < open.start + cooldown => {
                open.occurrences += 1;
                open.peak = open.peak.max(value);
            }
            _ => spikes.push(Spike { start: t, value, occurrences: 1, peak: value }),
        }
    }
    spikes
}
