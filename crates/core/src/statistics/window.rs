//! Exact time windows over bars: the last 24 hours and the trailing hour of every symbol.
//!
//! Values are integers, so sums and sums of squares are exact: nothing drifts, nothing cancels, and a
//! correction is a subtraction and an addition. The state after a set of bars is a function of that set,
//! whatever the order, the repeats and the revisions they came in.
//!
//! Bars arrive one time after the other across all symbols, so the cells lie by time, not by symbol: a row
//! holds the bars of every symbol that start together, and their batch touches three contiguous rows (now,
//! an hour ago, a day ago). The row of a time is also the row of the same time a day earlier, which leaves
//! as it enters. Rows of hours without bars are never written, so the system gives no memory for them.

use crate::market::cadence::Cadence;
use crate::market::price::{Price, Volume};
use crate::market::time::Second;
use crate::statistics::Figures;
use crate::statistics::metric::Metric;
use num_bigint::BigUint;
use num_traits::ToPrimitive as _;
use std::fmt;
use std::ops::Range;

/// Seconds in the long window: `t - 24 h < start <= t`.
const DAY: i64 = Second::PER_DAY;

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
    /// Of an earlier time that had no bar.
    Late,
    /// Of a time that had another one, with these values.
    Revised(Values),
    /// Of a time that had the same values.
    Unchanged,
    /// A day or more older than the newest bar: outside every window.
    TooOld,
}

/// Number and sum of the bars in a trailing window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trailing {
    /// Bars in it.
    pub bars: u32,
    sums: [i128; 2],
}

impl Trailing {
    /// The sum of one metric: 1e-9 dollars or shares.
    #[inline]
    pub fn sum(&self, metric: Metric) -> i128 {
        self.sums[metric as usize]
    }

    #[inline]
    fn add(&mut self, cell: Cell) {
        self.bars += 1;
        self.sums[0] += i128::from(cell[0]);
        self.sums[1] += i128::from(cell[1]);
    }

    #[inline]
    fn remove(&mut self, cell: Cell) {
        self.bars -= 1;
        self.sums[0] -= i128::from(cell[0]);
        self.sums[1] -= i128::from(cell[1]);
    }
}

/// `[close, volume]` of a bar. A price is above 0, so a close of 0 says that there is no bar.
type Cell = [i64; 2];

const ABSENT: Cell = [0, 0];

/// Sums over the day of one metric of one symbol. The squares of 86,400 changes of at most 9e15 stay below
/// 2^123.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct DaySums {
    /// Of the squared changes between consecutive bars.
    squares: u128,
    /// Of the values.
    values: u128,
}

/// The state of one symbol beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Track {
    day: [DaySums; 2],
    first: Cell,
    last: Cell,
    trailing: Trailing,
    /// Seconds since 1970, like all times in here.
    newest: i64,
    oldest: i64,
    /// Where these two lie: to divide for each bar would take much of the time.
    newest_row: u32,
    oldest_row: u32,
    /// Bars in the day; 0 says that nothing else here has a meaning.
    bars: u32,
}

/// A trailing window of another length than the statistics', for rules that want one.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    length: Length,
    trailing: Vec<Trailing>,
}

/// How long a trailing window is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Length {
    seconds: i64,
    rows: u32,
}

impl Length {
    const fn new(minutes: u16, step: i64) -> Self {
        let seconds = seconds(minutes);
        Self { seconds, rows: (seconds / step) as u32 }
    }
}

