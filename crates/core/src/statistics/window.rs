//! Exact time windows over bars: the last 24 hours and the trailing hour of every symbol, by metric.
//!
//! Price and volume, which every bar has, lie side by side in one lane; each further metric that is tracked
//! has a lane of its own, and what is not tracked costs nothing. A bar that does not tell a metric is a gap
//! in its lane: for that metric there is nothing at that time.

use super::lane::{DAY, Lane, Met};
use super::sums::Number as _;
use crate::market::cadence::Cadence;
use crate::market::metric::{Metric, MetricSet, Reading, change_of};
use crate::market::time::Second;
use crate::statistics::Figures;
use crate::{Bar, Price};
use ethnum::U256;
use std::fmt;
use std::ops::Range;

pub use super::lane::TRAILING;

/// How a bar met the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Newer than every bar before it.
    New,
    /// Of an earlier time that had no bar.
    Late,
    /// Of a time that had another one: these of its metrics were others.
    Revised(MetricSet),
    /// Of a time that had the same values.
    Unchanged,
    /// A day or more older than the newest bar: outside every window.
    TooOld,
}

/// Number and sum of the values in a trailing window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trailing {
    /// Bars in it that tell the metric.
    pub bars: u32,
    /// Of their values, in the metric's integer units.
    pub sum: i128,
}

/// Close and volume of every bar: a close is never 0, so that zeros are a gap as they are.
type Pair = Lane<i64, 2, 0>;

/// A further metric.
#[derive(Clone, PartialEq)]
struct Further {
    metric: Metric,
    values: Values,
}

/// The values of a further metric, as wide as they get.
#[derive(Clone, PartialEq)]
enum Values {
    Narrow(Lane<i64, 1, 1>),
    Wide(Lane<i128, 1, 1>),
}

/// Does the same with the lane of either width.
macro_rules! with_lane {
    ($values:expr, $lane:ident => $then:expr) => {
        match $values {
            Values::Narrow($lane) => $then,
            Values::Wide($lane) => $then,
        }
    };
}

/// The windows of a fixed number of symbols, known by dense ids from 0.
///
/// Two are equal when they hold the same bars, whatever the way these came in: no trace of it is kept.
#[derive(Clone, PartialEq)]
pub struct Windows {
    pair: Pair,
    further: Vec<Further>,
    /// By symbol, the newest bar that is a day or more older than its newest: what the oldest bar of the
    /// windows changed from. Kept where a metric looks at the bar before.
    departed: Option<Vec<Option<(i64, i64)>>>,
}

impl fmt::Debug for Windows {
    /// What is tracked; the cells would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windows").field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}

impl Windows {
    /// Makes empty windows for `symbols` symbols whose bars come at `cadence`: of price, volume and whatever
    /// else of `metrics`; with further trailing windows of these lengths in minutes (at most
    /// [`SpikeRule::MAX_WINDOW`](crate::SpikeRule::MAX_WINDOW)) beside the statistics' hour.
    pub fn new(symbols: usize, cadence: Cadence, metrics: MetricSet, further: &[u16]) -> Self {
        let is_further = |metric: &Metric| !MetricSet::ALWAYS.contains(*metric);
        let lane = |metric: Metric| {
            let values = if metric.is_wide() {
                Values::Wide(Lane::new(symbols, cadence, further))
            } else {
                Values::Narrow(Lane::new(symbols, cadence, further))
            };
            Further { metric, values }
        };
        let looks_back = metrics.iter().any(Metric::looks_back);
        Self {
            pair: Lane::new(symbols, cadence, further),
            further: metrics.iter().filter(is_further).map(lane).collect(),
            departed: looks_back.then(|| vec![None; symbols]),
        }
    }

    /// What is tracked.
    pub fn metrics(&self) -> MetricSet {
        self.further.iter().fold(MetricSet::ALWAYS, |all, one| all.with(one.metric))
    }

    /// How many metrics are tracked beside price and volume.
    #[inline]
    pub fn further(&self) -> usize {
        self.further.len()
    }

    /// How far before its newest bar a symbol's bars must be let in for the windows to be what they were, in
    /// seconds.
    pub fn reach(&self) -> i64 {
        self.metrics().reach()
    }

