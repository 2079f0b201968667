//! Exact time windows over minutes: the last 24 hours and the trailing hour of every symbol.
//!
//! Values are integers, so sums and sums of squares are exact: nothing drifts, nothing cancels, and a
//! correction is a subtraction and an addition. The state after a set of bars is a function of that set,
//! whatever the order, the repeats and the revisions they came in.
//!
//! Bars arrive minute by minute across all symbols, so the cells lie by time, not by symbol: a row holds
//! one minute of every symbol, and one minute's batch touches three contiguous rows (now, an hour ago, a
//! day ago). The row of a minute is also the row of the minute a day earlier, which leaves as it enters.

use crate::market::price::{Price, Volume};
use crate::market::time::Minute;
use crate::statistics::Figures;
use crate::statistics::metric::Metric;
use std::fmt;
use std::ops::Range;

/// Minutes in the long window: `t - 24 h < start <= t`.
const DAY: i32 = Minute::PER_DAY;

/// Minutes in the trailing window of the statistics: `t - 60 min <= start < t`.
pub const TRAILING: u16 = 60;

/// What the windows keep of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values([i64; 2]);

impl Values {
    /// Takes the close and the volume of a bar.
    #[inline]
    pub fn new(close: Price, volume: Volume) -> Self {
        Self([close.nanos(), volume.shares()])
    }

    /// The value of one metric: 1e-9 dollars or shares.
    #[inline]
    pub fn of(self, metric: Metric) -> i64 {
        self.0[metric as usize]
    }
}

/// How a bar met the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Newer than every bar before it.
    New,
    /// Of an earlier minute that had no bar.
    Late,
    /// Of a minute that had another one, with these values.
    Revised(Values),
    /// Of a minute that had the same values.
    Unchanged,
    /// A day or more older than the newest bar: outside every window.
    TooOld,
}

/// Number and sum of the bars in a trailing window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trailing {
    /// Bars in it.
    pub bars: u16,
    sums: [i64; 2],
}

impl Trailing {
    /// The sum of one metric: 1e-9 dollars or shares.
    #[inline]
    pub fn sum(&self, metric: Metric) -> i64 {
        self.sums[metric as usize]
    }

    #[inline]
    fn add(&mut self, cell: Cell) {
        self.bars += 1;
        self.sums[0] += cell[0];
        self.sums[1] += cell[1];
    }

    #[inline]
    fn remove(&mut self, cell: Cell) {
        self.bars -= 1;
        self.sums[0] -= cell[0];
        self.sums[1] -= cell[1];
    }
}

/// `[close, volume]` of a minute. A price is above 0, so a close of 0 says that there is no bar.
type Cell = [i64; 2];

const ABSENT: Cell = [0, 0];

/// Sums over the day of one metric of one symbol. 1440 prices of at most 9e15 stay below 2^64, and the
/// squares of their changes below 2^127.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct DaySums {
    /// Of the squared changes between consecutive bars.
    squares: u128,
    /// Of the values.
    values: u64,
}

/// The state of one symbol beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Track {
    day: [DaySums; 2],
    first: Cell,
    last: Cell,
    trailing: Trailing,
    newest: i32,
    oldest: i32,
    /// Bars in the day; 0 says that nothing else here has a meaning.
    bars: u32,
}

/// A trailing window of another length than the statistics', for rules that want one.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    minutes: u16,
    trailing: Vec<Trailing>,
}

/// The windows of a fixed number of symbols, known by dense ids from 0.
///
/// Two are equal when they hold the same bars, whatever the way these came in: no trace of it is kept.
#[derive(Clone, PartialEq)]
pub struct Windows {
    symbols: usize,
    /// `DAY` rows of one cell per symbol; minute `m` lives in row `m mod DAY`.
    cells: Vec<Cell>,
    /// Bars in each row: lets the search for a neighbour skip closed hours without touching the row.
    occupied: Vec<u32>,
    tracks: Vec<Track>,
    spans: Vec<Span>,
}

impl fmt::Debug for Windows {
    /// The sums; the cells would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windows")
            .field("tracks", &self.tracks)
            .field("spans", &self.spans)
            .finish_non_exhaustive()
    }
}

impl Windows {
    /// Makes empty windows for `symbols` symbols, with further trailing windows of these lengths in minutes
    /// (at most [`SpikeRule::MAX_WINDOW`](crate::SpikeRule::MAX_WINDOW)) beside the statistics' hour.
    pub fn new(symbols: usize, further: &[u16]) -> Self {
        let mut lengths: Vec<u16> = further.iter().copied().filter(|&minutes| minutes != TRAILING).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Self {
            symbols,
            cells: vec![ABSENT; symbols * DAY as usize],
            occupied: vec![0; DAY as usize],
            tracks: vec![Track::default(); symbols],
            spans: lengths
                .into_iter()
                .map(|minutes| Span { minutes, trailing: vec![Trailing::default(); symbols] })
                .collect(),
        }
    }