/// The windows of a fixed number of symbols, known by dense ids from 0.
///
/// Two are equal when they hold the same bars, whatever the way these came in: no trace of it is kept.
#[derive(Clone, PartialEq)]
pub struct Windows {
    symbols: usize,
    /// How long a bar is, seconds, and `2^32` over that, rounded up: to divide by it.
    step: i64,
    reciprocal: u64,
    hour: Length,
    /// A row of one cell per symbol for each bar of a day.
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
    /// Makes empty windows for `symbols` symbols whose bars come at `cadence`, with further trailing windows
    /// of these lengths in minutes (at most [`SpikeRule::MAX_WINDOW`](crate::SpikeRule::MAX_WINDOW)) beside
    /// the statistics' hour.
    pub fn new(symbols: usize, cadence: Cadence, further: &[u16]) -> Self {
        let mut lengths: Vec<u16> = further.iter().copied().filter(|&minutes| minutes != TRAILING).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let step = cadence.seconds();
        let rows = (DAY / step) as usize;
        Self {
            symbols,
            step,
            reciprocal: (1_u64 << 32).div_ceil(step as u64),
            hour: Length::new(TRAILING, step),
            cells: vec![ABSENT; symbols * rows],
            occupied: vec![0; rows],
            tracks: vec![Track::default(); symbols],
            spans: lengths
                .into_iter()
                .map(|minutes| Span {
                    length: Length::new(minutes, step),
                    trailing: vec![Trailing::default(); symbols],
                })
                .collect(),
        }
    }

    /// Lets a bar in, wherever in time it belongs, and says how it met the window. O(1), but for gaps. It
    /// [starts](Cadence::starts) where bars do.
    #[inline]
    pub fn insert(&mut self, symbol: usize, start: Second, values: Values) -> Arrival {
        let (at, cell) = (start.unix(), values.0);
        debug_assert_eq!(at.rem_euclid(self.step), 0, "no bar starts at {start}");
        let track = &self.tracks[symbol];
        if track.bars == 0 || at >= track.newest + DAY {
            self.restart(symbol, at, cell);
            Arrival::New
        } else if at > track.newest {
            self.advance(symbol, at, cell);
            Arrival::New
        } else {
            self.amend(symbol, at, cell)
        }
    }

    /// The newest bar's start.
    #[inline]
    pub fn newest(&self, symbol: usize) -> Option<Second> {
        let track = &self.tracks[symbol];
        (track.bars > 0).then(|| Second::from_unix(track.newest))
    }

    /// The values of the bar of a time in the window.
    pub fn values(&self, symbol: usize, start: Second) -> Option<Values> {
        let track = &self.tracks[symbol];
        let inside = track.bars > 0 && (track.oldest..=track.newest).contains(&start.unix());
        let cell = self.cell(symbol, start.unix());
        (inside && cell != ABSENT).then_some(Values(cell))
    }

    /// The trailing window before `start`: bars with `start - minutes <= bar < start`. `None` where it
    /// reaches back further than a day before the newest bar, so that its content is not known.
    #[inline]
    pub fn trailing(&self, symbol: usize, start: Second, minutes: u16) -> Option<Trailing> {
        let track = &self.tracks[symbol];
        let length = seconds(minutes);
        if start.unix() == track.newest && track.bars > 0 {
            if minutes == TRAILING {
                return Some(track.trailing);
            }
            if let Some(span) = self.spans.iter().find(|span| span.length.seconds == length) {
                return Some(span.trailing[symbol]);
            }
        }
        self.scan(symbol, start.unix(), length)
    }

    /// Sum, sum of squares and number of the bars in the trailing window before `start`, of one metric.
    /// `None` like [`trailing`](Self::trailing). Looks at every bar.
    pub fn moments(
        &self,
        symbol: usize,
        start: Second,
        minutes: u16,
        metric: Metric,
    ) -> Option<(i128, u128, u32)> {
        let from = start.plus_minutes(-i32::from(minutes));
        self.knows(symbol, from).then(|| {
            let bars = self.bars_in(symbol, from.unix()..start.unix());
            bars.fold((0, 0, 0), |(sum, squares, bars), (_, cell)| {
                let value = Values(cell).of(metric);
                (sum + i128::from(value), squares + square(value, 0), bars + 1)
            })
        })
    }