    /// Lets a bar in, wherever in time it belongs, and says how it met the windows. O(1), but for gaps. It
    /// [starts](Cadence::starts) where bars do.
    #[inline]
    pub fn insert(&mut self, symbol: usize, bar: &Bar) -> Arrival {
        if !self.further.is_empty() {
            return self.insert_all(symbol, bar);
        }
        let values = [bar.close.nanos(), bar.volume.shares()];
        arrival(self.pair.insert(symbol, bar.start.unix(), Some(values)), values)
    }

    #[inline(never)]
    fn insert_all(&mut self, symbol: usize, bar: &Bar) -> Arrival {
        let at = bar.start.unix();
        let before = self.pair.newest(symbol).zip(self.pair.last(symbol));
        if self.departed.is_some() {
            self.depart(symbol, at, bar.close);
        }
        let values = [bar.close.nanos(), bar.volume.shares()];
        let met = self.pair.insert(symbol, at, Some(values));
        let mut changed = MetricSet::NONE;
        for index in 0..self.further.len() {
            let metric = self.further[index].metric;
            let value = match metric.reading() {
                Reading::Close | Reading::Volume => continue,
                Reading::Amount(of) | Reading::Level(of) => of(bar),
                // By far most bars are the newest.
                Reading::Change if met == Met::New => {
                    before.and_then(|(before, [close, _])| change_of((before, close), (at, values[0])))
                }
                Reading::Change => {
                    self.amend_change_after(symbol, index, at);
                    self.change(symbol, at)
                }
            };
            if let Met::Late | Met::Revised(_) = self.further[index].insert(symbol, at, value) {
                changed = changed.with(metric);
            }
        }
        match arrival(met, values) {
            Arrival::Unchanged if !changed.is_empty() => Arrival::Revised(changed),
            Arrival::Revised(pair) => Arrival::Revised(changed.iter().fold(pair, MetricSet::with)),
            other => other,
        }
    }

    /// The newest bar's start.
    #[inline]
    pub fn newest(&self, symbol: usize) -> Option<Second> {
        self.pair.newest(symbol).map(Second::from_unix)
    }

    /// The value of one metric of the bar of a time in the window: 1e-9 dollars, shares, trades.
    #[inline]
    pub fn value(&self, symbol: usize, start: Second, metric: Metric) -> Option<i128> {
        let at = start.unix();
        let is_newest = self.pair.newest(symbol) == Some(at);
        match self.place(metric) {
            Place::Pair(value) => {
                let pair = if is_newest { self.pair.last(symbol) } else { self.pair.values(symbol, at) };
                pair.map(|pair| pair[value].into())
            }
            Place::Further(values) => with_lane!(values, lane => {
                let found = if is_newest { lane.last(symbol) } else { lane.values(symbol, at) };
                found.map(|[value]| value.wide())
            }),
            Place::Nowhere => None,
        }
    }

    /// The trailing window before `start` of one metric: bars with `start - minutes <= bar < start`. `None`
    /// where it reaches back further than a day before the newest bar, so that its content is not known.
    #[inline(always)]
    pub fn trailing(&self, symbol: usize, start: Second, minutes: u16, metric: Metric) -> Option<Trailing> {
        let at = start.unix();
        let (sum, bars) = match metric.reading() {
            Reading::Close => self.pair.trailing(symbol, at, minutes, 0)?,
            Reading::Volume => self.pair.trailing(symbol, at, minutes, 1)?,
            Reading::Amount(_) | Reading::Level(_) | Reading::Change => {
                let values = self.lane_of(metric)?;
                with_lane!(values, lane => lane.trailing(symbol, at, minutes, 0)?)
            }
        };
        Some(Trailing { bars, sum })
    }

    /// Of the further metric at a place: its value at the newest bar, where that tells it, and the trailing
    /// window before.
    #[inline]
    pub fn newest_of(&self, place: usize, symbol: usize, minutes: u16) -> Option<(Metric, i128, Trailing)> {
        let Further { metric, values } = self.further.get(place)?;
        let (value, (sum, bars)) = with_lane!(values, lane => {
            let [value] = lane.last(symbol)?;
            (value.wide(), lane.trailing(symbol, lane.newest(symbol)?, minutes, 0)?)
        });
        Some((*metric, value, Trailing { bars, sum }))
    }