    /// Lets a bar in, wherever in time it belongs, and says how it met the window. O(1), but for gaps.
    #[inline]
    pub fn insert(&mut self, symbol: usize, start: Minute, values: Values) -> Arrival {
        let (minute, cell) = (start.index(), values.0);
        let track = &self.tracks[symbol];
        if track.bars == 0 || minute >= track.newest.saturating_add(DAY) {
            self.restart(symbol, minute, cell);
            Arrival::New
        } else if minute > track.newest {
            self.advance(symbol, minute, cell);
            Arrival::New
        } else {
            self.amend(symbol, minute, cell)
        }
    }

    /// The newest bar's minute.
    #[inline]
    pub fn newest(&self, symbol: usize) -> Option<Minute> {
        let track = &self.tracks[symbol];
        (track.bars > 0).then(|| Minute::from_index(track.newest))
    }

    /// The values of a minute in the window.
    pub fn values(&self, symbol: usize, start: Minute) -> Option<Values> {
        let track = &self.tracks[symbol];
        let inside = track.bars > 0 && (track.oldest..=track.newest).contains(&start.index());
        let cell = self.cell(symbol, start.index());
        (inside && cell != ABSENT).then_some(Values(cell))
    }

    /// The trailing window before `start`: bars with `start - minutes <= bar < start`. `None` where it
    /// reaches back further than a day before the newest bar, so that its content is not known.
    #[inline]
    pub fn trailing(&self, symbol: usize, start: Minute, minutes: u16) -> Option<Trailing> {
        let track = &self.tracks[symbol];
        if start.index() == track.newest && track.bars > 0 {
            if minutes == TRAILING {
                return Some(track.trailing);
            }
            if let Some(span) = self.spans.iter().find(|span| span.minutes == minutes) {
                return Some(span.trailing[symbol]);
            }
        }
        self.scan(symbol, start.index(), minutes)
    }

    /// Sum, sum of squares and number of the bars in the trailing window before `start`, of one metric.
    /// `None` like [`trailing`](Self::trailing). Looks at every minute.
    pub fn moments(
        &self,
        symbol: usize,
        start: Minute,
        minutes: u16,
        metric: Metric,
    ) -> Option<(i64, u128, u16)> {
        let from = start.plus(-i32::from(minutes));
        self.knows(symbol, from).then(|| {
            let bars = self.bars_in(symbol, from.index()..start.index());
            bars.fold((0, 0, 0), |(sum, squares, bars), (_, cell)| {
                let value = Values(cell).of(metric);
                (sum + value, squares + square(value, 0), bars + 1)
            })
        })
    }

    /// The newest bar in a range of minutes. `None` where none of the day before the newest bar is in it.
    pub fn newest_in(&self, symbol: usize, range: Range<Minute>) -> Option<(Minute, Values)> {
        self.before(symbol, range.end).next().filter(|(minute, _)| *minute >= range.start)
    }

    /// The bars before `start` in the window, newest first.
    pub fn before(&self, symbol: usize, start: Minute) -> impl Iterator<Item = (Minute, Values)> {
        let bars = self.bars_in(symbol, i32::MIN..start.index()).rev();
        bars.map(|(minute, cell)| (Minute::from_index(minute), Values(cell)))
    }

    /// Whether everything since `from` is in the window.
    fn knows(&self, symbol: usize, from: Minute) -> bool {
        let track = &self.tracks[symbol];
        track.bars == 0 || from.index() > track.newest - DAY
    }

    /// The figures of contract section 2 for one metric at the newest bar; all absent without one.
    #[inline]
    pub fn figures(&self, symbol: usize, metric: Metric) -> Figures {
        let track = &self.tracks[symbol];
        if track.bars == 0 { Figures::default() } else { figures(track, metric) }
    }

    /// Forgets everything about a symbol.
    pub fn clear(&mut self, symbol: usize) {
        let track = self.tracks[symbol];
        if track.bars > 0 {
            for minute in track.oldest..=track.newest {
                self.take(symbol, minute);
            }
        }
        self.tracks[symbol] = Track::default();
        for span in &mut self.spans {
            span.trailing[symbol] = Trailing::default();
        }
    }