    /// The newest bar in a range of time. `None` where none of the day before the newest bar is in it.
    pub fn newest_in(&self, symbol: usize, range: Range<Second>) -> Option<(Second, Values)> {
        self.before(symbol, range.end).next().filter(|(start, _)| *start >= range.start)
    }

    /// The bars before `start` in the window, newest first.
    pub fn before(&self, symbol: usize, start: Second) -> impl Iterator<Item = (Second, Values)> {
        let bars = self.bars_in(symbol, i64::MIN..start.unix()).rev();
        bars.map(|(at, cell)| (Second::from_unix(at), Values(cell)))
    }

    /// Whether everything since `from` is in the window.
    fn knows(&self, symbol: usize, from: Second) -> bool {
        let track = &self.tracks[symbol];
        track.bars == 0 || from.unix() > track.newest - DAY
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
            for at in (track.oldest..=track.newest).step_by(self.step as usize) {
                self.take(symbol, at);
            }
        }
        self.tracks[symbol] = Track::default();
        for span in &mut self.spans {
            span.trailing[symbol] = Trailing::default();
        }
    }

    /// Replaces the values of every bar before `before` by what `convert` makes of them: a split.
    pub fn rescale(&mut self, symbol: usize, before: Second, convert: impl Fn(Price, Volume) -> Values) {
        let track = self.tracks[symbol];
        if track.bars == 0 {
            return;
        }
        let bars: Vec<(i64, Cell)> = self.bars_in(symbol, i64::MIN..i64::MAX).collect();
        self.clear(symbol);
        for (at, cell) in bars {
            let converted = match (Price::from_nanos(cell[0]), Volume::from_shares(cell[1])) {
                (Ok(price), Ok(volume)) if at < before.unix() => convert(price, volume),
                _ => Values(cell),
            };
            self.insert(symbol, Second::from_unix(at), converted);
        }
    }

    /// The first bar, or one so much newer that nothing before it counts any more.
    fn restart(&mut self, symbol: usize, at: i64, cell: Cell) {
        self.clear(symbol);
        self.put(symbol, at, cell);
        let day = [0, 1].map(|metric| DaySums { squares: 0, values: cell[metric] as u128 });
        self.tracks[symbol] = Track {
            day,
            first: cell,
            last: cell,
            trailing: Trailing::default(),
            newest: at,
            oldest: at,
            newest_row: self.row(at) as u32,
            oldest_row: self.row(at) as u32,
            bars: 1,
        };
    }

    /// A bar newer than the newest, by less than a day.
    #[inline]
    fn advance(&mut self, symbol: usize, at: i64, cell: Cell) {
        let Self { symbols, step, reciprocal, hour, cells, occupied, tracks, spans } = self;
        let step = *step;
        let track = &mut tracks[symbol];
        let place = |row: u32| row as usize * *symbols + symbol;
        let rows = occupied.len() as u32;
        let after = |row: u32| if row + 1 < rows { row + 1 } else { 0 };
        let gap = at - track.newest;
        let here = if gap == step { after(track.newest_row) } else { row(at, *reciprocal) as u32 };

        // The trailing windows move up: the former newest enters, the first bars leave.
        let slide = |trailing: &mut Trailing, length: Length| {
            if gap > length.seconds {
                *trailing = Trailing::default();
                return;
            }
            trailing.add(track.last);
            let mut leaving = track.newest - length.seconds;
            let mut row = track.newest_row + rows - length.rows;
            row -= if row < rows { 0 } else { rows };
            while leaving < at - length.seconds {
                if leaving >= track.oldest && occupied[row as usize] > 0 {
                    let cell = cells[place(row)];
                    if cell != ABSENT {
                        trailing.remove(cell);
                    }
                }
                leaving += step;
                row = after(row);
            }
        };
        slide(&mut track.trailing, *hour);
        for span in spans {
            slide(&mut span.trailing[symbol], span.length);
        }

        // What is a day old leaves; the newest stays, so there is always a next one.
        while track.oldest <= at - DAY {
            let leaving = track.oldest_row;
            occupied[leaving as usize] -= 1;
            cells[place(leaving)] = ABSENT;
            let (mut next, mut row) = (track.oldest + step, after(leaving));
            while occupied[row as usize] == 0 || cells[place(row)] == ABSENT {
                next += step;
                row = after(row);
            }
            let cell = cells[place(row)];
            for (sums, (first, second)) in track.day.iter_mut().zip(track.first.into_iter().zip(cell)) {
                sums.values -= first as u128;
                sums.squares -= square(first, second);
            }
            track.bars -= 1;
            (track.oldest, track.oldest_row) = (next, row);
            track.first = cell;
        }

        for (sums, (last, value)) in track.day.iter_mut().zip(track.last.into_iter().zip(cell)) {
            sums.values += value as u128;
            sums.squares += square(last, value);
        }
        track.bars += 1;
        (track.newest, track.newest_row) = (at, here);
        track.last = cell;
        occupied[here as usize] += 1;
        cells[place(here)] = cell;
    }

    /// A bar of the newest time or an earlier one.
    fn amend(&mut self, symbol: usize, at: i64, cell: Cell) -> Arrival {
        let mut track = self.tracks[symbol];
        if at <= track.newest - DAY {
            return Arrival::TooOld;
        }
        let known = if at < track.oldest { ABSENT } else { self.cell(symbol, at) };
        if known == cell {
            return Arrival::Unchanged;
        }
        let before = self.bars_in(symbol, i64::MIN..at).next_back().map(|(_, cell)| cell);
        let after = self.bars_in(symbol, at + 1..i64::MAX).next().map(|(_, cell)| cell);
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
            sums.values = sums.values - gone_value as u128 + cell[metric] as u128;
        }
        if known == ABSENT {
            track.bars += 1;
            if at < track.oldest {
                (track.oldest, track.oldest_row) = (at, self.row(at) as u32);
            }
        }
        if at == track.oldest {
            track.first = cell;
        }
        if at == track.newest {
            track.last = cell;
        }
        let newest = track.newest;
        let replace = |trailing: &mut Trailing, length: i64| {
            if (newest - length..newest).contains(&at) {
                if known != ABSENT {
                    trailing.remove(known);
                }
                trailing.add(cell);
            }
        };
        replace(&mut track.trailing, self.hour.seconds);
        for span in &mut self.spans {
            replace(&mut span.trailing[symbol], span.length.seconds);
        }
        self.tracks[symbol] = track;
        self.put(symbol, at, cell);
        if known == ABSENT { Arrival::Late } else { Arrival::Revised(Values(known)) }
    }

    fn scan(&self, symbol: usize, at: i64, length: i64) -> Option<Trailing> {
        let from = at - length;
        if !self.knows(symbol, Second::from_unix(from)) {
            return None;
        }
        let mut trailing = Trailing::default();
        for (_, cell) in self.bars_in(symbol, from..at) {
            trailing.add(cell);
        }
        Some(trailing)
    }

    /// The bars of a range of time, oldest first.
    #[inline]
    fn bars_in(&self, symbol: usize, range: Range<i64>) -> impl DoubleEndedIterator<Item = (i64, Cell)> {
        let track = &self.tracks[symbol];
        let known = if track.bars > 0 { track.oldest..track.newest + 1 } else { 0..0 };
        let range = range.start.max(known.start)..range.end.min(known.end);
        let step = self.step;
        // From the first bar that may start in it.
        let from = range.start + (-range.start).rem_euclid(step);
        let count = (range.end - from + step - 1).max(0) / step;
        // Rows follow each other; to divide for each would take most of the time.
        let first = self.row(from);
        let rows = self.occupied.len();
        (0..count).filter_map(move |index| {
            let at = first + index as usize;
            let at = if at < rows { at } else { at - rows };
            let cell = if self.occupied[at] > 0 { self.cells[at * self.symbols + symbol] } else { ABSENT };
            (cell != ABSENT).then_some((from + index * step, cell))
        })
    }

    fn row(&self, at: i64) -> usize {
        row(at, self.reciprocal)
    }

    fn cell(&self, symbol: usize, at: i64) -> Cell {
        self.cells[self.row(at) * self.symbols + symbol]
    }

    fn put(&mut self, symbol: usize, at: i64, cell: Cell) {
        let row = self.row(at);
        let place = &mut self.cells[row * self.symbols + symbol];
        self.occupied[row] += u32::from(*place == ABSENT);
        *place = cell;
    }

    fn take(&mut self, symbol: usize, at: i64) {
        let row = self.row(at);
        // What is not written to needs no memory.
        if self.occupied[row] == 0 {
            return;
        }
        let place = &mut self.cells[row * self.symbols + symbol];
        self.occupied[row] -= u32::from(*place != ABSENT);
        *place = ABSENT;
    }
}