    /// Sum, sum of squares and number of the values in the trailing window before `start`, of one metric.
    /// `None` like [`trailing`](Self::trailing). Looks at every bar.
    pub fn moments(
        &self,
        symbol: usize,
        start: Second,
        minutes: u16,
        metric: Metric,
    ) -> Option<(i128, U256, u32)> {
        let from = start.plus_minutes(-i32::from(minutes));
        if !self.pair.knows(symbol, from.unix()) {
            return None;
        }
        let range = from.unix()..start.unix();
        Some(match self.place(metric) {
            Place::Pair(value) => {
                moments(self.pair.values_in(symbol, range).map(|(_, pair)| pair[value].into()))
            }
            Place::Further(values) => with_lane!(values, lane => {
                moments(lane.values_in(symbol, range).map(|(_, [value])| value.wide()))
            }),
            Place::Nowhere => return None,
        })
    }

    /// The newest value of one metric in a range of time. `None` where none of the day before the newest bar
    /// is in it.
    pub fn newest_in(&self, symbol: usize, range: Range<Second>, metric: Metric) -> Option<(Second, i128)> {
        let range = range.start.unix()..range.end.unix();
        let (at, value) = match self.place(metric) {
            Place::Pair(value) => {
                self.pair.values_in(symbol, range).next_back().map(|(at, pair)| (at, pair[value].into()))
            }
            Place::Further(values) => with_lane!(values, lane => {
                lane.values_in(symbol, range).next_back().map(|(at, [value])| (at, value.wide()))
            }),
            Place::Nowhere => None,
        }?;
        Some((Second::from_unix(at), value))
    }

    /// The values of one metric before `start` in the window, newest first.
    pub fn before(
        &self,
        symbol: usize,
        start: Second,
        metric: Metric,
    ) -> Box<dyn Iterator<Item = (Second, i128)> + '_> {
        let range = i64::MIN..start.unix();
        let timed = |(at, value): (i64, i128)| (Second::from_unix(at), value);
        match self.place(metric) {
            Place::Pair(value) => {
                let values = self.pair.values_in(symbol, range).rev();
                Box::new(values.map(move |(at, pair)| timed((at, pair[value].into()))))
            }
            Place::Further(values) => with_lane!(values, lane => {
                let values = lane.values_in(symbol, range).rev();
                Box::new(values.map(move |(at, [value])| timed((at, value.wide()))))
            }),
            Place::Nowhere => Box::new(std::iter::empty()),
        }
    }

    /// The figures of contract section 2 for one metric at the newest bar; all absent without one.
    #[inline(always)]
    pub fn figures(&self, symbol: usize, metric: Metric) -> Figures {
        match metric.reading() {
            Reading::Close => self.pair.figures(symbol, 0, metric.units()),
            Reading::Volume => self.pair.figures(symbol, 1, metric.units()),
            Reading::Amount(_) | Reading::Level(_) | Reading::Change => {
                let figures =
                    |values: &Values| with_lane!(values, lane => lane.figures(symbol, 0, metric.units()));
                self.lane_of(metric).map(figures).unwrap_or_default()
            }
        }
    }

    /// The figures of every further metric.
    #[inline]
    pub fn further_figures(&self, symbol: usize) -> Vec<(Metric, Figures)> {
        if self.further.is_empty() { Vec::new() } else { self.all_further_figures(symbol) }
    }

    #[inline(never)]
    fn all_further_figures(&self, symbol: usize) -> Vec<(Metric, Figures)> {
        let figures = |Further { metric, values }: &Further| {
            (*metric, with_lane!(values, lane => lane.figures(symbol, 0, metric.units())))
        };
        self.further.iter().map(figures).collect()
    }