    /// Replaces the values of every bar before `before` by what `convert` makes of them: a split.
    pub fn rescale(&mut self, symbol: usize, before: Minute, convert: impl Fn(Price, Volume) -> Values) {
        let track = self.tracks[symbol];
        if track.bars == 0 {
            return;
        }
        let bars: Vec<(i32, Cell)> = self.bars_in(symbol, i32::MIN..i32::MAX).collect();
        self.clear(symbol);
        for (minute, cell) in bars {
            let converted = match (Price::from_nanos(cell[0]), Volume::from_shares(cell[1])) {
                (Ok(price), Ok(volume)) if minute < before.index() => convert(price, volume),
                _ => Values(cell),
            };
            self.insert(symbol, Minute::from_index(minute), converted);
        }
    }

    /// The first bar, or one so much newer that nothing before it counts any more.
    fn restart(&mut self, symbol: usize, minute: i32, cell: Cell) {
        self.clear(symbol);
        self.put(symbol, minute, cell);
        let day = [0, 1].map(|metric| DaySums { squares: 0, values: cell[metric] as u64 });
        self.tracks[symbol] = Track {
            day,
            first: cell,
            last: cell,
            trailing: Trailing::default(),
            newest: minute,
            oldest: minute,
            bars: 1,
        };
    }

    /// A bar newer than the newest, by less than a day.
    #[inline]
    fn advance(&mut self, symbol: usize, minute: i32, cell: Cell) {
        let Self { symbols, cells, occupied, tracks, spans } = self;
        let track = &mut tracks[symbol];
        let at = |minute: i32| row(minute) * *symbols + symbol;

        // The trailing windows move up: the former newest enters, the first minutes leave.
        let slide = |trailing: &mut Trailing, minutes: i32| {
            if minute - track.newest > minutes {
                *trailing = Trailing::default();
                return;
            }
            trailing.add(track.last);
            for leaving in track.newest - minutes..minute - minutes {
                if leaving >= track.oldest && occupied[row(leaving)] > 0 {
                    let cell = cells[at(leaving)];
                    if cell != ABSENT {
                        trailing.remove(cell);
                    }
                }
            }
        };
        slide(&mut track.trailing, i32::from(TRAILING));
        for span in spans {
            slide(&mut span.trailing[symbol], i32::from(span.minutes));
        }

        // What is a day old leaves; the newest stays, so there is always a next one.
        while track.oldest <= minute - DAY {
            occupied[row(track.oldest)] -= 1;
            cells[at(track.oldest)] = ABSENT;
            let mut next = track.oldest + 1;
            while occupied[row(next)] == 0 || cells[at(next)] == ABSENT {
                next += 1;
            }
            let cell = cells[at(next)];
            for (sums, (first, second)) in track.day.iter_mut().zip(track.first.into_iter().zip(cell)) {
                sums.values -= first as u64;
                sums.squares -= square(first, second);
            }
            track.bars -= 1;
            track.oldest = next;
            track.first = cell;
        }

        for (sums, (last, value)) in track.day.iter_mut().zip(track.last.into_iter().zip(cell)) {
            sums.values += value as u64;
            sums.squares += square(last, value);
        }
        track.bars += 1;
        track.newest = minute;
        track.last = cell;
        occupied[row(minute)] += 1;
        cells[at(minute)] = cell;
    }

    /// A bar of the newest minute or an earlier one.
    fn amend(&mut self, symbol: usize, minute: i32, cell: Cell) -> Arrival {
        let mut track = self.tracks[symbol];
        if minute <= track.newest - DAY {
            return Arrival::TooOld;
        }
        let known = if minute < track.oldest { ABSENT } else { self.cell(symbol, minute) };
        if known == cell {
            return Arrival::Unchanged;
        }
        let before = self.bars_in(symbol, i32::MIN..minute).next_back().map(|(_, cell)| cell);
        let after = self.bars_in(symbol, minute + 1..i32::MAX).next().map(|(_, cell)| cell);
        for metric in 0..2 {
            let sums = &mut track.day[metric];
            let gap = |one: Option<Cell>, two: Option<Cell>| match (one, two) {
                (Some(one), Some(two)) => square(one[metric], two[metric]),
                _ => 0,
            };
            // What stood between the neighbours goes, what stands there now comes.
            let (gone, gone_value) = if known == ABSENT {
                (gap(before, after), 0)
            } else {
                (gap(before, Some(known)) + gap(Some(known), after), known[metric])
            };
            sums.squares = sums.squares - gone + gap(before, Some(cell)) + gap(Some(cell), after);
            sums.values = sums.values - gone_value as u64 + cell[metric] as u64;
        }
        if known == ABSENT {
            track.bars += 1;
            track.oldest = track.oldest.min(minute);
        }
        if minute == track.oldest {
            track.first = cell;
        }
        if minute == track.newest {
            track.last = cell;
        }
        let newest = track.newest;
        let replace = |trailing: &mut Trailing, minutes: i32| {
            if (newest - minutes..newest).contains(&minute) {
                if known != ABSENT {
                    trailing.remove(known);
                }
                trailing.add(cell);
            }
        };
        replace(&mut track.trailing, i32::from(TRAILING));
        for span in &mut self.spans {
            replace(&mut span.trailing[symbol], i32::from(span.minutes));
        }
        self.tracks[symbol] = track;
        self.put(symbol, minute, cell);
        if known == ABSENT { Arrival::Late } else { Arrival::Revised(Values(known)) }
    }