const fn seconds(minutes: u16) -> i64 {
    minutes as i64 * 60
}

/// The row of a time: its place in its day over the length of a bar, which divides the day. `reciprocal` is
/// `2^32` over that length, rounded up by less than the length; a day's 86,400 times that are less than
/// `2^32`, so the quotient is exact.
#[inline]
fn row(at: i64, reciprocal: u64) -> usize {
    ((at.rem_euclid(DAY) as u64 * reciprocal) >> 32) as usize
}

#[inline]
fn square(one: i64, two: i64) -> u128 {
    let difference = u128::from(one.abs_diff(two));
    difference * difference
}

/// The nearest double. The general conversion is a library call; nearly all sums fit the short one.
#[inline]
fn to_f64(value: u128) -> f64 {
    i64::try_from(value).map_or_else(|_| wide(value), |short| short as f64)
}

/// Not inlined: it would be called for short values, too, to have a choice without a branch.
#[inline(never)]
fn wide(value: u128) -> f64 {
    value as f64
}

#[cold]
#[inline(never)]
fn wide_numerator(changes: u32, squares: u128, telescoped: u128) -> f64 {
    (BigUint::from(squares) * changes - telescoped).to_f64().unwrap_or(f64::INFINITY)
}

/// Rounds the exact sums to doubles. With `n` changes that sum to `S` (the telescoped `last - first`) and
/// whose squares sum to `Q`, the sample variance is `(n Q - S^2) / (n (n - 1))`; its numerator is exact.
#[inline(always)]
fn figures(track: &Track, metric: Metric) -> Figures {
    let index = metric as usize;
    let unit = metric.units() as f64;
    let day = &track.day[index];
    let changes = track.bars - 1;
    let deviation = (changes >= 2).then(|| {
        let telescoped = square(track.first[index], track.last[index]);
        // Of at most 86,399 changes: what is longer is a day of seconds and of the largest jumps.
        let numerator = if day.squares >> 111 == 0 {
            to_f64(u128::from(changes) * day.squares - telescoped)
        } else {
            wide_numerator(changes, day.squares, telescoped)
        };
        (numerator / (f64::from(changes) * f64::from(changes - 1))).sqrt()
    });
    let trailing = track.trailing;
    let (bars, sum) = (f64::from(trailing.bars), to_f64(trailing.sums[index] as u128));
    Figures {
        stdev: deviation.map(|deviation| deviation / unit),
        relative_stdev: deviation
            .filter(|_| day.values > 0)
            .map(|deviation| deviation * f64::from(track.bars) / to_f64(day.values)),
        trailing_average: (trailing.bars > 0).then(|| sum / (bars * unit)),
        ratio: (trailing.bars > 0 && trailing.sums[index] > 0).then(|| track.last[index] as f64 * bars / sum),
        window_bars: trailing.bars,
    }
}