    /// Forgets everything about a symbol.
    pub fn clear(&mut self, symbol: usize) {
        self.pair.clear(symbol);
        for one in &mut self.further {
            with_lane!(&mut one.values, lane => lane.clear(symbol));
        }
        if let Some(departed) = &mut self.departed {
            departed[symbol] = None;
        }
    }

    fn place(&self, metric: Metric) -> Place<'_> {
        match metric.reading() {
            Reading::Close => Place::Pair(0),
            Reading::Volume => Place::Pair(1),
            Reading::Amount(_) | Reading::Level(_) | Reading::Change => {
                self.lane_of(metric).map_or(Place::Nowhere, Place::Further)
            }
        }
    }

    fn lane_of(&self, metric: Metric) -> Option<&Values> {
        self.further.iter().find(|one| one.metric == metric).map(|one| &one.values)
    }

    /// Remembers the newest of the bars that are outside of the windows once a bar of `at` is in.
    fn depart(&mut self, symbol: usize, at: i64, close: Price) {
        let newest = self.pair.newest(symbol).map_or(at, |newest| newest.max(at));
        let leaving = if at <= newest - DAY {
            Some((at, close.nanos()))
        } else {
            self.pair
                .values_in(symbol, i64::MIN..newest - DAY + 1)
                .next_back()
                .map(|(at, [close, _])| (at, close))
        };
        let Some(departed) = self.departed.as_mut().map(|all| &mut all[symbol]) else { return };
        if let Some(leaving) = leaving.filter(|(at, _)| departed.is_none_or(|(known, _)| known <= *at)) {
            *departed = Some(leaving);
        }
    }

    /// By how much the close of `at` changed from the bar before, where that is a day older at the most.
    fn change(&self, symbol: usize, at: i64) -> Option<i128> {
        let [close, _] = self.pair.values(symbol, at)?;
        let before =
            self.pair.values_in(symbol, i64::MIN..at).next_back().map(|(at, [close, _])| (at, close));
        let departed = || self.departed.as_ref().and_then(|departed| departed[symbol]);
        change_of(before.or_else(departed)?, (at, close))
    }

    /// The bar after one that came late or was corrected changed from another close than it was said to.
    fn amend_change_after(&mut self, symbol: usize, index: usize, at: i64) {
        let after = self.pair.values_in(symbol, at + 1..i64::MAX).next();
        if let Some((after, _)) = after {
            let change = self.change(symbol, after);
            self.further[index].insert(symbol, after, change);
        }
    }
}

/// Where a metric's values lie.
enum Place<'a> {
    Pair(usize),
    Further(&'a Values),
    Nowhere,
}

impl Further {
    #[inline(always)]
    fn insert(&mut self, symbol: usize, at: i64, value: Option<i128>) -> Met<()> {
        fn without<T>(met: Met<T>) -> Met<()> {
            match met {
                Met::New => Met::New,
                Met::Late => Met::Late,
                Met::Revised(_) => Met::Revised(()),
                Met::Unchanged => Met::Unchanged,
                Met::TooOld => Met::TooOld,
            }
        }
        match &mut self.values {
            // Prices, and counts of 32 bits: nothing is cut off.
            Values::Narrow(lane) => without(lane.insert(symbol, at, value.map(|value| [value as i64]))),
            Values::Wide(lane) => without(lane.insert(symbol, at, value.map(|value| [value]))),
        }
    }
}

#[inline]
fn arrival(met: Met<Option<[i64; 2]>>, values: [i64; 2]) -> Arrival {
    match met {
        Met::New => Arrival::New,
        Met::Late => Arrival::Late,
        Met::Unchanged => Arrival::Unchanged,
        Met::TooOld => Arrival::TooOld,
        Met::Revised(old) => {
            let [close, volume] = old.unwrap_or_default();
            let changed = [(Metric::Price, close != values[0]), (Metric::Volume, volume != values[1])];
            Arrival::Revised(
                changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(one, _)| one).collect(),
            )
        }
    }
}

fn moments(values: impl Iterator<Item = i128>) -> (i128, U256, u32) {
    values.fold((0, U256::ZERO, 0), |(sum, squares, bars), value| {
        let square = U256::new(value.unsigned_abs());
        (sum + value, squares + square * square, bars + 1)
    })
}