    fn scan(&self, symbol: usize, minute: i32, minutes: u16) -> Option<Trailing> {
        let from = minute - i32::from(minutes);
        if !self.knows(symbol, Minute::from_index(from)) {
            return None;
        }
        let mut trailing = Trailing::default();
        for (_, cell) in self.bars_in(symbol, from..minute) {
            trailing.add(cell);
        }
        Some(trailing)
    }

    /// The bars of a range of minutes, oldest first.
    #[inline]
    fn bars_in(&self, symbol: usize, range: Range<i32>) -> impl DoubleEndedIterator<Item = (i32, Cell)> {
        let track = &self.tracks[symbol];
        let known = if track.bars > 0 { track.oldest..track.newest.saturating_add(1) } else { 0..0 };
        let range = range.start.max(known.start)..range.end.min(known.end);
        // Rows follow each other; to divide for each would take most of the time.
        let (from, first) = (range.start, row(range.start));
        range.filter_map(move |minute| {
            let at = first + (minute - from) as usize;
            let at = if at < DAY as usize { at } else { at - DAY as usize };
            let cell = if self.occupied[at] > 0 { self.cells[at * self.symbols + symbol] } else { ABSENT };
            (cell != ABSENT).then_some((minute, cell))
        })
    }

    fn cell(&self, symbol: usize, minute: i32) -> Cell {
        self.cells[row(minute) * self.symbols + symbol]
    }

    fn put(&mut self, symbol: usize, minute: i32, cell: Cell) {
        let place = &mut self.cells[row(minute) * self.symbols + symbol];
        self.occupied[row(minute)] += u32::from(*place == ABSENT);
        *place = cell;
    }

    fn take(&mut self, symbol: usize, minute: i32) {
        let place = &mut self.cells[row(minute) * self.symbols + symbol];
        self.occupied[row(minute)] -= u32::from(*place != ABSENT);
        *place = ABSENT;
    }
}

#[inline]
fn row(minute: i32) -> usize {
    minute.rem_euclid(DAY) as usize
}

#[inline]
fn square(one: i64, two: i64) -> u128 {
    let difference = u128::from(one.abs_diff(two));
    difference * difference
}

/// The nearest double. The general conversion is a library call; nearly all sums fit the short one.
#[inline]
fn to_f64(value: u128) -> f64 {
    i64::try_from(value).map_or(value as f64, |short| short as f64)
}

/// Rounds the exact sums to doubles. With `n` changes that sum to `S` (the telescoped `last - first`) and
/// whose squares sum to `Q`, the sample variance is `(n Q - S^2) / (n (n - 1))`; its numerator is exact.
#[inline]
fn figures(track: &Track, metric: Metric) -> Figures {
    let index = metric as usize;
    let unit = metric.units() as f64;
    let day = &track.day[index];
    let changes = track.bars - 1;
    let deviation = (changes >= 2).then(|| {
        let numerator = u128::from(changes) * day.squares - square(track.first[index], track.last[index]);
        (to_f64(numerator) / (f64::from(changes) * f64::from(changes - 1))).sqrt()
    });
    let trailing = track.trailing;
    let (bars, sum) = (f64::from(trailing.bars), trailing.sums[index] as f64);
    Figures {
        stdev: deviation.map(|deviation| deviation / unit),
        relative_stdev: deviation
            .filter(|_| day.values > 0)
            .map(|deviation| deviation * f64::from(track.bars) / to_f64(day.values.into())),
        trailing_average: (trailing.bars > 0).then(|| sum / (bars * unit)),
        ratio: (trailing.bars > 0 && trailing.sums[index] > 0).then(|| track.last[index] as f64 * bars / sum),
        window_bars: trailing.bars,
    }
}
